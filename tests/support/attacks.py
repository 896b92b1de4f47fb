"""Backends in one mode each, and this machine as hostile jobs see it."""

from __future__ import annotations

import ctypes
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.rigs.base import Rig
from support.untrusted import Services

from renderer.api import Job

# What a container has of its own, and calls that filters of engines allow; it is no border of a job without the flag.
_CONTAINER = {
    *("read /etc/shadow", "read /proc/vmallocinfo", "read /proc/pagetypeinfo", "list /root/.ssh", "core dump"),
    *("become root", "become root as group", "give away a file", "program newgrp root", "setuid file of its own"),
    *("new user namespace", "new user namespace by clone", "new user namespace by clone3", "the user's keys"),
    *("keys of the session", "hypervisor socket", "io_uring"),
}
# What gVisor shows and allows: it is a kernel of the container's own.
_SANDBOX = {
    *("read /proc/1/environ", "read /proc/1/maps", "files of process 1", "open /dev/fuse", "open /dev/net/tun"),
    *("block device", "character device"),
}
# The same in a pod of Kubernetes: gVisor answers the system calls that a filter of the container would refuse.
_SANDBOX_OF_POD = {
    *("open /dev/fuse", "open /dev/net/tun", "read another process", "write another process", "kernel log"),
    *("program unshare -Ur true", "program dmesg", "new user namespace", "new user namespace by clone"),
    *("new user namespace by clone3", "new mount namespace by clone", "new mount namespace by clone3"),
    *("new control group namespace", "new time namespace"),
}


@dataclass(frozen=True)
class Case:
    """A backend in one mode."""

    rig: Rig
    untrusted: bool
    options: dict[str, Any] = field(default_factory=dict)

    def submit(self, path: Path, *arguments: str, **more: Any) -> Job:
        """Submit a hostile script."""
        return self.rig.submit(path, arguments=arguments, untrusted=self.untrusted, **{**self.options, **more})

    @property
    def inside(self) -> set[str]:
        """The attacks of reach.py that may succeed, because what they reach belongs to the job."""
        if not self.untrusted:
            return _CONTAINER
        return {"docker": _SANDBOX, "k8s": _SANDBOX_OF_POD}.get(self.rig.backend, set())

    @property
    def is_apart(self) -> bool:
        """Whether the backend keeps the job from this machine, here: the fake of Modal does not."""
        return self.rig.backend in {"docker", "k8s"} or (self.rig.backend == "local" and self.untrusted)


@dataclass(frozen=True)
class Host:
    """This machine, as hostile jobs are told about it."""

    home: Path
    services: Services
    process: subprocess.Popen[bytes]
    shared: int
    word: str
    ipc: int
    shm: Path

    def describe(self, case: Case) -> dict[str, Any]:
        """Return what the scripts get as their argument."""
        addresses = [[socket.AF_INET, ["127.0.0.1", self.services.port]], [socket.AF_UNIX, self.services.abstract]]
        addresses += [[socket.AF_UNIX, self.services.path]]
        if self.services.port6:
            addresses.append([socket.AF_INET6, ["::1", self.services.port6]])
        return {
            "secrets": [str(self.home / "secret.txt")],
            "others": [str(self.home), "/root/.ssh"],
            "pid": self.process.pid,
            "word": self.word,
            "inputs": ["/job/inputs/task.json", "/job/inputs/bundle.tar.zst"],
            "ipc": self.ipc,
            "shm": self.shm.name,
            "services": addresses,
            "name": socket.gethostname(),
            "port": self.services.port,
            "folders": 4 if case.is_apart else 2,
            # Each thread costs gVisor memory of the container: with 3,000 it would be ended, and say nothing.
            "threads": 300 if case.untrusted and case.rig.backend in {"docker", "k8s"} else 3000,
        }

    def assert_untouched(self) -> None:
        """Assert that nothing that the jobs looked for has changed."""
        assert self.services.visits == 0
        assert self.process.poll() is None
        assert Path(f"/proc/{self.process.pid}/stat").read_text().split()[2] == "S"
        assert (self.home / "secret.txt").read_text() == self.word
        assert {path.name for path in self.home.iterdir()} == {"secret.txt", "service"}
        assert self.shm.read_text() == self.word
        assert not Path("/attack").exists()


@contextmanager
def shared_memory(key: int) -> Iterator[int]:
    libc = ctypes.CDLL(None)
    found = libc.shmget(key, 4096, 0o600 | 0o1000)
    try:
        yield found
    finally:
        libc.shmctl(found, 0, None)
