"""Switches log lines for debugging on, which go to stderr: for the command line, the worker and the program in a pod.

Every module logs to ``logging.getLogger(__name__)``. Nothing is printed until ``configure`` is called.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Literal, get_args

from backends.errors import SpecError
from backends.untrusted.text import show_text

LogLevel = Literal["debug", "info"]
VARIABLE = "RENDERER_LOG"
_ROOTS = ("backends", "renderer")  # the loggers of other packages stay as they are


def level_from_environment(environ: Mapping[str, str] = os.environ) -> LogLevel | None:
    """Return the level that RENDERER_LOG names; None if it is not set. Raises SpecError for an unknown level."""
    text = environ.get(VARIABLE, "").lower()
    for level in get_args(LogLevel):
        if text == level:
            found: LogLevel = level
            return found
    if text:
        raise SpecError(f"{VARIABLE} cannot be {text!r}", hint=f"write {VARIABLE}=debug or {VARIABLE}=info")
    return None


def configure(level: LogLevel | None) -> None:
    """Print renderer's log lines of ``level`` and above to stderr; None changes nothing."""
    if level is None:
        return
    handler = _LineHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s.%(msecs)03d %(name)s: %(message)s", "%H:%M:%S"))
    for name in _ROOTS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level.upper())
        logger.propagate = False


class _LineHandler(logging.StreamHandler):  # type: ignore[type-arg]  # a class of Python 3.11 takes no type
    """Writes to stderr from a function of this module.

    While a scene runs, text that another module writes to stderr counts as the scene's output.
    """

    def emit(self, record: logging.LogRecord) -> None:
        self.stream.write(show_text(self.format(record)) + "\n")
        self.flush()


def active_level() -> LogLevel | None:
    """Return the level that is switched on in this process, to switch it on in a worker as well."""
    level = logging.getLogger(_ROOTS[1]).level
    if not level:
        return None
    return "debug" if level <= logging.DEBUG else "info" if level <= logging.INFO else None
