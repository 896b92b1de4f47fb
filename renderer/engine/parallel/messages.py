"""What a scene's forked processes report to the process that stepped it: one JSON object a line, on a pipe.

Each line is ``{"type": NAME, …}`` with the fields of the class of that name. Only ``encode`` and ``decode`` know this.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from typing import Literal, get_args

from renderer.engine.adapter.state_digest import SceneState

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

    ``digest`` and ``parts`` are the scene's state after the chunk; seconds are wall time in this process.
    """

    frames: int
    cached: int
    digest: str
    parts: list[list[str]]
    draw_s: float
    encode_s: float


@dataclass(frozen=True)
class PlayMayBeCached:
    """Whether the chunk cache has a play that begins with the same frame."""

    possible: bool


@dataclass(frozen=True)
class PlayFound:
    """The chunk cache had the whole play; the rest is as in ChunkDone."""

    frames: int
    digest: str
    parts: list[list[str]]


@dataclass(frozen=True)
class PlayMissed:
    """The chunk cache does not have the play."""


@dataclass(frozen=True)
class ChunksEncoded:
    """The play's encoder has encoded so many chunks so far."""

    chunks: int


@dataclass(frozen=True)
class PlayEncoded:
    """The play's file is complete; seconds are wall time, without the time spent waiting for frames."""

    encode_s: float


@dataclass(frozen=True)
class ErrorRaised:
    """The process ends with an error. The hint is that of our own errors."""

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
_CLASSES = {kind.__name__: kind for kind in get_args(Message)}


class DamagedMessageError(ValueError):
    """A line is not a message that this version writes."""


def encode(message: Message) -> bytes:
    """Return the message as one line."""
    return json.dumps({"type": type(message).__name__, **asdict(message)}).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Return the message of one line. Raises DamagedMessageError."""
    try:
        values = json.loads(line)
        kind = _CLASSES[values.pop("type")]
        if values.keys() != {field.name for field in fields(kind)}:
            raise DamagedMessageError(f"the fields of {kind.__name__} are not {sorted(values)}")
        message: Message = kind(**values)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DamagedMessageError(f"not a message: {line[:200]!r}") from error
    return message


def send(pipe: int, message: Message) -> None:
    """Write the message to the pipe."""
    os.write(pipe, encode(message))


def scene_state(message: ChunkDone | PlayFound) -> SceneState:
    """Return the scene's state that the message reports."""
    return SceneState(message.digest, tuple((label, digest) for label, digest in message.parts))
