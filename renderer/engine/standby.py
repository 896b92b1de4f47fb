"""A forked process that waits with Manim freshly imported, in case the scene has to be rendered again from scratch."""

from __future__ import annotations

import os
import pickle
import traceback
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from backends.errors import RendererError
from renderer.engine.errors import SceneError
from renderer.engine.process import settle_child

ResultT = TypeVar("ResultT")


class Standby:
    """Forked when it is made. ``run`` calls ``work`` there with one argument; what it returns or raises comes back."""

    def __init__(self, work: Callable[[Any], ResultT]) -> None:
        request_read, self._request = os.pipe()
        self._answer, answer_write = os.pipe()
        parent = os.getpid()
        self._pid = os.fork()
        if not self._pid:
            settle_child(parent)
            os.close(self._request)
            os.close(self._answer)
            _serve(work, request_read, answer_write)
        os.close(request_read)
        os.close(answer_write)

    def run(self, argument: Any) -> Any:
        """Wake the process and wait. SceneError where the scene raised; our own errors as they are."""
        with os.fdopen(self._request, "wb") as stream:
            pickle.dump(argument, stream)
        self._request = -1
        with os.fdopen(self._answer, "rb", closefd=False) as stream:
            answer = stream.read()
        if not answer:
            raise SceneError(f"the scene ended its process ({self._end()})", hint="the log holds what it printed")
        good, result = pickle.loads(answer)  # noqa: S301  # written by our own fork
        if good:
            return result
        raise result

    def close(self) -> None:
        """Let the process go."""
        self._close_request()
        os.close(self._answer)
        if self._pid:
            self._end()

    def _close_request(self) -> None:
        if self._request >= 0:
            os.close(self._request)
            self._request = -1

    def _end(self) -> int:
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)


def _serve(work: Callable[[Any], object], request: int, answer: int) -> NoReturn:
    try:
        with os.fdopen(request, "rb") as stream:
            argument = pickle.load(stream)  # noqa: S301  # written by our own parent
    except EOFError:
        os._exit(0)
    try:
        result: tuple[bool, object] = (True, work(argument))
    except RendererError as error:
        result = (False, error)
    except BaseException as error:  # noqa: BLE001  # whatever a scene raises goes to the parent as text
        lines = "".join(traceback.format_exception(error))
        result = (False, SceneError(f"{type(error).__name__}: {error}", lines=lines))
    with os.fdopen(answer, "wb") as stream:
        pickle.dump(result, stream)
    os._exit(0)
