"""Attacks that try to reach something outside the job: each runs in a process of its own, for some seconds at most.

Argument: JSON about the host. Writes reach.json: for each attack "failed: …", or what it reached.
"""

import ctypes
import fcntl
import json
import os
import pathlib
import platform
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

HOST = json.loads(sys.argv[1])
SECONDS = 4
X86 = platform.machine() == "x86_64"
libc = ctypes.CDLL(None, use_errno=True)
attacks = {}


def attack(name):
    def add(function):
        assert name not in attacks
        attacks[name] = function
        return function

    return add


def call(x86, arm, *arguments):
    """Make a system call by its number on x86-64 and on 64-bit Arm."""
    number = x86 if X86 else arm
    if number is None:
        raise OSError("there is no such call on this machine")
    result = libc.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def refused(condition, reason):
    if condition:
        raise PermissionError(reason)


# Files of the host


def read(path):
    with open(path, "rb") as file:
        data = file.read(4096)
    refused(not data, "it is empty")
    return f"read {len(data)} bytes"


for secret in HOST["secrets"]:
    attack(f"read {secret}")(lambda path=secret: read(path))
    for way in ("/proc/self/root", "/proc/1/root", f"/proc/{HOST['pid']}/root", "/proc/1/cwd/../../../../../.."):
        attack(f"read {way}{secret}")(lambda path=way + secret: read(path))
    attack(f"read it by .. {secret}")(lambda path=secret: read("../" * 40 + path.lstrip("/")))

    @attack(f"hard link to {secret}")
    def _(path=secret):
        os.link(path, "/tmp/linked")
        return read("/tmp/linked")

    @attack(f"link to {secret}")
    def _(path=secret):
        os.symlink(path, "/tmp/symlinked")
        return read("/tmp/symlinked")


for name in ("/proc/kcore", "/proc/kmsg", "/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg", "/dev/sda", "/dev/vda",
             "/dev/nvme0n1", "/dev/loop0", "/etc/shadow", "/proc/1/environ", "/proc/1/mem", "/proc/1/maps",
             f"/proc/{HOST['pid']}/environ", f"/proc/{HOST['pid']}/cmdline", "/var/run/secrets/kubernetes.io/serviceaccount/token",
             "/root/.ssh/id_rsa", "/run/secrets/token", "/proc/vmallocinfo", "/proc/pagetypeinfo"):  # fmt: skip
    attack(f"read {name}")(lambda path=name: read(path))

for name in ("/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/dri/card0", "/dev/dri/renderD128", "/dev/kvm",
             "/dev/fuse", "/dev/loop-control", "/dev/vhost-net", "/dev/net/tun", "/dev/uinput", "/dev/snd/timer", "/dev/console",
             "/dev/hpet", "/dev/userfaultfd", "/dev/vsock", "/dev/cpu/0/msr", "/dev/mapper/control", "/dev/tty0", "/dev/rtc0"):  # fmt: skip
    attack(f"open {name}")(lambda path=name: os.close(os.open(path, os.O_RDWR)))

for name in HOST["others"]:
    attack(f"list {name}")(lambda path=name: " ".join(os.listdir(path)))


def write(path):
    with open(path, "w") as file:
        file.write("attacked")


for name in ("/attack", "/usr/bin/attack", "/etc/passwd", "/etc/ld.so.preload", "/etc/cron.d/attack", "/etc/profile.d/a.sh",
             "/var/spool/cron/crontabs/root", "/usr/lib/python3/dist-packages/sitecustomize.py", "/var/spool/cron/atjobs/a",
             "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sysrq-trigger", "/proc/sys/vm/overcommit_memory",
             "/proc/sys/fs/binfmt_misc/register", "/proc/sys/net/ipv4/ip_forward", "/proc/1/oom_score_adj", "/proc/1/comm",
             "/proc/sys/kernel/hostname", "/sys/kernel/uevent_helper", "/sys/power/state", "/sys/kernel/mm/ksm/run",
             "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/release_agent",
             "/sys/fs/cgroup/pids/cgroup.procs", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):  # fmt: skip
    attack(f"write {name}")(lambda path=name: write(path))

