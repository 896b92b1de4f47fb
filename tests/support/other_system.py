"""Makes this process's own modules see another system: without the modules and functions that Windows does not have.

``python -m support.other_system win32 -c CODE`` runs code there. Paths stay those of the real system, and only modules
of ``backends`` and ``renderer`` are shown the other one: the libraries that they use support it themselves.
"""

from __future__ import annotations

import builtins
import fcntl
import os
import signal
import sys
import time
import types
from collections.abc import Callable
from typing import Any

HIDDEN = {"fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"}
NOT_ON_WINDOWS = {
    os: {
        *("O_CLOEXEC", "O_DIRECTORY", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK", "O_SYNC", "WNOHANG", "P_ALL", "WEXITED"),
        *("chown", "confstr", "fchdir", "fchmod", "fchown", "fork", "forkpty", "getegid", "geteuid", "getgid"),
        *("getgroups", "getloadavg", "getpgid", "getpgrp", "getpriority", "getresuid", "getsid", "getuid", "killpg"),
        *("lchown", "mkfifo", "mknod", "nice", "openpty", "pathconf", "posix_fallocate", "posix_spawn", "pread"),
        *("pwrite", "readv", "register_at_fork", "sched_getaffinity", "sched_setaffinity", "sendfile", "setpgid"),
        *("setpriority", "setsid", "setuid", "statvfs", "sysconf", "uname", "wait3", "waitid", "writev"),
        *(
            "memfd_create",
            "pidfd_open",
            "prctl",
            "eventfd",
            "getxattr",
            "listxattr",
            "setxattr",
            "pipe2",
            "set_blocking",
        ),
    },
    signal: {"SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGSTOP", "SIGUSR1", "pthread_sigmask", "sigwait", "alarm"},
    time: {"clock_gettime", "tzset"},
}
WITHOUT_DESCRIPTORS = ("chmod", "link", "mkdir", "open", "readlink", "rename", "replace", "rmdir", "stat", "unlink")


class _Shown(types.ModuleType):
    """A module as the other system has it."""

    def __init__(self, real: types.ModuleType, hidden: set[str], changed: dict[str, object]) -> None:
        super().__init__(real.__name__)
        self.__dict__.update({"_real": real, "_hidden": hidden, "_changed": changed})

    def __getattr__(self, name: str) -> Any:
        if name in self._hidden:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on this system", name=name)
        return self._changed[name] if name in self._changed else getattr(self._real, name)


def show_system(platform: str) -> None:
    """Show the system to all modules of ours that are imported from now on."""
    shown: dict[str, types.ModuleType] = {"sys": _Shown(sys, set(), {"platform": platform})}
    if platform == "win32":
        for real, hidden in NOT_ON_WINDOWS.items():
            changed = _refuse_descriptors() if real is os else {}
            shown[real.__name__] = _Shown(real, hidden, changed)
        shown["msvcrt"] = _make_msvcrt()
    else:
        shown["os"] = _Shown(os, {"sched_getaffinity", "memfd_create", "pidfd_open", "O_TMPFILE", "listxattr"}, {})
    original = builtins.__import__

    def load(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:  # noqa: A002
        importer = (globals or {}).get("__name__", "")
        if level == 0 and importer.partition(".")[0] in {"backends", "renderer", "__main__"}:
            if platform == "win32" and name in HIDDEN:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            if name in shown:
                return shown[name]
        return original(name, globals, locals, fromlist, level)

    builtins.__import__ = load


def _make_msvcrt() -> types.ModuleType:
    """Return Windows's module, as far as it locks files."""

    def lock(descriptor: int, mode: int, _size: int) -> None:
        try:
            fcntl.flock(descriptor, mode)
        except BlockingIOError:
            raise PermissionError(13, "Permission denied") from None

    module = types.ModuleType("msvcrt")
    module.__dict__.update({"locking": lock, "LK_NBLCK": fcntl.LOCK_EX | fcntl.LOCK_NB})
    return module


def _refuse_descriptors() -> dict[str, object]:
    """Return functions of os that refuse what Windows cannot do: names relative to an open folder."""

    def refuse(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if {"dir_fd", "src_dir_fd", "dst_dir_fd"} & {key for key, value in options.items() if value is not None}:
                raise NotImplementedError(f"os.{function.__name__}: dir_fd is not available on this system")
            return function(*arguments, **options)

        return call

    def scan(path: Any = ".") -> Any:
        if isinstance(path, int):
            raise NotImplementedError("os.scandir: a descriptor is not available on this system")
        return os.scandir(path)

    changed: dict[str, object] = {name: refuse(getattr(os, name)) for name in WITHOUT_DESCRIPTORS}
    return {**changed, "scandir": scan, "supports_dir_fd": set(), "supports_fd": set(), "name": "nt"}


def main() -> None:
    """Run the code of the command line."""
    _, platform, _, code, *arguments = sys.argv
    show_system(platform)
    sys.argv = ["-c", *arguments]
    exec(compile(code, "<code>", "exec"), {"__name__": "__main__"})  # noqa: S102  # a test's own code


if __name__ == "__main__":
    main()
