"""Checks the names of files that come from a job."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

from backends.errors import OutputError
from backends.untrusted.text import show_line

PART_BYTES = 255  # the longest name of one file or folder on Linux and macOS
NAME_BYTES = 1024  # the longest path that is accepted
MAX_DEPTH = 64  # folders of one name
_SHOWN = 200  # characters of a bad name that a message shows
# Zero-width joiners stay: emoji and several languages need them. Overrides and isolates reorder what is shown.
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})


def check_relative_name(name: str) -> PurePosixPath:
    """Return a job's name for a file, relative to a folder, as a path that stays inside that folder.

    Raises OutputError for a name that is absolute, that has empty, ``.`` or ``..`` parts, a backslash or control
    characters, that is not UTF-8, or that is too long.
    """
    reason = _find_fault(name)
    if reason:
        raise OutputError(
            f"the job names an output '{show_line(name[:_SHOWN])}', which {reason}",
            hint="only write files below the working folder, with plain names",
        )
    return PurePosixPath(name)


def _find_fault(name: str) -> str | None:
    parts = name.split("/")
    try:
        size, longest = len(name.encode()), max(len(part.encode()) for part in parts)
    except UnicodeEncodeError:
        return "is not UTF-8"
    faults = {
        "is an absolute path": name.startswith("/"),
        "is not a plain path inside its folder": any(part in {"", ".", ".."} for part in parts),
        "has control characters": any(char in _REORDERING or unicodedata.category(char) in _CONTROL for char in name),
        "has a backslash": "\\" in name,
        "is too long": size > NAME_BYTES or longest > PART_BYTES or len(parts) > MAX_DEPTH,
    }
    return next((fault for fault, found in faults.items() if found), None)
