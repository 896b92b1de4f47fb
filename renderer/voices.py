"""Finds the voices that manim-voiceover keeps, because they may have cost money: one is never paid for twice.

manim-voiceover lists them in a file ``cache.json``, by default in ``media/voiceovers``. The sound lies beside it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path, PurePosixPath

from backends.errors import OutputError
from backends.untrusted import check_relative_name, open_beneath, read_bounded

INDEX = "cache.json"
MAX_INDEX = 4 * 2**20  # bytes
SOUND_SUFFIXES = frozenset({".aac", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav"})  # nothing Python imports
_SOUNDS = ("original_audio", "final_audio")


def read_index(data: bytes) -> list[dict[str, object]]:
    """Return the entries of a list of voices. It is empty for any other file of that name."""
    try:
        entries = json.loads(data)
    except (ValueError, RecursionError):
        return []
    is_index = isinstance(entries, list) and all(
        isinstance(entry, dict) and isinstance(entry.get(_SOUNDS[0]), str) for entry in entries
    )
    return entries if is_index else []


def merge_indexes(first: bytes, second: bytes) -> bytes:
    """Return one list of voices with the entries of two; the first, if it is another file."""
    entries = read_index(first)
    added = [entry for entry in read_index(second) if entry not in entries]
    return json.dumps([*entries, *added], indent=2).encode() if entries else first


def list_sounds(index: PurePosixPath, entry: dict[str, object]) -> set[str]:
    """Return the names of the files of sound of one voice; none if one is not a plain name below the list's folder.

    ``index`` is the name of the list.
    """
    sounds = {entry[key] for key in _SOUNDS if key in entry}
    try:
        return {str(index.parent / check_relative_name(str(sound))) for sound in sounds}
    except OutputError:
        return set()


def find_voices(folder: Path) -> set[str]:
    """Return the names of all files below the folder that belong to voices."""
    found = set()
    for path in folder.rglob(INDEX):
        index = PurePosixPath(path.relative_to(folder).as_posix())
        with suppress(OSError, OutputError), open_beneath(folder, index) as file:
            if entries := read_index(read_bounded(file, MAX_INDEX)):
                found |= {str(index)}.union(*(list_sounds(index, entry) for entry in entries))
    return {name for name in found if (folder / name).is_file() and not (folder / name).is_symlink()}