for folder in sorted(
    {pathlib.Path(json.__file__).parent, *(pathlib.Path(path) for path in sys.path if path.endswith("-packages"))}
):
    attack(f"write into Python: {folder}")(lambda path=folder: write(path / "sitecustomize.py"))
    attack(f"change Python: {folder}")(lambda path=folder: os.chmod(path, 0o777))

for name in HOST["inputs"]:
    attack(f"write {name}")(lambda path=name: write(path))
    attack(f"remove {name}")(lambda path=name: os.unlink(path))
    attack(f"own {name}")(lambda path=name: os.chmod(path, 0o777))
    attack(f"replace {name}")(lambda path=name: os.rename(path, path + ".old"))


@attack("hard link to a setuid program")
def _():
    os.link("/usr/bin/su", "/tmp/su")
    os.chmod("/tmp/su", 0o4777)


# Processes

attack("kill the host's process")(lambda: os.kill(HOST["pid"], 0))
attack("stop the host's process")(lambda: os.kill(HOST["pid"], signal.SIGSTOP))
attack("pidfd of the host's process")(lambda: call(434, 434, HOST["pid"], 0))
attack("ptrace the host's process")(lambda: call(101, 117, 16, HOST["pid"], 0, 0))
attack("ptrace process 1")(lambda: call(101, 117, 16, 1, 0, 0))
attack("seize process 1")(lambda: call(101, 117, 0x4206, 1, 0, 0))
attack("read another process")(lambda: call(310, 270, 1, None, 0, None, 0, 0))
attack("write another process")(lambda: call(311, 271, 1, None, 0, None, 0, 0))
attack("advise another process")(lambda: call(440, 440, 0, None, 0, 4, 0))
attack("compare processes")(lambda: call(312, 272, 1, os.getpid(), 0, 0, 0))
attack("limits of the host's process")(lambda: resource.prlimit(HOST["pid"], resource.RLIMIT_CPU, (1, 1)))
attack("priority of the host's process")(lambda: os.setpriority(os.PRIO_PROCESS, HOST["pid"], 19))
attack("cores of the host's process")(lambda: os.sched_setaffinity(HOST["pid"], {0}))
attack("real time")(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)))
attack("more limits")(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (2**20, 2**20)))
attack("lock all memory")(lambda: resource.setrlimit(resource.RLIMIT_MEMLOCK, (2**40, 2**40)))


@attack("core dump")
def _():
    resource.setrlimit(resource.RLIMIT_CORE, (2**30, 2**30))


@attack("memory of process 1")
def _():
    os.close(os.open("/proc/1/mem", os.O_RDWR))


@attack("code into process 1")
def _():
    with open("/proc/1/mem", "r+b") as file:
        file.seek(2**40)
        file.write(b"\xcc")


@attack("inherited files")
def _():
    kept = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if int(name) > 2 and not target.startswith(("pipe:", "/proc/", "anon_inode:", "/dev/null")):
            kept.append(target)
    refused(not kept, "only pipes")
    return " ".join(kept)


@attack("files of process 1")
def _():
    return " ".join(os.readlink(f"/proc/1/fd/{name}") for name in os.listdir("/proc/1/fd"))


@attack("input")
def _():
    refused(not sys.stdin or not os.read(0, 10), "it is empty")


# Rights

attack("become root")(lambda: os.setuid(0))
attack("become root as group")(lambda: os.setgid(0))
attack("groups")(lambda: os.setgroups([0, 42]))
attack("give away a file")(lambda: (open("/tmp/mine", "w").close(), os.chown("/tmp/mine", 0, 0)))
attack("chroot")(lambda: os.chroot("/tmp"))
attack("block device")(lambda: os.mknod("/tmp/block", 0o60600, os.makedev(254, 0)))
attack("character device")(lambda: os.mknod("/tmp/character", 0o20600, os.makedev(1, 1)))


@attack("capabilities")
def _():
    line = next(line for line in open("/proc/self/status") if line.startswith("CapEff"))
    refused(int(line.split()[1], 16) == 0, "there are none")
    return line.strip()


@attack("new rights by execve")
def _():
    line = next(line for line in open("/proc/self/status") if line.startswith("NoNewPrivs"))
    refused(line.split()[1] == "1", "they are off")


