"""A forked process that waits with Manim freshly imported, in case the scene has to be rendered again from scratch."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from typing import Any, NoReturn, TypeVar

from backends.errors import RendererError
from renderer.engine.errors import SceneError
from renderer.engine.process.fork import end_scene, leave_end_to_another, settle_child

ResultT = TypeVar("ResultT")

POLL_S = 0.05


class Standby:
    """Forked when it is made. ``run`` calls ``work`` there with one argument; what it returns or raises comes back."""

    def __init__(self, work: Callable[[Any], ResultT]) -> None:
        self._pipe, its = Pipe()
        parent = os.getpid()
        sys.stdout.flush()  # or the child would print it, too
        sys.stderr.flush()
        self._pid = os.fork()
        if not self._pid:
            settle_child(parent)
            self._pipe.close()
            _serve(work, its)
        its.close()

    def run(self, argument: Any) -> Any:
        """Wake the process and wait. SceneError where the scene raised; our own errors as they are."""
        leave_end_to_another()
        sys.stdout.flush()
        sys.stderr.flush()
        self._pipe.send(argument)
        answer, code = None, None
        while answer is None and code is None:
            code = self._reap(os.WNOHANG)  # asked first; a process of the scene may hold the pipe open
            with suppress(EOFError):
                answer = self._pipe.recv() if self._pipe.poll(POLL_S) else None
        if answer is None:
            raise SceneError(f"the scene ended its process ({code})", hint="the log holds what it printed")
        if code is None:
            self._reap()
        good, result = answer
        if good:
            return result
        raise result

    def close(self) -> None:
        """End the process."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self._reap()
        self._pipe.close()

    def _reap(self, flags: int = 0) -> int | None:
        """Give the process' exit code; with ``WNOHANG`` None while it runs."""
        pid, status = os.waitpid(self._pid, flags)
        if not pid:
            return None
        self._pid = 0
        return os.waitstatus_to_exitcode(status)


def _serve(work: Callable[[Any], object], pipe: Any) -> NoReturn:  # Connection's type has two parameters since 3.13
    try:
        argument = pipe.recv()
    except EOFError:
        os._exit(0)
    try:
        result: tuple[bool, object] = (True, work(argument))
    except RendererError as error:
        result = (False, error)
    except BaseException as error:  # noqa: BLE001  # whatever a scene raises goes to the parent as text
        lines = "".join(traceback.format_exception(error))
        result = (False, SceneError(f"{type(error).__name__}: {error}", lines=lines))
    pipe.send(result)
    end_scene(0)
