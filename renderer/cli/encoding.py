"""Prints what a terminal's encoding can show, and something like it for the rest, instead of failing."""

from __future__ import annotations

import codecs
import io
import sys

_NAME = "renderer"
_ALIKE = {
    "✓": "ok",
    "✗": "x",
    "▶": ">",
    "■": "#",
    "→": "->",
    "…": "...",
    "×": "x",
    "\u2013": "-",
    "\u2014": "-",
    "“": '"',
    "”": '"',
    "\u2018": "'",
    "\u2019": "'",
    "•": "*",
    "━": "-",
    "╸": "-",
    "╺": "-",
}


def tolerate_encoding() -> None:
    """Let stdout and stderr print every text, whatever their encoding."""
    codecs.register_error(_NAME, _replace)
    for stream in (sys.stdout, sys.stderr):
        if (
            isinstance(stream, io.TextIOWrapper) and stream.errors != "surrogateescape"
        ):  # which keeps bytes of file names
            stream.reconfigure(errors=_NAME)


def can_print(text: str) -> bool:
    """Return whether stdout can show the whole text."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeError:
        return False
    return True


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for the characters that cannot be encoded: something alike, or their number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = "".join(_ALIKE.get(char) or _escape(char) for char in error.object[error.start : error.end])
    return text, error.end


def _escape(char: str) -> str:
    return char.encode("ascii", "backslashreplace").decode("ascii")
