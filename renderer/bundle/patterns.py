"""Parses the patterns of .gitignore as gitignore(5) says. No pattern can make matching slow.

``*`` and ``**`` become atomic groups of a regular expression: each stops at the first place where the text after it
matches, and the engine does not try another place. This finds every match, because the text after it, up to the next
``*``, has a fixed length.

Names without wildcards are looked up in a table, however many they are. The number of other patterns of a project, and
how often they are tried, is limited.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from backends.errors import SpecError

MAX_WILDCARDS = 5000  # patterns of one project; each is compiled
MAX_COMPILED = 250_000  # characters of these: a second and a half
MAX_READ = 4 * 2**20  # bytes of all ignore files of a project
MAX_TRIES = 40_000_000  # of a pattern on a path; a million take less than half a second
MAX_PATTERN = 4096  # characters, as in a path
_LENGTHS = 250  # a path's length by that of a pattern, up to which one try is quick

_CLASSES = {  # POSIX classes within brackets
    "alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "blank": r" \t", "cntrl": r"\x00-\x1f\x7f", "digit": "0-9",
    "graph": r"\x21-\x7e", "lower": "a-z", "print": r"\x20-\x7e", "punct": r"!-/:-@\[-`{-~",
    "space": r"\s", "upper": "A-Z", "xdigit": "0-9A-Fa-f",
}  # fmt: skip


class Budget:
    """Counts what the ignore files of one project cost. Raises SpecError for more than a project needs."""

    def __init__(self, tries: int = MAX_TRIES) -> None:
        self._wildcards = MAX_WILDCARDS
        self._compiled = MAX_COMPILED
        self._tries = tries
        self.bytes_left = MAX_READ

    def add_bytes(self, count: int) -> None:
        """Count what was read of ignore files."""
        self.bytes_left -= count
        if self.bytes_left < 0:
            _refuse_files(f"are larger than {MAX_READ // 2**20} MiB")

    def add_wildcard(self, length: int) -> None:
        """Count a pattern with wildcards, of so many characters."""
        self._wildcards -= 1
        self._compiled -= length
        if self._wildcards < 0:
            _refuse_files(f"have more than {MAX_WILDCARDS} patterns with wildcards")
        if self._compiled < 0:
            _refuse_files(f"have patterns with wildcards of more than {MAX_COMPILED:,} characters")

    def add_tries(self, count: int) -> None:
        """Count patterns that are tried on a path."""
        self._tries -= count
        if self._tries < 0:
            _refuse_files("have too many patterns for so many files")


def _refuse_files(reason: str) -> NoReturn:
    raise SpecError(
        f"the ignore files of the folder {reason}",
        hint="remove patterns, or choose a smaller folder with --root",
    )


@dataclass(frozen=True)
class Pattern:
    """One line of an ignore file.

    ``regex`` matches whole paths, relative to the file's folder. A pattern without wildcards, ``is_plain``, has none:
    ``text`` is a path or, if ``anywhere``, a name. ``line`` is the whole line, ``number`` its number, from 1.
    """

    text: str
    regex: re.Pattern[str] | None
    includes: bool
    folders_only: bool
    anywhere: bool
    line: str
    number: int

    @property
    def is_plain(self) -> bool:
        """Whether it has no wildcards."""
        return self.regex is None


class Patterns:
    """The patterns of one ignore file."""

    def __init__(self, lines: Iterable[str], budget: Budget) -> None:
        self._budget = budget
        self._names: dict[tuple[str, bool], Pattern] = {}  # the last pattern of each text, by text and ``anywhere``
        self._folder_names: dict[tuple[str, bool], Pattern] = {}  # those that are for folders only
        self._wildcards: list[Pattern] = []
        for number, line in enumerate(lines, 1):
            pattern = _parse(line, number, budget)
            if pattern is None:
                continue
            if pattern.regex:
                self._wildcards.append(pattern)
            else:
                names = self._folder_names if pattern.folders_only else self._names
                names[pattern.text, pattern.anywhere] = pattern
        self._wildcards.reverse()
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
        """Return the last pattern that matches the path itself."""
        found = self._find_plain(path, is_folder=is_folder)
        tried = 1
        for each in self._wildcards:
            if found and found.number > each.number:
                break
            tried += 1 + len(path) * len(each.text) // _LENGTHS
            if (is_folder or not each.folders_only) and each.regex and each.regex.fullmatch(path):
                found = each
                break
        self._budget.add_tries(tried)
        return found

    def _find_plain(self, path: str, *, is_folder: bool) -> Pattern | None:
        keys = ((path, False), (path.rpartition("/")[2], True))
        tables = (self._names, self._folder_names) if is_folder else (self._names,)
        found = [table[key] for table in tables for key in keys if key in table]
        return max(found, key=lambda pattern: pattern.number, default=None)


def _parse(line: str, number: int, budget: Budget) -> Pattern | None:
    """Return the pattern of a line; None for an empty line, a comment, or a line that git does not understand."""
    line = text = _strip_spaces(line.removesuffix("\r"))
    if text.startswith("#") or len(text) > MAX_PATTERN:
        return None
    includes, text = text.startswith("!"), text.removeprefix("!")
    folders_only, text = text.endswith("/"), text.removesuffix("/")
    anywhere, text = "/" not in text, text.removeprefix("/")
    if not text:
        return None
    regex = None
    if any(char in text for char in "*?[\\") or "//" in text:
        budget.add_wildcard(len(text))
        try:
            regex = re.compile(_translate(["**", text] if anywhere else _split(text)), re.DOTALL)
        except (ValueError, re.error, IndexError, OverflowError, RecursionError):
            return None
    return Pattern(text, regex, includes, folders_only, anywhere, line, number)


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
