"""Runs the scene's own code as `manim render` does: its exits, the processes that it forks, and its recursion limit."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from renderer.engine.errors import SceneError
from renderer.engine.process.exit import end_user_process

_MANIM_CALLS = 10  # that are running when `manim render` renders a scene
_CALLS_IN_PLAY = 3  # that the engine adds within a play


@contextmanager
def running_user_code(scene: str) -> Iterator[None]:
    """Raise SystemExit of the block, which runs the scene's code, as SceneError: it leaves no video.

    If the scene's code forks a process, that process ends here, as it would at the end of its own program.
    """
    process = os.getpid()
    try:
        yield
    except BaseException as error:
        if os.getpid() != process:
            end_user_process(error)
        if not isinstance(error, SystemExit):
            raise
        raise SceneError(
            f"{scene} ended the program (sys.exit) before its end, so there is no video",
            lines=traceback.format_exc(),
            hint="remove the call; to end early, return from construct: what was played until then becomes the video",
        ) from error
    if os.getpid() != process:
        end_user_process(None)


@contextmanager
def room_for_own_calls() -> Iterator[None]:
    """Raise Python's recursion limit by the calls that this program has added to Manim's.

    So mobjects can be nested as deeply as in plain Manim, and endless recursion ends at the same depth.
    """
    limit, calls = sys.getrecursionlimit(), _count_calls()
    sys.setrecursionlimit(limit + max(0, calls - _MANIM_CALLS) + _CALLS_IN_PLAY)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def _count_calls() -> int:
    """Return how many calls are running, with the caller's. ``inspect.stack`` looks for source files, which is slow."""
    calls, frame = 0, sys._getframe().f_back  # noqa: SLF001  # no other function gives a frame
    while frame:
        calls, frame = calls + 1, frame.f_back
    return calls
