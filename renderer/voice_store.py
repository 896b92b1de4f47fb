"""Keeps the voices that a project's jobs have made, so that its next job has them, on whichever backend it runs.

They are stored when a job is downloaded, and uploaded with the project's files. An untrusted job neither gives nor gets
any.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path, PurePosixPath

from backends.errors import OutputError
from backends.files import state_folder
from backends.models import Garbage
from backends.untrusted import check_relative_name
from backends.untrusted.state_files import lock_state, read_state, write_state
from backends.untrusted.trees import remove_tree
from renderer.output_folder import Download
from renderer.voices import INDEX, MAX_INDEX, SOUND_SUFFIXES, list_sounds, read_index

MAX_BYTES = 128 * 2**20  # of one project's voices
_KEPT = "voices.json"  # what is kept for a project; its time is that of the last use
_MAX_LIST = 2**26
_MAX_PATH = 2**16

_log = logging.getLogger(__name__)


@dataclass
class _Voices:
    """A project's voices: the entries of each list, by its name, and the SHA-256 of each sound, oldest first."""

    lists: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    sounds: dict[str, str] = field(default_factory=dict)


def remember_project(handle: str, root: Path) -> None:
    """Store which folder the job was made from. A job for which nothing is stored gives no voices."""
    with suppress(OSError):
        write_state(_job_file(handle), os.fsencode(root.resolve()))


def forget_job(handle: str) -> None:
    """Remove what ``remember_project`` stored."""
    with suppress(OSError):
        _job_file(handle).unlink()


def keep_voices(handle: str, downloads: Iterable[Download]) -> None:
    """Keep the voices among verified files of a job."""
    units: dict[int, dict[str, Path]] = {}
    for item in downloads:
        units.setdefault(item.index, {})[item.name] = item.path
    lists = [(files, name) for files in units.values() for name in files if PurePosixPath(name).name == INDEX]
    if not lists:
        return
    try:
        folder = _find_folder(Path(os.fsdecode(read_state(_job_file(handle), _MAX_PATH))))
        with lock_state(folder / "lock"):
            voices = _read(folder)
            for files, name in lists:
                _add(folder, voices, name, files)
            _prune(folder, voices)
            write_state(folder / _KEPT, json.dumps([voices.lists, voices.sounds]).encode())
    except OSError as error:
        _log.debug("no voices are kept: %s", error)


def find_kept_voices(root: Path) -> dict[str, bytes]:
    """Return the content of the files that belong to kept voices, by their names below the root."""
    folder = _find_folder(root.resolve())
    voices = _read(folder)
    with suppress(OSError):
        os.utime(folder / _KEPT, follow_symlinks=False)  # used now, see ``collect_garbage``
    found = {}
    for name, digest in voices.sounds.items():
        with suppress(OSError):
            data = read_state(folder / digest, MAX_BYTES)
            if hashlib.sha256(data).hexdigest() == digest:
                found[name] = data
    for name, entries in voices.lists.items():
        sounds = [list_sounds(PurePosixPath(name), entry) for entry in entries]
        known = [entry for entry, files in zip(entries, sounds, strict=True) if files and files <= found.keys()]
        if known:
            found[name] = json.dumps(known, indent=2).encode()
    return found


def collect_garbage(*, older_than: timedelta, dry_run: bool = False) -> Iterator[Garbage]:
    """Remove the voices of projects of which no job was submitted or downloaded for so long."""
    top = state_folder("voices")
    for folder in sorted(top.iterdir()) if top.is_dir() else ():
        try:
            age = timedelta(seconds=max(0.0, time.time() - (folder / _KEPT).lstat().st_mtime))
            size = sum(entry.lstat().st_size for entry in folder.iterdir())
            if age <= older_than:
                continue
            if not dry_run:
                remove_tree(folder)
        except OSError as error:
            _log.debug("voices are not removed: %s", error)
        else:
            yield Garbage(path=str(folder), size=size, age=age, removed=not dry_run)


def _job_file(handle: str) -> Path:
    return state_folder("voice-jobs") / hashlib.sha256(handle.encode()).hexdigest()


def _find_folder(root: Path) -> Path:
    return state_folder("voices") / hashlib.sha256(os.fsencode(root)).hexdigest()


def _read(folder: Path) -> _Voices:
    """Return what is kept. What this program cannot have written counts as nothing."""
    try:
        lists, sounds = json.loads(read_state(folder / _KEPT, _MAX_LIST))
        voices = _Voices(
            {name: read_index(json.dumps(entries).encode()) for name, entries in lists.items()}, dict(sounds)
        )
        for name in (*voices.lists, *voices.sounds):
            check_relative_name(name)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, OutputError):
        return _Voices()
    return voices


def _add(folder: Path, voices: _Voices, name: str, files: Mapping[str, Path]) -> None:
    if files[name].stat().st_size > MAX_INDEX:
        return
    known = voices.lists.setdefault(name, [])
    for entry in read_index(files[name].read_bytes()):
        sounds = list_sounds(PurePosixPath(name), entry)
        made = {
            sound: files[sound] for sound in sounds if sound in files and PurePosixPath(sound).suffix in SOUND_SUFFIXES
        }
        if not sounds or not sounds <= {*made, *voices.sounds}:
            continue  # the project has the sound already
        for sound, path in made.items():
            if path.stat().st_size <= MAX_BYTES:
                data = path.read_bytes()
                voices.sounds.pop(sound, None)
                voices.sounds[sound] = hashlib.sha256(data).hexdigest()
                write_state(folder / voices.sounds[sound], data)
        if entry not in known:
            known.append(entry)


def _prune(folder: Path, voices: _Voices) -> None:
    """Remove the oldest sounds until the rest fits into the limit."""
    sizes = {}
    for name, digest in voices.sounds.items():
        with suppress(OSError):
            sizes[name] = (folder / digest).stat().st_size
    for name in list(sizes):
        if sum(sizes.values()) <= MAX_BYTES:
            break
        del sizes[name]
        digest = voices.sounds.pop(name)
        if digest not in voices.sounds.values():
            (folder / digest).unlink(missing_ok=True)
