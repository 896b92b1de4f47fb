"""Marks code of the engine that must do exactly what a function of Manim does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

CodeT = TypeVar("CodeT", bound=Callable[..., Any])

ATTRIBUTE = "__mirrors__"


def mirrors(original: str, *, sha256: str) -> Callable[[CodeT], CodeT]:
    """Mark a function or class as a mirror of ``original``, a function or class of Manim: "module:qualified.name".

    ``sha256`` is the beginning of the hash of the original's source code. A test compares it with the installed Manim,
    so that it fails if a new Manim changes the function. One mirror may have several originals.
    """

    def mark(code: CodeT) -> CodeT:
        setattr(code, ATTRIBUTE, ((original, sha256), *vars(code).get(ATTRIBUTE, ())))
        return code

    return mark
