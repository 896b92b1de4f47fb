"""Finds texts and formulas for which another font was used than they ask for, or which lack characters."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from manim import MarkupText, SingleStringMathTex, Text

from renderer.engine.cache.tex_files import read_font_problems
from renderer.engine.preview.checks.shapes import Shown

KIND = "font"
_GENERIC = frozenset({"sans", "sans-serif", "serif", "monospace", "mono", "cursive", "fantasy", "system-ui"})


def find_replaced_fonts(shown: Shown) -> Iterator[tuple[str, str, Any]]:
    """Yield texts whose font is not installed, and formulas of which TeX replaced a font or lacked a character."""
    for text in shown.texts:
        mobject = text.mobject
        if isinstance(mobject, SingleStringMathTex):
            for problem in _read_formula(str(mobject.file_name or "")):
                yield KIND, f"in the formula {text.label}, {problem}", mobject
        elif isinstance(mobject, (Text, MarkupText)) and mobject.font and not is_installed(mobject.font):
            yield KIND, f"the text {text.label} has another font: {mobject.font!r} is not installed here", mobject


def is_installed(fonts: str) -> bool:
    """Return whether one of the fonts, which commas separate, is installed here."""
    return any(font.strip().lower() in _list_fonts() | _GENERIC for font in fonts.split(","))


@functools.cache
def _list_fonts() -> frozenset[str]:
    import manimpango  # type: ignore[import-untyped]

    return frozenset(str(font).lower() for font in manimpango.list_fonts())


@functools.cache
def _read_formula(file: str) -> tuple[str, ...]:
    return read_font_problems(Path(file)) if file else ()
