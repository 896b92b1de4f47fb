"""Notices side effects of a scene while it is stepped, such as writing a file: chunk renderers would repeat them."""

from __future__ import annotations

import mmap
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeGuard

from renderer.engine.abort import StopRecord, Unfit, UnfitFromHere

_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_SIDE_EFFECTS = {  # events of Python's audit table
    "os.exec", "os.fork", "os.link", "os.mkdir", "os.posix_spawn", "os.remove", "os.rename", "os.rmdir", "os.symlink",
    "os.system", "os.truncate", "shutil.move", "socket.bind", "socket.connect", "sqlite3.connect", "subprocess.Popen",
}  # fmt: skip
_WATCHED = frozenset({*_SIDE_EFFECTS, "mmap.__new__", "open"})
# Their children never go on with the scene.
_FORKING_MODULES = {"multiprocessing.popen_fork", "renderer.engine.ahead.typesetting"}
_FILE_CHANGES = {"os.remove", "os.rename", "os.truncate"}
_PRIVATE_MAPPINGS = (mmap.ACCESS_READ, mmap.ACCESS_COPY)
_HARMLESS_PATHS = ("/dev/", "/proc/")
_SLOTS = "/proc/self/fd/"  # where the engine opens the files of its slots


class SideEffectGuard:
    """Watches one scene through Python's audit events (``sys.addaudithook``), from its construction on.

    A side effect within a play raises Unfit. So does reading a file that was written since the play began: libraries
    in C write without an audit event. Between plays a scene may write files. Before it changes an existing file,
    ``wait_for_chunks`` is called, because chunk renderers may still have to read the old content. A database or shared
    memory can be used without further audit events, so that one that is open raises Unfit when the next play begins.
    """

    def __init__(self, stops: StopRecord) -> None:
        self.wait_for_chunks: Callable[[], None] | None = None
        self._stops = stops
        self._stepping = 0  # depth of ``stepping`` blocks
        self._began_ns = 0  # when the play began, in nanoseconds since the epoch
        self._allowed = 0  # depth of ``allowed`` blocks
        self._only_forks = False
        self._open_resource: str | None = None
        self.count = 0  # of all side effects so far, allowed ones too
        self._watch()

    def _watch(self) -> None:
        """Install the audit hook, which cannot be removed. It must be fast: each call of ``id`` is an event, too."""
        audit = self._audit

        def hook(event: str, arguments: tuple[object, ...], watched: frozenset[str] = _WATCHED) -> None:
            if event in watched:
                audit(event, arguments)

        sys.addaudithook(hook)

    @contextmanager
    def stepping(self) -> Iterator[None]:
        """Raise Unfit for each side effect within the block, which runs the scene's code for a play."""
        if self._open_resource and not self._only_forks:
            self._stops.raise_stop(UnfitFromHere(self._open_resource))
        self._stepping += 1
        self._began_ns = time.time_ns()
        try:
            yield
        finally:
            self._stepping -= 1

    def refuse_between_plays(self) -> None:
        """Raise Unfit for side effects between plays as well, in a chunk renderer that goes on to the next play."""
        self._stepping += 1

    def refuse_only_forks(self) -> None:
        """Allow all other side effects from now on: no other process goes on with the scene."""
        self._only_forks = True

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Allow side effects within the block, which runs code of Manim or of the engine."""
        self._allowed += 1
        try:
            yield
        finally:
            self._allowed -= 1

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "sqlite3.connect":
            self._open_resource = "it has a database open"
        if event == "mmap.__new__":
            self._audit_mapping(arguments[2])
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITE_FLAGS
        if event == "open" and not writes and self._stepping and not self._allowed and not self._only_forks:
            self._audit_read(arguments[0])
        if not (writes or event in _SIDE_EFFECTS) or (writes and str(arguments[0]).startswith(_SLOTS)):
            return
        self.count += 1
        if self._allowed:
            return
        if event == "os.fork" and _name_forking_module() not in _FORKING_MODULES:
            self._stops.raise_stop(Unfit("it forks its process"))  # the child would share the engine's pipes
        if self._only_forks:
            return
        if self._stepping:
            self._refuse("writes a file" if writes else f"calls {event}", arguments)
        elif (writes or event in _FILE_CHANGES) and _exists(arguments[0]) and self.wait_for_chunks:
            with self.allowed():
                self.wait_for_chunks()

    def _audit_mapping(self, access: object) -> None:
        if not self._allowed and not self._only_forks and access not in _PRIVATE_MAPPINGS:
            self._open_resource = "it has memory that it would share with the processes that draw"
            if self._stepping:
                self._stops.raise_stop(UnfitFromHere(self._open_resource))

    def _audit_read(self, path: object) -> None:
        if _exists(path) and os.stat(path).st_mtime_ns > self._began_ns:  # noqa: PTH116  # bytes, too
            self._refuse("reads a file that is written", (path,))

    def _refuse(self, action: str, arguments: tuple[object, ...]) -> None:
        path = str(arguments[0]) if arguments else ""
        if not path.startswith(_HARMLESS_PATHS) and "__pycache__" not in path:
            self._stops.raise_stop(UnfitFromHere(f"it {action} while frames are made"))


def _exists(path: object) -> TypeGuard[str | bytes | os.PathLike[str]]:
    return isinstance(path, str | bytes | os.PathLike) and os.path.exists(path)  # noqa: PTH110  # bytes, too


def _name_forking_module() -> object:
    """Return the name of the module whose code calls ``os.fork``: below this are ``_audit`` and the hook."""
    return sys._getframe(3).f_globals.get("__name__")  # noqa: SLF001  # no other function gives a frame
