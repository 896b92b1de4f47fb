"""The plays of a scene as the scheduler sees them, and the chunks of frames that chunk renderers draw.

A play is one of three: chunks with a file each (``ChunkedPlay``), chunks that one encoder joins into one file
(``SingleEncoderPlay``), or a play that is already rendered (``ReusedPlay``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any, Literal

from renderer.engine.adapter.play_key import Fingerprint
from renderer.engine.adapter.scene_state import SceneState
from renderer.engine.cache.chunk_key import StoredKey
from renderer.engine.parallel.frame_buffers import FrameBuffers
from renderer.engine.parallel.shared_image import SharedImage
from renderer.engine.request import PlayReport
from renderer.video.concat import Clip


@dataclass
class PlayIdentity:
    """Identifies a play: its number in the scene, and the ``name`` and the file (``path``) of its segment.

    ``manim_key`` is Manim's own cache key. It is slow to compute, so it is None until a process needs it.
    ``fingerprint`` is fast to compute; plays with different fingerprints have different keys. It is empty if Manim's
    caching is off.
    """

    number: int
    name: str
    path: Path
    fingerprint: Fingerprint = ()
    manim_key: str | None = None


@dataclass
class Chunk:
    """Frames ``first`` to ``last`` (exclusive) of a play, which one chunk renderer draws into the file ``path``.

    ``expected`` is the scene's state after the last frame in the stepping process, ``reached`` that in the chunk
    renderer; each is None until it is known. ``frames`` counts the frames that were stepped so far, ``cached`` those
    that the chunk cache had. If another process of the job draws it, ``elsewhere`` is true.
    """

    index: int
    first: int
    last: int
    path: Path
    final: bool
    hashes: Path | None = None  # where to write a hash of each frame
    elsewhere: bool = False
    expected: SceneState | None = None
    reached: SceneState | None = None
    frames: int = 0
    cached: int = 0
    prediction: StoredKey | None = None  # where the chunk cache keeps the key that the chunk probably has
    joined: bool = False  # drawn by the chunk renderer of the play before
    draw_s: float = 0.0
    encode_s: float = 0.0

    @property
    def is_verified(self) -> bool:
        """Whether the chunk is drawn, and both processes ended in the same state."""
        return bool(self.expected and self.reached and self.expected.digest == self.reached.digest)


@dataclass(frozen=True)
class RenderedPlay:
    """A play that is rendered: its files, in order, and the scene's state after it."""

    fingerprint: Fingerprint
    manim_key: str | None
    clips: tuple[Clip, ...]
    state: SceneState

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> RenderedPlay:
        """Return the play that ``dataclasses.asdict`` has turned into JSON, with paths as text."""
        state = content["state"]
        return cls(
            fingerprint=tuple(content["fingerprint"]),
            manim_key=content["manim_key"],
            clips=tuple(Clip(Path(clip["path"]), clip["frames"]) for clip in content["clips"]),
            state=SceneState(state["digest"], tuple((label, digest) for label, digest in state["parts"])),
        )


@dataclass(kw_only=True)
class _SteppedPlay:
    """The common base of all plays.

    ``start`` is the scene's time in seconds when the play begins. ``frame`` is the number of the next frame to step to.
    """

    identity: PlayIdentity
    start: float
    chunks: list[Chunk]
    frame: int = 0
    can_leap: bool | None = None  # whether most frames can be left out in stepping; None until somebody asks
    begun: str | None = None  # digest of the play when it had begun, if that decides which frames it has
    ended: bool = False  # stepping has ended; chunk renderers may still draw

    @property
    def current_chunk(self) -> Chunk:
        """The chunk that the next frame belongs to."""
        return next(chunk for chunk in self.chunks if chunk.final or self.frame < chunk.last)

    @property
    def is_verified(self) -> bool:
        """Whether all chunks are verified."""
        return bool(self.chunks) and all(chunk.is_verified for chunk in self.chunks)

    def _rendered_as(self, clips: tuple[Clip, ...]) -> RenderedPlay:
        state = self.chunks[-1].reached
        assert state  # noqa: S101  # for the type checker; asked of verified plays only
        return RenderedPlay(self.identity.fingerprint, self.identity.manim_key, clips, state)


