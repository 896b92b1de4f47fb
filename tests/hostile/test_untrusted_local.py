"""Hostile code in an untrusted job of the local backend: it reaches nothing outside, and is bounded in all it uses."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.commands import SMALL
from support.processes import until
from support.untrusted import FILL_DISK, PROBE, SECRET, USERS, User, services, user

HERE = Path(__file__).parent
SAVE = "import os, pathlib\nout = pathlib.Path(os.environ['RENDERER_OUTPUT_DIR'])\n"
SLEEP = "import subprocess\nprint('up', flush=True)\nsubprocess.run(['bash', '-c', 'exec -a {marker} sleep 600'])\n"
SMALL_LIMITS = ("--memory", "400Mi")  # of which half is disk


def find_processes(word: str) -> list[psutil.Process]:
    """Return the processes of this machine that have the word in their command line."""
    return [process for process in psutil.process_iter(["cmdline"]) if word in (process.info["cmdline"] or [])]


@pytest.fixture(scope="module", params=USERS)
def someone(request: pytest.FixtureRequest) -> Iterator[User]:
    with user(request.param, {}) as found:
        yield found


@pytest.fixture(scope="module")
def found(someone: User) -> dict[str, str]:
    """What came of every attempt of the probe, while another job of the user runs."""
    someone.write("other.py", f"import time\nprint('{SECRET}', flush=True)\ntime.sleep(600)\n")
    handle = someone.run("submit", "other.py", "--detach").stdout.strip()
    until(lambda: SECRET in someone.run("logs", handle).stdout)
    other = someone.jobs / handle.removeprefix("local://")
    with services(someone.home) as host:
        secret = [someone.home / ".ssh/id_ed25519", someone.home / "beside/notes.txt", "/etc/shadow", "/etc/hostname"]
        wanted = {
            "read": [*map(str, secret), str(other / "job.json"), "/proc/kcore", "/dev/mem"],
            "write": ["/job/task.json", "/job/inputs/task.json", "/usr/bin/attack", "/etc/passwd", "/attack"],
            "list": [
                *map(str, (someone.home, someone.jobs)),
                "/root",
                "/home",
                "/run",
                "/sys",
                "/var/lib",
                "/usr/local/etc",
                "/proc/1/fd",
            ],
            "connect": [["127.0.0.1", host.port], ["localhost", host.port], ["1.1.1.1", 53]],
            "unix": [
                host.abstract,
                host.path,
                "/run/dbus/system_bus_socket",
                "/var/run/docker.sock",
                "\0/tmp/.X11-unix/X0",
            ],
        }
        someone.write("probe.py", PROBE.read_text())
        done = someone.run("submit", "probe.py", "--untrusted", "--", json.dumps(wanted))
        assert done.returncode == 0, done.stderr
        assert host.visits == 0
    assert someone.run("status", handle).returncode == 0
    assert "running" in someone.run("status", handle).stdout
    someone.run("delete", handle)
    result: dict[str, str] = json.loads((someone.home / "project" / "renders" / "probe.json").read_text())
    assert len(result) > 50
    return result


def test_nothing_but_lists_of_the_sandbox_itself_succeeds(found: dict[str, str]) -> None:
    harmless = {"environments", "processes", "list /var/lib", "list /usr/local/etc"}
    assert {name for name, text in found.items() if not text.startswith("failed: ")} == harmless
    assert found["list /var/lib"] == "texmf"
    assert found["list /usr/local/etc"] == "done"  # and no name
    assert int(found["processes"]) < 10


def test_no_process_of_the_host_is_seen(found: dict[str, str], someone: User) -> None:
    assert SECRET not in json.dumps(found)
    texts = json.loads(found["environments"])
    assert texts
    assert not [text for text in texts if str(someone.home) in text and "connect" not in text]  # its own arguments


def test_the_job_and_the_control_groups_are_gone(found: dict[str, str], someone: User) -> None:
    assert found
    jobs = [path for path in someone.jobs.iterdir() if path.name.startswith("probe-")]
    assert jobs
    groups = [Path(folder, name) for folder, names, _ in os.walk("/sys/fs/cgroup") for name in names]
    for job in jobs:
        assert not [group for group in groups if job.name in group.name]
        assert not list(job.rglob("scratch/*"))


def test_a_daemon_does_not_outlive_the_job(someone: User) -> None:
    marker = f"renderer-daemon-{os.getpid()}"
    daemon = f"exec -a {marker} sleep 600"
    script = f"""{SAVE}
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        subprocess.Popen(["bash", "-c", "trap '' TERM HUP; {daemon}"])
        os._exit(0)
    os._exit(0)
"""
    done = someone.submit(script)
    assert done.returncode == 0, done.stderr
    assert not find_processes(marker)


@pytest.mark.parametrize(("number", "code"), [("SIGKILL", 0), ("SIGSTOP", 0), ("SIGTERM", 16)])
def test_signals_to_everything_reach_at_most_the_job_itself(number: str, code: int, someone: User) -> None:
    script = (
        "import contextlib, os, signal, time\n"
        f"with contextlib.suppress(ProcessLookupError):\n    os.kill(-1, signal.{number})\n"
        f"os.kill(1, signal.{number})\ntime.sleep({60 if code else 0.5})\n"
    )
    done = someone.submit(script)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_a_job_that_stops_all_it_can_is_ended_at_the_time_limit(someone: User) -> None:
    stop = "import os, signal, time\nos.kill(os.getppid(), signal.SIGSTOP)\ntime.sleep(600)\n"
    done = someone.submit(stop, "--timeout", "2s")
    assert done.returncode == 124, done.stderr
    assert "time limit of 2 s" in done.stderr


def test_the_disk_is_bounded(someone: User) -> None:
    done = someone.submit(FILL_DISK, *SMALL_LIMITS, "--output", "disk")
    assert done.returncode == 0, done.stderr
    assert 2**20 < int((someone.home / "project/disk/size.txt").read_text()) <= 200 * 2**20


def test_memory_is_bounded(someone: User) -> None:
    done = someone.submit("data = bytearray(600 * 2**20)\nprint(len(data))\n", *SMALL_LIMITS)
    assert done.returncode in {10, 13}, done.stderr  # 10: a MemoryError, where only each process has a limit
    assert "ran out of memory: the kernel ended it" in done.stderr or "MemoryError" in done.stderr
    assert "Traceback (most" not in done.stdout


def test_processes_are_bounded(someone: User) -> None:
    script = f"""{SAVE}
