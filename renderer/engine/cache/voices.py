"""Keeps the voices that manim-voiceover gets from a service, in the chunk cache: they may have cost money.

What is kept is added to the plugin's own list of voices before it looks for one there, so that the plugin decides
whether a voice is the right one. The key has all that the service is and is asked for.
"""

from __future__ import annotations

import inspect
import json
import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

from backends.errors import OutputError
from backends.untrusted import create_beneath, open_beneath, read_bounded
from renderer.engine.cache.chunk_key import ChunkKey
from renderer.engine.cache.interface import Cache
from renderer.voices import INDEX, MAX_INDEX, SOUND_SUFFIXES, list_sounds, read_index

MAX_BYTES = 64 * 2**20  # of a voice
_METHOD = "_wrap_generate_from_text"  # of each service: finds or makes a voice, and adds it to the list
_log = logging.getLogger(__name__)


def keep_voices(cache: Cache, scratch: Path) -> None:
    """Have manim-voiceover use kept voices, and keep those that it makes, if the scene's file has imported it.

    ``scratch`` is a folder for files on their way.
    """
    service = getattr(sys.modules.get("manim_voiceover.services.base"), "SpeechService", None)
    find_or_make: Callable[..., Any] | None = getattr(service, _METHOD, None)
    if find_or_make is None or hasattr(find_or_make, "__wrapped__"):
        return
    entry = scratch / "voice"

    @wraps(find_or_make)
    def generate(self: Any, text: str, *args: object, **options: object) -> Any:
        folder = Path(getattr(self, "cache_dir", ""))
        key = _compute_key(self, text, args, options) if folder.name else None  # old versions keep no list
        is_kept = key is not None and cache.restore(key, entry) and add_voice(entry, folder)
        voice = find_or_make(self, text, *args, **options)
        if key is not None and not is_kept and _write_entry(voice, folder, entry):
            cache.keep(key, entry)
        entry.unlink(missing_ok=True)
        return voice

    setattr(service, _METHOD, generate)


def add_voice(entry: Path, folder: Path) -> bool:
    """Add a kept voice to the list of voices in the folder; return whether it is there then.

    Others may have written it: shards get voices from the store of their job.
    """
    if entry.stat().st_size > MAX_BYTES + MAX_INDEX:
        return False
    header, _, sound = entry.read_bytes().partition(b"\n")
    voices = read_index(b"[" + header + b"]")
    names = list_sounds(PurePosixPath(INDEX), voices[0]) if len(voices) == 1 else set()
    if len(names) != 1 or PurePosixPath(name := names.pop()).suffix not in SOUND_SUFFIXES:
        return False
    try:
        known = _read_list(folder)
        with suppress(FileExistsError), create_beneath(folder, name) as file:
            file.write(sound)
        if voices[0] not in known:
            partial = folder / f".{INDEX}.new"
            partial.write_text(json.dumps([*known, *voices], indent=2))
            partial.replace(folder / INDEX)
    except (OSError, ValueError, RecursionError, OutputError) as error:
        _log.debug("a kept voice is not used: %s", error)
        return False
    return True


def _read_list(folder: Path) -> list[object]:
    if not (folder / INDEX).exists():
        return []
    with open_beneath(folder, INDEX) as file:
        known = json.loads(read_bounded(file, MAX_INDEX))
    if not isinstance(known, list):
        raise ValueError(f"{INDEX} is not a list")  # noqa: TRY004  # one kind of error for all that is wrong
    return known


def _write_entry(voice: object, folder: Path, entry: Path) -> bool:
    """Write what is kept of a voice; return False for one that is changed after it has come from the service."""
    if not isinstance(voice, dict) or voice.get("final_audio") != voice.get("original_audio"):
        return False
    try:
        name = str(voice["original_audio"])
        with open_beneath(folder, name) as file:
            sound = read_bounded(file, MAX_BYTES)
        entry.write_bytes(json.dumps(voice).encode() + b"\n" + sound)
    except (OSError, ValueError, TypeError, KeyError, OutputError) as error:
        _log.debug("a voice is not kept: %s", error)
        return False
    return PurePosixPath(name).suffix in SOUND_SUFFIXES


def _compute_key(service: object, text: str, *asked: object) -> ChunkKey | None:
    """Return the key of a voice; None where it depends on more than can be named."""
    kind = type(service)
    own = {name: value for name, value in vars(service).items() if name not in {"cache_dir", "client"}}
    try:
        installed = version("manim-voiceover")
        code = [inspect.getsource(base) for base in kind.__mro__ if base.__module__ not in {"builtins", "abc"}]
        parts = ("voice", installed, kind.__qualname__, code, " ".join(text.split()), _describe([own, asked]))
    except Exception as error:  # noqa: BLE001  # the user's own classes may raise anything
        _log.debug("the voices of %s are not kept: %s", kind.__qualname__, error)
        return None
    key = ChunkKey(repr(parts), group="voice")
    key.add_frame(b"", 1)
    return key


def _describe(value: object) -> object:
    """Return what identifies a value in each process. Raises ValueError for one that only its address does."""
    if isinstance(value, Mapping):
        return sorted((str(name), _describe(item)) for name, item in value.items())
    if isinstance(value, list | tuple):
        return [_describe(item) for item in value]
    if " at 0x" in (text := repr(value)):
        raise ValueError(f"nobody knows what {text} is on another machine")
    return text
