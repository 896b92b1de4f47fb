"""A forked process that renders a scene from the beginning if its parallel render has to stop.

It is forked before the scene's file is run, and has Manim imported already. Until it is needed, it waits.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from typing import Any, Generic, NoReturn, TypeVar

from backends.errors import RendererError
from renderer.engine.errors import SceneError
from renderer.engine.process.exit import end_process, leave_exit_to_fallback, prepare_exit
from renderer.engine.process.scene_process import prepare_child

ArgumentT = TypeVar("ArgumentT")
ResultT = TypeVar("ResultT")

POLL_INTERVAL_S = 0.05

_log = logging.getLogger(__name__)


class FallbackProcess(Generic[ArgumentT, ResultT]):
    """The fallback process. The constructor forks it; ``run`` calls ``work`` in it. Without ``run`` it only waits."""

    def __init__(self, work: Callable[[ArgumentT], ResultT]) -> None:
        self._pipe, end_of_child = Pipe()
        parent = os.getpid()
        sys.stdout.flush()  # otherwise the child would print it again
        sys.stderr.flush()
        self._pid = os.fork()
        if not self._pid:
            prepare_child(parent)
            self._pipe.close()
            _serve(work, end_of_child)
        end_of_child.close()

    def run(self, argument: ArgumentT) -> ResultT:
        """Call ``work`` with the argument in the process, and return its result. Call it only once.

        A RendererError that ``work`` raises is raised here as well. Any other exception, or an early end of the
        process, is raised as SceneError.
        """
        _log.debug("the fallback process %d renders the scene: %s", self._pid, argument)
        leave_exit_to_fallback()
        sys.stdout.flush()
        sys.stderr.flush()
        self._pipe.send(argument)
        answer, code = None, None
        while answer is None and code is None:
            code = self._reap(os.WNOHANG)  # first: a process that the scene started may keep the pipe open
            with suppress(EOFError):
                answer = self._pipe.recv() if self._pipe.poll(POLL_INTERVAL_S) else None
        if answer is None:
            raise SceneError(f"the scene ended its process (exit code {code})", hint="read what it printed in the log")
        if code is None:
            self._reap()
        succeeded, result = answer
        if not succeeded:
            raise result
        return result  # type: ignore[no-any-return]

    def close(self) -> None:
        """Kill the process, if it still runs."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self._reap()
        self._pipe.close()

    def _reap(self, flags: int = 0) -> int | None:
        """Return the exit code of the process; with ``WNOHANG``, None while it runs."""
        pid, status = os.waitpid(self._pid, flags)
        if not pid:
            return None
        self._pid = 0
        return os.waitstatus_to_exitcode(status)


def _serve(work: Callable[[ArgumentT], object], pipe: Any) -> NoReturn:  # Connection is generic only since Python 3.13
    """Wait for the argument, call ``work``, send what it returns or raises, and end the process."""
    try:
        argument = pipe.recv()
    except EOFError:
        os._exit(0)
    prepare_exit()
    try:
        answer: tuple[bool, object] = (True, work(argument))
    except RendererError as error:
        answer = (False, error)
    except BaseException as error:  # noqa: BLE001  # what a scene raises may not be picklable
        lines = "".join(traceback.format_exception(error))
        answer = (False, SceneError(f"{type(error).__name__}: {error}", lines=lines))
    pipe.send(answer)
    end_process(0)
