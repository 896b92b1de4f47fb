"""What a scene's forked processes report to the process that stepped it: lines on a pipe.

A line is the name of a class below, a space, and the fields of the class as a JSON object. Only ``encode`` and
``decode`` know this.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError

from renderer.engine.adapter.scene_state import SceneState

ErrorKind = Literal["encoder", "output", "memory", "unfit", "raised"]


class _Message:
    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True)
class ManimKeyComputed(_Message):
    """Manim's own cache key of the play."""

    key: str


@dataclass(frozen=True)
class FramesDrawn(_Message):
    """More frames are drawn: ``frames`` since the last message."""

    frames: int


@dataclass(frozen=True)
class ChunkDone(_Message):
    """The file of the chunk is complete: ``frames`` since the last message, of which the cache had ``cached``.

    ``state`` is the scene's state after the chunk; seconds are wall time in this process.
    """

    frames: int
    cached: int
    state: SceneState
    draw_s: float
    encode_s: float


@dataclass(frozen=True)
class PlayMayBeCached(_Message):
    """The first frame is known. ``possible``: the chunk cache has a play that begins with the same frame."""

    possible: bool


@dataclass(frozen=True)
class PlayFound(_Message):
    """The chunk cache had the whole play; ``state`` is the scene's state after it."""

    frames: int
    state: SceneState


@dataclass(frozen=True)
class PlayMissed(_Message):
    """The chunk cache does not have the play."""


@dataclass(frozen=True)
class ChunksEncoded(_Message):
    """The play's encoder has encoded ``chunks`` chunks so far."""

    chunks: int


@dataclass(frozen=True)
class PlayEncoded(_Message):
    """The play's file is complete; seconds are wall time, without the time spent waiting for frames."""

    encode_s: float


@dataclass(frozen=True)
class ErrorRaised(_Message):
    """The process ends with an error. Only the engine's own errors have a ``hint``."""

    kind: ErrorKind
    text: str
    hint: str | None


@dataclass(frozen=True)
class LogLine(_Message):
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
_READERS: dict[bytes, TypeAdapter[Message]] = {kind.__name__.encode(): TypeAdapter(kind) for kind in get_args(Message)}


class DamagedMessageError(ValueError):
    """A line is not a message that this version writes."""


def encode(message: Message) -> bytes:
    """Return the message as one line."""
    return f"{type(message).__name__} {json.dumps(asdict(message))}\n".encode()


def decode(line: bytes) -> Message:
    """Return the message of one line. Raises DamagedMessageError."""
    name, _, content = line.partition(b" ")
    try:
        return _READERS[name].validate_json(content)
    except (KeyError, ValidationError) as error:
        raise DamagedMessageError(f"a line that is not a message: {line[:200]!r}") from error


def send(pipe: int, message: Message) -> None:
    """Write the message to the pipe."""
    os.write(pipe, encode(message))
