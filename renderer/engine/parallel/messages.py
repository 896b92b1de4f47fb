"""What a scene's forked processes report to the process that stepped it: lines on a pipe.

A line is the name of a class below, a space, and the fields of the class as a JSON object. Only ``encode`` and
``decode`` know this.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args, get_type_hints

from renderer.engine.adapter.scene_state import SceneState

ErrorKind = Literal["encoder", "output", "memory", "unfit", "raised"]


@dataclass(frozen=True)
class ManimKeyComputed:
    """Manim's own cache key of the play."""

    key: str


@dataclass(frozen=True)
class FramesDrawn:
    """More frames are drawn: ``frames`` since the last message."""

    frames: int


@dataclass(frozen=True)
class ChunkDone:
    """The file of the chunk is complete: ``frames`` since the last message, of which the cache had ``cached``.

    ``state`` is the scene's state after the chunk; seconds are wall time in this process.
    """

    frames: int
    cached: int
    state: SceneState
    draw_s: float
    encode_s: float


@dataclass(frozen=True)
class PlayMayBeCached:
    """The first frame is known. ``possible``: the chunk cache has a play that begins with the same frame."""

    possible: bool


@dataclass(frozen=True)
class PlayFound:
    """The chunk cache had the whole play; ``state`` is the scene's state after it."""

    frames: int
    state: SceneState


@dataclass(frozen=True)
class PlayMissed:
    """The chunk cache does not have the play."""


@dataclass(frozen=True)
class ChunksEncoded:
    """The play's encoder has encoded ``chunks`` chunks so far."""

    chunks: int


@dataclass(frozen=True)
class PlayEncoded:
    """The play's file is complete; seconds are wall time, without the time spent waiting for frames."""

    encode_s: float


@dataclass(frozen=True)
class ErrorRaised:
    """The process ends with an error. Only the engine's own errors have a ``hint``."""

    kind: ErrorKind
    text: str
    hint: str | None


@dataclass(frozen=True)
class LogLine:
    """A line for the log; ``created`` is seconds since the epoch."""

    logger: str
    level: int
    text: str
    created: float
    pid: int


Message = (
    ManimKeyComputed
    | FramesDrawn
    | ChunkDone
    | PlayMayBeCached
    | PlayFound
    | PlayMissed
    | ChunksEncoded
    | PlayEncoded
    | ErrorRaised
    | LogLine
)
_KINDS: Mapping[bytes, type[Message]] = {kind.__name__.encode(): kind for kind in get_args(Message)}


class DamagedMessageError(ValueError):
    """A line is not a message that this version writes."""


def encode(message: Message) -> bytes:
    """Return the message as one line."""
    return f"{type(message).__name__} {json.dumps(asdict(message))}\n".encode()


def decode(line: bytes) -> Message:
    """Return the message of one line. Raises DamagedMessageError."""
    name, _, content = line.partition(b" ")
    try:
        message: Message = _read(_KINDS[name], json.loads(content))
    except (KeyError, ValueError, RecursionError) as error:
        raise DamagedMessageError(f"a line that is not a message: {line[:200]!r}") from error
    return message


def _read(kind: type, content: object) -> Any:
    """Return a value of a type of a field, or of a class of this module. Raises ValueError for any other value."""
    if kind is SceneState:
        return _read_state(content)
    if hasattr(kind, "__dataclass_fields__"):
        types = get_type_hints(kind)
        if not isinstance(content, dict) or set(content) != {field.name for field in fields(kind)}:
            raise ValueError(kind)
        return kind(**{name: _read(types[name], value) for name, value in content.items()})
    if kind is float and type(content) is int:
        return float(content)
    allowed = get_args(kind)
    if type(content) is kind or type(content) in allowed or (isinstance(content, str) and content in allowed):
        return content
    raise ValueError(kind)


def _read_state(content: object) -> SceneState:
    if not isinstance(content, dict) or set(content) != {"digest", "parts"} or not isinstance(content["parts"], list):
        raise ValueError(SceneState)
    pairs = [tuple(pair) if isinstance(pair, list) else () for pair in content["parts"]]
    if not all(len(pair) == 2 for pair in pairs):  # noqa: PLR2004
        raise ValueError(SceneState)
    return SceneState(_read(str, content["digest"]), tuple((_read(str, one), _read(str, two)) for one, two in pairs))


def send(pipe: int, message: Message) -> None:
    """Write the message to the pipe."""
    os.write(pipe, encode(message))