for words in (["su", "-c", "id", "root"], ["sudo", "-n", "id"], ["pkexec", "id"], ["mount", "-t", "tmpfs", "x", "/tmp"],
              ["newgrp", "root"], ["chsh", "-s", "/bin/sh"], ["crontab", "-"], ["at", "now"], ["batch"],
              ["systemd-run", "--user", "id"], ["systemd-run", "id"], ["systemctl", "status"], ["loginctl"],
              ["dbus-send", "--system", "--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.ListNames"],
              ["docker", "ps"], ["ping", "-c1", "127.0.0.1"], ["fusermount", "-V", "/tmp"], ["bwrap", "--ro-bind", "/", "/", "true"],
              ["unshare", "-Ur", "true"], ["nsenter", "-t", "1", "-m", "true"], ["dmesg"], ["modprobe", "loop"]):  # fmt: skip

    @attack(f"program {' '.join(words[:3])}")
    def _(words=words):
        if not shutil.which(words[0]):
            raise FileNotFoundError(words[0])
        subprocess.run(words, check=True, input=b"", capture_output=True, timeout=3)


@attack("setuid file of its own")
def _():
    shutil.copy("/usr/bin/id", "/tmp/id")
    os.chmod("/tmp/id", 0o4755)
    said = subprocess.run(["/tmp/id"], capture_output=True, text=True, check=True).stdout
    refused("uid=0" not in said and "euid=0" not in said, said)


# Namespaces and mounts

for kind, flag in (("user", 0x10000000), ("mount", 0x20000), ("network", 0x40000000), ("pid", 0x20000000),
                   ("ipc", 0x8000000), ("name", 0x4000000), ("control group", 0x2000000)):  # fmt: skip
    attack(f"new {kind} namespace")(lambda flag=flag: call(272, 97, flag))
    attack(f"new {kind} namespace by clone")(
        lambda flag=flag: call(56, 220, flag | signal.SIGCHLD, 0, 0, 0, 0) or os._exit(0)
    )
    attack(f"new {kind} namespace by clone3")(
        lambda flag=flag: call(435, 435, struct.pack("8Q", flag, 0, 0, 0, signal.SIGCHLD, 0, 0, 0), 64) or os._exit(0)
    )

attack("new time namespace")(lambda: call(272, 97, 0x80))
for name in ("user", "mnt", "net", "pid", "ipc", "uts", "cgroup"):

    @attack(f"enter the {name} namespace of process 1")
    def _(name=name):
        call(308, 268, os.open(f"/proc/1/ns/{name}", os.O_RDONLY), 0)


attack("mount tmpfs")(lambda: call(165, 40, b"none", b"/tmp", b"tmpfs", 0, None))
attack("mount proc")(lambda: call(165, 40, b"none", b"/tmp", b"proc", 0, None))
attack("bind mount")(lambda: call(165, 40, b"/", b"/tmp", None, 4096, None))
attack("remount writable")(lambda: call(165, 40, None, b"/", None, 32, None))
attack("unmount")(lambda: call(166, 39, b"/tmp", 2))
attack("pivot root")(lambda: call(155, 41, b"/tmp", b"/tmp"))
attack("open file system")(lambda: call(430, 430, b"tmpfs", 0))
attack("pick file system")(lambda: call(433, 433, -100, b"/", 0))
attack("open tree")(lambda: call(428, 428, -100, b"/", 1))
attack("move mount")(lambda: call(429, 429, -100, b"/tmp", -100, b"/mnt", 0))
attack("mount attributes")(lambda: call(442, 442, -100, b"/", 0, b"\0" * 32, 32))

# The kernel

