"""What a hostile script tries inside. It writes what came of each attempt to probe.json: "done", or why it failed."""

import ctypes
import json
import os
import pathlib
import platform
import socket
import subprocess
import sys

WANTED = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
found = {}


def attempt(name):
    def run(function):
        try:
            found[name] = str(function() or "done")
        except BaseException as error:
            found[name] = f"failed: {type(error).__name__}: {error}"

    return run


def call(x86, arm, *arguments):
    if libc.syscall(x86 if platform.machine() == "x86_64" else arm, *arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


for path in WANTED["read"]:
    attempt(f"read {path}")(lambda path=path: pathlib.Path(path).read_text() or "done")
for path in WANTED["write"]:
    attempt(f"write {path}")(lambda path=path: pathlib.Path(path).write_text("attacked") and None)
for path in WANTED["list"]:
    attempt(f"list {path}")(lambda path=path: " ".join(os.listdir(path)))
for address in WANTED["connect"]:
    attempt(f"connect {address}")(lambda address=address: socket.create_connection(address, 2).close())
for name in WANTED["unix"]:

    @attempt(f"unix {name!r}")
    def _(name=name):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(name)


@attempt("environments")
def _():
    texts = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        for name in ("environ", "cmdline"):
            try:
                texts.append((process / name).read_text(errors="replace"))
            except OSError:
                continue
    return json.dumps(texts)


@attempt("name lookup")
def _():
    socket.getaddrinfo("example.org", 443)


@attempt("processes")
def _():
    return len(list(pathlib.Path("/proc").glob("[0-9]*")))


@attempt("root")
def _():
    os.setuid(0)


@attempt("setuid program")
def _():
    subprocess.run(["su", "-c", "id -u", "root"], capture_output=True, check=True, input=b"", timeout=10)


@attempt("chroot")
def _():
    os.chroot("/tmp")


@attempt("device")
def _():
    os.mknod("/tmp/device", 0o600 | 0o060000, os.makedev(254, 0))
    pathlib.Path("/tmp/device").read_bytes()


attempt("ptrace")(lambda: call(101, 117, 16, os.getppid(), 0, 0))
attempt("read another process")(lambda: call(310, 270, os.getppid(), None, 0, None, 0, 0))
attempt("mount")(lambda: call(165, 40, b"none", b"/tmp", b"tmpfs", 0, 0))
attempt("unmount")(lambda: call(166, 39, b"/tmp", 2))
attempt("user namespace")(lambda: call(272, 97, 0x10000000))
attempt("user namespace by clone")(lambda: call(56, 220, 0x10000000 | 17, 0, 0, 0, 0))
attempt("key")(lambda: call(250, 219, 0, -3, 1))
attempt("bpf")(lambda: call(321, 280, 0, 0, 0))
attempt("io_uring")(lambda: call(425, 425, 1, 0))
attempt("performance counters")(lambda: call(298, 241, 0, 0, -1, -1, 0))
attempt("file by handle")(lambda: call(304, 265, 0, 0, 0))
attempt("host name")(lambda: socket.sethostname("attacked"))
attempt("clock")(lambda: __import__("time").clock_settime(0, 0))
attempt("vsock")(lambda: socket.socket(40, socket.SOCK_STREAM).close())
attempt("raw socket")(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close())
attempt("kernel crypto")(lambda: socket.socket(38, socket.SOCK_SEQPACKET).close())


@attempt("terminal input")
def _():
    import fcntl

    fcntl.ioctl(os.open("/dev/tty", os.O_RDWR), 0x5412, b"x")


@attempt("kernel switch")
def _():
    pathlib.Path("/proc/sys/kernel/core_pattern").write_text("|/tmp/attack")


@attempt("priority")
def _():
    os.nice(-5)


pathlib.Path(os.environ["RENDERER_OUTPUT_DIR"], "probe.json").write_text(json.dumps(found))
