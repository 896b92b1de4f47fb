"""The common base of chunk renderers and play encoders: both report to the process that forked them, and end."""

from __future__ import annotations

import logging
import os
from typing import NoReturn

from backends.errors import OutputError
from renderer.engine.abort import Unfit
from renderer.engine.adapter.play_key import compute_manim_key
from renderer.engine.manim_types import Scene
from renderer.engine.parallel.messages import ErrorKind, ErrorRaised, LogLine, ManimKeyComputed, Message, send
from renderer.engine.parallel.play import Play
from renderer.video.errors import EncoderError

MAX_TEXT = 2000  # characters of an error's or a log line's text
_KINDS: dict[type[BaseException], ErrorKind] = {
    EncoderError: "encoder",
    OutputError: "output",
    MemoryError: "memory",
    Unfit: "unfit",
}


class ForkedDelegate:
    """The RenderDelegate of a forked process. It reports to its parent, and ends before the scene's code does."""

    is_forked = True

    def __init__(self, scene: Scene, play: Play, pipe: int) -> None:
        self._scene, self._play, self._pipe = scene, play, pipe

    def prepare_play(self, number: int) -> None:
        """Do nothing: the play is the one for which the process was forked, or follows it."""

    def begin_play(self) -> tuple[str, bool]:
        """Return the segment's name, which the parent chose; send Manim's cache key if the parent may need it."""
        identity = self._play.identity
        if identity.fingerprint and not identity.manim_key:
            self._send(ManimKeyComputed(compute_manim_key(self._scene)))
        return identity.name, False

    def needs_frame(self) -> bool:
        """Return True: each frame is drawn, or has a digest."""
        return True

    def before_frame(self) -> None:
        """Do nothing: only the stepping process forks here."""

    def report_failure(self, error: BaseException) -> NoReturn:
        """Send the error to the parent, and end the process."""
        kind: ErrorKind = next((kind for cls, kind in _KINDS.items() if isinstance(error, cls)), "raised")
        text = str(error) if kind != "raised" else f"{type(error).__name__}: {error}"
        self._send(ErrorRaised(kind, text[:MAX_TEXT], getattr(error, "hint", None)))
        os._exit(1)

    def _send(self, message: Message) -> None:
        send(self._pipe, message)

    def finish(self) -> NoReturn:
        """Never called: a forked process ends before the scene does."""
        raise NotImplementedError

    def abort(self) -> None:
        """Do nothing: a forked process has no processes to end."""


class _PipeHandler(logging.Handler):
    def __init__(self, pipe: int) -> None:
        super().__init__()
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()[:MAX_TEXT]
        send(self._pipe, LogLine(record.name, record.levelno, text, record.created, os.getpid()))


def forward_logs(pipe: int) -> None:
    """Send what this forked process logs to its parent, which logs it. Its own stderr is discarded."""
    logger = logging.getLogger("renderer")
    logger.handlers, logger.propagate = [_PipeHandler(pipe)], False


def log_forwarded(line: LogLine) -> None:
    """Log a line that a forked process has sent."""
    logger = logging.getLogger(line.logger)
    if logger.isEnabledFor(line.level):
        level = logging.getLevelName(line.level)
        fields = {"name": line.logger, "levelno": line.level, "levelname": level, "msg": line.text}
        logger.handle(logging.makeLogRecord({**fields, "created": line.created, "process": line.pid}))
