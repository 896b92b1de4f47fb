"""Makes control characters visible, so that a job's text cannot control a terminal or change the order of text."""

from __future__ import annotations

import unicodedata

# Cc: control characters; Cf: format characters such as bidi overrides and zero-width ones; Cs: surrogates;
# Zl and Zp: separators that some terminals treat as a new line.
_ESCAPED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def show_text(text: str) -> str:
    r"""Return the text with every control character but newline and tab as an escape such as ``\x1b`` or ``\u202e``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char in "\n\t" else _show(char) for char in text)


def show_line(text: str) -> str:
    r"""Return the text for one line of a message: as ``show_text`` does, but newlines and tabs are escapes as well."""
    return show_text(text).replace("\n", "\\n").replace("\t", "\\t")


def is_control(char: str) -> bool:
    """Return whether a character controls the terminal instead of being visible."""
    return unicodedata.category(char) in _ESCAPED


def _show(char: str) -> str:
    if not is_control(char):
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004