import signal, time
children = []
try:
    while len(children) < 5000:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        children.append(child)
except OSError:
    pass
for child in children:
    os.kill(child, signal.SIGKILL)
(out / "count.txt").write_text(str(len(children)))
"""
    done = someone.submit(script, "--output", "processes")
    assert done.returncode == 0, done.stderr
    count = int((someone.home / "project/processes/count.txt").read_text())
    assert count <= 256 + 96 * (os.cpu_count() or 1)


def test_endless_output_is_bounded_and_ends(someone: User) -> None:
    done = someone.submit("while True:\n    print('x' * 100_000, end='')\n", "--timeout", "3s", *SMALL_LIMITS)
    assert done.returncode in {6, 124}, done.stderr
    logs = [path for path in someone.jobs.rglob("*") if path.suffix in {".log", ".txt"}]
    assert sum(path.stat().st_size for path in logs if path.is_file()) < 200 * 2**20
    assert len(done.stderr) < 10_000


def test_links_and_pipes_among_the_outputs_are_left(someone: User) -> None:
    script = f"""{SAVE}
os.symlink("{someone.home}/.ssh/id_ed25519", out / "key")
os.symlink("/", out / "root")
os.mkfifo(out / "pipe")
(out / "good.txt").write_text("good")
"""
    done = someone.submit(script, "--output", "links")
    assert done.returncode == 0, done.stderr
    made = {path.name for path in (someone.home / "project/links").iterdir() if not path.name.startswith(".")}
    assert made == {"good.txt"}


def test_a_forged_result_reaches_nothing(someone: User) -> None:
    forged = {"unit": "../../../.ssh", "exit_code": 0, "outputs": [{"path": "../../authorized_keys", "size": 1}]}
    script = f"""{SAVE}
import signal
(out.parent / "result.json").write_text('{json.dumps(forged)}')
(out / "authorized_keys").write_text("x")
os.kill(os.getppid(), signal.SIGKILL)
"""
    done = someone.submit(script, "--output", "forged")
    assert done.returncode == 0, done.stderr  # the worker cannot be killed, and reports the real result
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in (someone.home / ".ssh").iterdir()) == ["id_ed25519"]
    assert someone.run("list").returncode == 0


def test_frames_are_the_same_bytes_as_without_the_flag(someone: User) -> None:
    scene = (
        "from manim import *\nclass Hello(Scene):\n    def construct(self):\n"
        "        self.add(Text('Hello 你好').to_edge(UP))\n        formula = MathTex(r'\\int_0^1 x^2\\,dx')\n"
        "        self.play(Write(formula))\n        self.play(FadeOut(formula))\n"
    )
    someone.write("scene.py", scene)
    for words in (("--output", "plain"), ("--output", "boxed", "--untrusted")):
        done = someone.run("submit", "scene.py", *SMALL, *words)
        assert done.returncode == 0, done.stderr
    plain, boxed = ((someone.home / "project" / name / "Hello.mp4").read_bytes() for name in ("plain", "boxed"))
    assert plain == boxed


def test_a_killed_guard_takes_the_sandbox_along(someone: User) -> None:
    marker = f"renderer-guarded-{os.getpid()}"
    someone.write("job.py", SLEEP.format(marker=marker))
    handle = someone.run("submit", "job.py", "--untrusted", "--detach").stdout.strip()
    until(lambda: "up" in someone.run("logs", handle).stdout)
    (guard,) = (
        process
        for process in find_processes("backends.local.isolation.guard")
        if any(str(someone.home) in word for word in process.info["cmdline"])
    )
    guard.kill()
    until(lambda: not find_processes(marker))
    assert someone.run("wait", handle).returncode == 16


def test_a_cancelled_job_leaves_no_process(someone: User) -> None:
    marker = f"renderer-cancelled-{os.getpid()}"
    someone.write("job.py", SLEEP.format(marker=marker))
    handle = someone.run("submit", "job.py", "--untrusted", "--detach").stdout.strip()
    until(lambda: "up" in someone.run("logs", handle).stdout)
    assert someone.run("cancel", handle).returncode == 0
    assert "cancelled" in someone.run("status", handle).stdout
    until(lambda: not find_processes(marker))


def test_without_bubblewrap_the_job_is_refused_with_the_line_that_installs_it(someone: User, tmp_path: Path) -> None:
    before = {path.name for path in someone.jobs.iterdir()}
    done = someone.submit("print(1)\n", PATH=str(tmp_path))
    assert done.returncode == 4, done.stderr
    assert "bwrap is not installed" in done.stderr
    assert "apt-get install bubblewrap" in done.stderr
    assert {path.name for path in someone.jobs.iterdir()} == before
