"""Notices when a scene touches the world outside it while frames are stepped: parent and child would both do it."""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from renderer.engine.abort import Unfit

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_TOUCHING = {
    "os.exec", "os.fork", "os.link", "os.mkdir", "os.posix_spawn", "os.remove", "os.rename", "os.rmdir", "os.symlink",
    "os.system", "os.truncate", "shutil.move", "socket.bind", "socket.connect", "sqlite3.connect", "subprocess.Popen",
}  # fmt: skip
_CHANGING = {"os.remove", "os.rename", "os.truncate"}
_APART = (mmap.ACCESS_READ, mmap.ACCESS_COPY)
_HARMLESS = ("/dev/", "/proc/")


class _Watch:
    installed = False
    depth = 0  # above zero while the scene's own code steps through a play
    pardons = 0  # above zero while Manim or we do what the others would be blamed for
    held: str | None = None  # what the scene has got hold of that no hook tells of any more
    settle: Callable[[], object] = bool  # waits for the painters of all plays so far


def watch() -> None:
    """Start to watch this process and those forked from it. Python's audit hooks stay for good."""
    _Watch.settle = bool
    _Watch.depth, _Watch.pardons, _Watch.held = 0, 0, None
    if not _Watch.installed:
        _Watch.installed = True
        sys.addaudithook(_audit)


def settle_by(settle: Callable[[], object]) -> None:
    """Wait for painters by ``settle`` before a scene changes a file between plays: they may read it late."""
    _Watch.settle = settle


@contextmanager
def stepping() -> Iterator[None]:
    """Refuse, by Unfit, what reaches outside within the block."""
    if _Watch.held:
        raise Unfit(_Watch.held)
    _Watch.depth += 1
    try:
        yield
    finally:
        _Watch.depth -= 1


@contextmanager
def pardoned() -> Iterator[None]:
    """Allow it all within the block."""
    _Watch.pardons += 1
    try:
        yield
    finally:
        _Watch.pardons -= 1


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if event == "sqlite3.connect":
        _Watch.held = "it has a database open"
    if event == "mmap.__new__":
        _mapped(arguments[2])
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING
    if _Watch.pardons or not (writes or event in _TOUCHING):
        return
    if _Watch.depth:
        _refuse("writes a file" if writes else f"calls {event}", arguments)
    elif (writes or event in _CHANGING) and _is_there(arguments[0]):
        with pardoned():
            _Watch.settle()


def _mapped(access: object) -> None:
    if not _Watch.pardons and access not in _APART:
        _Watch.held = "it has memory that it would share with those who paint"
        if _Watch.depth:
            raise Unfit(_Watch.held)


def _is_there(path: object) -> bool:
    return isinstance(path, str | bytes | os.PathLike) and os.path.exists(path)  # noqa: PTH110  # bytes, too


def _refuse(what: str, arguments: tuple[object, ...]) -> None:
    path = str(arguments[0]) if arguments else ""
    if not path.startswith(_HARMLESS) and "__pycache__" not in path:
        raise Unfit(f"it {what} while frames are made")
