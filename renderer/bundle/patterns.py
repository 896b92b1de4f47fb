"""Parses the patterns of .gitignore as gitignore(5) says. No pattern can make matching slow.

``*`` and ``**`` become atomic groups of a regular expression: each stops at the first place where the text after it
matches, and the engine does not try another place. This finds every match, because the text after it, up to the next
``*``, has a fixed length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_CLASSES = {  # POSIX classes within brackets
    "alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "blank": r" \t", "cntrl": r"\x00-\x1f\x7f", "digit": "0-9",
    "graph": r"\x21-\x7e", "lower": "a-z", "print": r"\x20-\x7e", "punct": r"!-/:-@\[-`{-~",
    "space": r"\s", "upper": "A-Z", "xdigit": "0-9A-Fa-f",
}  # fmt: skip


@dataclass(frozen=True)
class Pattern:
    """One line of an ignore file. ``regex`` matches whole paths, relative to the file's folder.

    ``is_plain`` is true if the line has no wildcards.
    """

    regex: re.Pattern[str]
    includes: bool
    folders_only: bool
    is_plain: bool


class Patterns:
    """The patterns of one ignore file."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._patterns = [pattern for pattern in map(_parse, lines) if pattern][::-1]
        self._folders: dict[str, Pattern | None] = {}

    def find(self, path: str, *, is_folder: bool) -> Pattern | None:
        """Return the last pattern that matches the path or, if none does, the nearest folder above it."""
        if is_folder and path in self._folders:
            return self._folders[path]
        found = self._find_exact(path, is_folder=is_folder)
        above = path
        while not found and (above := above.rpartition("/")[0]):
            if above in self._folders:
                found = self._folders[above]
                break
            found = self._find_exact(above, is_folder=True)
        if is_folder:
            self._folders[path] = found
        return found

    def _find_exact(self, path: str, *, is_folder: bool) -> Pattern | None:
        return next((each for each in self._patterns if _matches(each, path, is_folder=is_folder)), None)


def _matches(pattern: Pattern, path: str, *, is_folder: bool) -> bool:
    return (is_folder or not pattern.folders_only) and bool(pattern.regex.fullmatch(path))


def _parse(line: str) -> Pattern | None:
    """Return the pattern of a line; None for an empty line, a comment, or a line that git does not understand."""
    text = _strip_spaces(line.removesuffix("\r"))
    if text.startswith("#"):
        return None
    includes, text = text.startswith("!"), text.removeprefix("!")
    folders_only, text = text.endswith("/"), text.removesuffix("/")
    anywhere, text = "/" not in text, text.removeprefix("/")
    try:
        parts = ["**", text] if anywhere and text else _split(text)
        regex = re.compile(_translate(parts), re.DOTALL)
    except (ValueError, re.error, IndexError, OverflowError, RecursionError):
        return None
    plain = not any(char in text for char in "*?[\\")
    return Pattern(regex, includes, folders_only, plain) if text else None


def _strip_spaces(line: str) -> str:
    """Return the line without spaces at its end; a space after a backslash stays."""
    text = line.rstrip(" ")
    backslashes = len(text) - len(text.rstrip("\\"))
    return text + " " if backslashes % 2 and len(text) < len(line) else text


def _split(text: str) -> list[str]:
    """Return the parts of a pattern between slashes. A slash within brackets does not divide, as in git."""
    parts, start, position = [], 0, 0
    while position < len(text):
        char = text[position]
        position += 1
        if char == "/":
            parts.append(text[start : position - 1])
            start = position
        elif char == "[":
            _, position = _bracket(text, position)
        elif char == "\\":
            position += 1
    return [*parts, text[start:]]


def _translate(parts: list[str]) -> str:
    """Return the regular expression of a path's parts."""
    regex, block, started = "", "", False  # block: the text after the last ``**``
    for number, part in enumerate(parts):
        if part == "**" and number == len(parts) - 1:
            return _close(regex, block, started=started, last=False) + ".+"
        if part == "**":
            regex, block, started = _close(regex, block, started=started, last=False), "", True
        else:
            block += _translate_part(part) + ("/" if number < len(parts) - 1 else "")
    return _close(regex, block, started=started, last=True)


def _close(regex: str, block: str, *, started: bool, last: bool) -> str:
    """Return the expression extended by ``block``. A block after ``**`` may match at any depth."""
    if not started:
        return regex + block
    return regex + (f"(?:[^/]+/)*{block}" if last else f"(?>(?:[^/]+/)*?{block})" if block else "")


def _translate_part(part: str) -> str:
    """Return the regular expression of one name. Raises ValueError or IndexError for a pattern that never matches."""
    blocks = [""]
    for piece in _pieces(part):
        if piece != "*":
            blocks[-1] += piece
        elif len(blocks) == 1 or blocks[-1]:  # several in a row are one
            blocks.append("")
    if len(blocks) == 1:
        return blocks[0] or "(?!)"  # an empty name: two slashes
    first, *middle, last = blocks
    return first + "".join(f"(?>[^/]*?{block})" for block in middle) + f"[^/]*{last}"


def _pieces(part: str) -> Iterator[str]:
    """Yield the pieces of a name: ``*``, or the regular expression of one character."""
    position = 0
    while position < len(part):
        char = part[position]
        position += 1
        if char == "*":
            yield "*"
        elif char == "?":
            yield "[^/]"
        elif char == "[":
            text, position = _bracket(part, position)
            yield text
        elif char == "\\":
            yield re.escape(part[position])
            position += 1
        else:
            yield re.escape(char)


def _bracket(part: str, start: int) -> tuple[str, int]:
    """Return the regular expression of a ``[…]`` whose content begins at ``start``, and the position after it."""
    negated = part[start] in "!^"
    position = start + negated
    first, content = position, ""
    while part[position] != "]" or position == first:
        if named := re.compile(r"\[:(\w*):\]").match(part, position):
            content += _CLASSES[named[1]] if named[1] in _CLASSES else _refuse()
            position = named.end()
            continue
        low, position = _bracket_char(part, position)
        if part[position] == "-" and part[position + 1] != "]":
            high, position = _bracket_char(part, position + 1)
            content += f"{re.escape(low)}-{re.escape(high)}" if low <= high else ""
        else:
            content += re.escape(low)
    if not content:
        return ("[^/]" if negated else "(?!)"), position + 1
    return (f"[^/{content}]" if negated else f"(?!/)[{content}]"), position + 1


def _bracket_char(part: str, position: int) -> tuple[str, int]:
    if part[position] == "\\":
        position += 1
    return part[position], position + 1


def _refuse() -> str:
    raise ValueError("a class of characters that there is not")
