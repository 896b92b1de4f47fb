"""Remembers on this machine how long the films of scenes were, to choose how many shards the next render has."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from backends.files import state_folder
from backends.untrusted.state_files import read_state, write_state
from backends.worker_protocol import UnitResult

FILM = "film"  # the key of a result's ``seconds``
KEPT_DAYS = 90
_MAX_BYTES = 2**20


@dataclass(frozen=True)
class FilmLength:
    """The length of a film in ``seconds``. ``is_serial``: its scene cannot be rendered in parallel."""

    seconds: float
    is_serial: bool = False


def find_length(path: Path, scene: str) -> FilmLength | None:
    """Return the length of the last film of a file's scene; None if it is not known here."""
    return _read(_file(path)).get(scene)


def remember_lengths(path: Path, results: Iterable[UnitResult]) -> None:
    """Store the lengths of the films that a job of the file made. Remove those that are old."""
    new = {result.unit: length for result in results if (length := read_length(result))}
    file = _file(path)
    with suppress(OSError):  # the next submit steps the scene
        if new and (known := _read(file)) != known | new:
            _write(file, known | new)


def read_length(result: UnitResult) -> FilmLength | None:
    """Return the length of the film that a unit made or stepped; None for anything but one whole film."""
    seconds = result.seconds.get(FILM)
    if result.exit_code or seconds is None or not math.isfinite(seconds):
        return None
    return FilmLength(seconds, result.render.get("why_serial") is not None)


def _read(file: Path) -> dict[str, FilmLength]:
    try:
        content = json.loads(read_state(file, _MAX_BYTES))
        return {scene: FilmLength(float(item["seconds"]), item["is_serial"] is True) for scene, item in content.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _write(file: Path, lengths: Mapping[str, FilmLength]) -> None:
    content = json.dumps({scene: vars(length) for scene, length in lengths.items()}).encode()
    if len(content) > _MAX_BYTES:
        return
    write_state(file, content)  # raises OSError if a local job has put a link in place of the folder
    for other in file.parent.iterdir():
        if time.time() - other.lstat().st_mtime > KEPT_DAYS * 86400:
            other.unlink(missing_ok=True)


def _file(path: Path) -> Path:
    return state_folder("films") / f"{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()}.json"