attack("bpf")(lambda: call(321, 280, 0, b"\0" * 64, 64))
attack("io_uring")(lambda: call(425, 425, 1, b"\0" * 120))
attack("performance counters")(lambda: call(298, 241, b"\0" * 128, 0, -1, -1, 0))
attack("page faults")(lambda: call(323, 282, 1))
attack("file by handle")(lambda: call(304, 265, -100, b"\0" * 16, 0))
attack("handle of a file")(lambda: call(303, 264, -100, b"/", struct.pack("II", 128, 0) + b"\0" * 128, b"\0" * 8, 0))
attack("watch all files")(lambda: call(300, 262, 0, 0))
attack("load a module")(lambda: call(175, 105, b"", 0, b""))
attack("load a module from a file")(lambda: call(313, 273, 0, b"", 0))
attack("remove a module")(lambda: call(176, 106, b"loop", 0))
attack("another kernel")(lambda: call(246, 104, 0, 0, None, 0))
attack("another kernel from a file")(lambda: call(320, 294, 0, 0, 0, b"", 0))
attack("reboot")(lambda: call(169, 142, 0xFEE1DEAD, 672274793, 0, 0))
attack("ports")(lambda: call(172, None, 3))
attack("some ports")(lambda: call(173, None, 0, 16, 1))
attack("accounting")(lambda: call(163, 89, None))
attack("swap on")(lambda: call(167, 224, b"/tmp/mine", 0))
attack("swap off")(lambda: call(168, 225, b"/dev/sda1"))
attack("quotas")(lambda: call(179, 60, 0x800003 << 8, b"/dev/sda", 0, 0))
attack("host name")(lambda: socket.sethostname("attacked"))
attack("domain name")(lambda: call(171, 162, b"attacked", 8))
attack("kernel log")(lambda: call(103, 116, 3, ctypes.create_string_buffer(4096), 4096))
attack("clock")(lambda: time.clock_settime(time.CLOCK_REALTIME, 0))
attack("clock by settimeofday")(lambda: call(164, 170, b"\0" * 16, None))
attack("clock's speed")(lambda: call(159, 171, struct.pack("I4xq", 1, 5000) + b"\0" * 200) and None)
attack("hang up the terminal")(lambda: call(153, 58))


@attack("addresses of the kernel")
def _():
    lines = [line.split()[0] for line in open("/proc/kallsyms") if line.strip()]
    refused(not any(int(word, 16) for word in lines), "all are zero")


# Keys and memory that jobs share

attack("key in the user's ring")(lambda: call(248, 217, b"user", b"attack", b"x", 1, -4))
attack("the user's keys")(lambda: call(250, 219, 0, -4, 0))
attack("keys of the session")(lambda: call(250, 219, 11, -3, ctypes.create_string_buffer(100), 100))
attack("ask for a key")(lambda: call(249, 218, b"user", b"canary", None, -4))
attack("shared memory of System V")(lambda: call(29, 194, HOST["ipc"], 4096, 0o600))
attack("messages of System V")(lambda: call(68, 186, HOST["ipc"], 0o600))
attack("semaphores of System V")(lambda: call(64, 190, HOST["ipc"], 1, 0o600))
attack("POSIX messages of the host")(lambda: call(240, 180, b"renderer-canary", 0))
attack("POSIX memory of the host")(lambda: read("/dev/shm/" + HOST["shm"]))

# The network

for family, address in HOST["services"]:

    @attack(f"connect {address}")
    def _(family=family, address=address):
        with socket.socket(family) as client:
            client.settimeout(2)
            client.connect(tuple(address) if isinstance(address, list) else address)


for address in (
    ["169.254.169.254", 80],
    ["1.1.1.1", 443],
    ["2606:4700:4700::1111", 443],
    ["10.96.0.1", 443],
    ["172.17.0.1", 22],
):

    @attack(f"connect {address}")
    def _(address=address):
        with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as client:
            client.settimeout(1)
            client.connect(tuple(address))


@attack("ask a name server")
def _():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.sendto(b"\0\1\1\0\0\1\0\0\0\0\0\0\3www\7example\3org\0\0\1\0\1", ("8.8.8.8", 53))
        client.recv(512)


attack("name lookup")(lambda: socket.getaddrinfo("www.example.org", 443))
attack("name of the host")(lambda: socket.create_connection((HOST["name"], HOST["port"]), 1).close())
attack("raw socket")(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close())
attack("packets")(lambda: socket.socket(17, socket.SOCK_RAW, 0x300).close())
attack("hypervisor socket")(lambda: socket.socket(40, socket.SOCK_STREAM).close())
attack("kernel crypto")(lambda: socket.socket(38, socket.SOCK_SEQPACKET).close())
attack("bluetooth")(lambda: socket.socket(31, socket.SOCK_RAW, 1).close())
attack("express data path")(lambda: socket.socket(44, socket.SOCK_RAW, 0).close())
attack("network by name")(lambda: socket.socket(30, socket.SOCK_STREAM).close())  # TIPC

