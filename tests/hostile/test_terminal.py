"""Text of a job on a terminal: control characters are shown, not sent."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.untrusted import show_line, show_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä 日本 👍\n\tx", "plain ä 日本 👍\n\tx"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\rb\x08\x7f", r"a\x0db\x08\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u202eb\u2066\u200b\ufeff", r"a\u202eb\u2066\u200b\ufeff"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\U000e0041", r"\U000e0041"),
        ("\udcff", r"\udcff"),
        ("a\u00a0\u3000b", "a\u00a0\u3000b"),
    ],
    ids=ascii,
)
def test_control_characters_become_visible(text: str, shown: str) -> None:
    assert show_text(text) == shown


def test_in_a_line_newlines_become_visible_too() -> None:
    assert show_line("a\nb\t\x1b") == r"a\nb\t\x1b"


@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    for char in show_text(text):
        assert char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert "\n" not in show_line(text)