@dataclass(kw_only=True)
class ChunkedPlay(_SteppedPlay):
    """A play of which each chunk is a file.

    ``static_image`` shows what stands still; all chunk renderers of the play share it. ``static_digest`` is a digest of
    what it shows.
    """

    static_image: SharedImage | None = None
    static_digest: bytes | None = None

    @property
    def clips(self) -> tuple[Clip, ...]:
        """The files of the play, in order."""
        return tuple(Clip(chunk.path, chunk.frames) for chunk in self.chunks)

    @property
    def rendered(self) -> RenderedPlay | None:
        """The play's files; None until all are complete."""
        return self._rendered_as(self.clips) if self.is_verified else None


class CacheAnswer(Enum):
    """What the play's encoder has reported so far: whether the chunk cache has the play."""

    PENDING = auto()
    POSSIBLE = auto()  # a cached play begins with the same frame
    MISS = auto()
    HIT = auto()


@dataclass(kw_only=True)
class SingleEncoderPlay(_SteppedPlay):
    """A play that several chunk renderers draw for one encoder, which also looks it up in the chunk cache."""

    buffers: FrameBuffers
    static_image: SharedImage | None = None
    cache_answer: CacheAnswer = CacheAnswer.PENDING
    found: RenderedPlay | None = None  # set when cache_answer is HIT
    chunks_encoded: int = 0
    encoder_ended: bool = False
    encode_s: float = 0.0

    @property
    def clips(self) -> tuple[Clip, ...]:
        """The one file of the play."""
        return (Clip(self.identity.path, self.frame),)

    @property
    def rendered(self) -> RenderedPlay | None:
        """The play's file; None until it is complete."""
        return self._rendered_as(self.clips) if self.is_verified and self.encoder_ended else None


@dataclass(kw_only=True)
class ReusedPlay(_SteppedPlay):
    """A play whose files exist already. It is stepped, as one chunk, and the state after it must be as recorded."""

    source: Literal["chunk cache", "earlier attempt"]
    files: RenderedPlay

    @property
    def clips(self) -> tuple[Clip, ...]:
        """The files of the play, in order."""
        return self.files.clips

    @property
    def rendered(self) -> RenderedPlay | None:
        """The play's files; None until the state after it is verified."""
        return self.files if self.is_verified else None


Play = ChunkedPlay | SingleEncoderPlay | ReusedPlay


def reuse_play(
    identity: PlayIdentity,
    start: float,
    frames: int,
    files: RenderedPlay,
    source: Literal["chunk cache", "earlier attempt"],
) -> ReusedPlay:
    """Return a play that needs no drawing: ``files`` has its files. It has at most ``frames`` frames."""
    identity.manim_key = identity.manim_key or files.manim_key
    chunk = Chunk(0, 0, frames, identity.path, final=True, reached=files.state)
    return ReusedPlay(identity=identity, start=start, chunks=[chunk], source=source, files=files)


def describe_play(play: Play) -> PlayReport:
    """Return what ``result.json`` says of the play."""
    drawn = [] if isinstance(play, ReusedPlay) else play.chunks
    reused = play.source if isinstance(play, ReusedPlay) else None
    cached = play.frame if reused == "chunk cache" else sum(chunk.cached for chunk in drawn)
    source = reused or ("chunk cache" if play.frame and cached == play.frame else "drawn")
    encoder = [play.encode_s] if isinstance(play, SingleEncoderPlay) else []
    return PlayReport(
        number=play.identity.number,
        start_s=round(play.start, 3),
        frames=play.frame,
        cached=cached,
        source=source,
        chunks=len(drawn),
        processes=len(drawn) + len(encoder),
        draw_s=round(sum(chunk.draw_s for chunk in drawn), 3),
        encode_s=round(sum(chunk.encode_s for chunk in drawn) + sum(encoder), 3),
    )