for name in ("\0/tmp/.X11-unix/X0", "/tmp/.X11-unix/X0", "/run/user/0/wayland-0", "/run/user/1000/wayland-0",
             "/run/user/1000/bus", "\0/org/freedesktop/systemd1", "/run/dbus/system_bus_socket", "/run/systemd/private",
             "/var/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock", "/run/crio/crio.sock",
             "/run/user/1000/gnupg/S.gpg-agent", "/run/user/1000/keyring/ssh", "/dev/log", "/run/snapd.socket",
             "/run/nscd/socket", "/var/run/nvidia-persistenced/socket", "/tmp/nvidia-mps/control"):  # fmt: skip

    @attack(f"service {name!r}")
    def _(name=name):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(name)


@attack("network device")
def _():
    with socket.socket(16, socket.SOCK_RAW, 0) as netlink:
        body = struct.pack("BBHiII", 0, 0, 0, 0, 0, 0) + struct.pack("HH", 10, 3) + b"dummy0\0\0"
        netlink.send(struct.pack("IHHII", 16 + len(body), 16, 0x605, 1, 0) + body)
        code = struct.unpack_from("i", netlink.recv(4096), 16)[0]
        if code:
            raise OSError(-code, os.strerror(-code))


@attack("events of the kernel")
def _():
    with socket.socket(16, socket.SOCK_RAW, 15) as netlink:
        netlink.bind((0, 1))
        refused(not select.select([netlink], [], [], 0.5)[0], "there are none")


# The terminal and variables


@attack("input of a terminal")
def _():
    fcntl.ioctl(os.open("/dev/tty", os.O_RDWR), 0x5412, b"x")


@attack("input of its own terminal")
def _():
    fcntl.ioctl(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY), 0x5412, b"x")


@attack("selection of a console")
def _():
    fcntl.ioctl(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY), 0x541C, b"\2")


@attack("input by a padded request")
def _():
    request = ctypes.c_ulong(0xFFFFFFFF00005412)
    if libc.ioctl(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY), request, b"x") < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@attack("variables of the submitter")
def _():
    found = [key for key, value in os.environ.items() if HOST["word"] in value]
    refused(not found, "there are none")
    return " ".join(found)


@attack("the word in any file of /proc")
def _():
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/*"):
        if path.name in {"environ", "cmdline", "comm", "mountinfo"}:
            try:
                text = path.read_bytes()
            except OSError:
                continue
            if (
                HOST["word"].encode() in text
                and str(os.getpid()) not in path.parts
                and sys.argv[1].encode() not in text
            ):
                found.append(str(path))
    refused(not found, "it is in none")
    return " ".join(found)


# Memory and disks that hide from limits: what is used must count


def measure(name):
    """An attack that is bounded: it returns how much it got."""
    return attack(f"amount: {name}")


@measure("files open")
def _():
    files = []
    try:
        while len(files) < 200_000:
            files.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    return len(files)


@measure("threads")
def _():
    import threading

    stop, count = threading.Event(), 0
    try:
        while count < HOST["threads"]:
            threading.Thread(target=stop.wait, daemon=True).start()
            count += 1
    except (RuntimeError, MemoryError):
        pass
    stop.set()
    return count


@measure("size of a file")
def _():
    with tempfile.TemporaryFile() as file:
        size = 0
        try:
            for power in range(20, 50):
                file.truncate(2**power)
                size = 2**power
        except OSError:
            pass
    return size


def run(function):
    """Run an attack in a process of its own; return what came of it."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            text = str(function() or "done")
        except BaseException as error:
            text = f"failed: {type(error).__name__}: {error}"
        os.write(write_end, text.encode("utf-8", "replace")[:4000])
        os._exit(0)
    os.close(write_end)
    ready, _, _ = select.select([read_end], [], [], SECONDS)
    text = os.read(read_end, 4096).decode("utf-8", "replace") if ready else "failed: it hangs"
    os.close(read_end)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return text or "failed: it was ended"


found = {name: run(function) for name, function in attacks.items()}
pathlib.Path(os.environ["RENDERER_OUTPUT_DIR"], "reach.json").write_text(json.dumps(found, indent=1))
print(len(found), "attacks")
