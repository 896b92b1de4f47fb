"""The timeline of a scene: what PREVIEW.json holds. Times are in seconds of the film, lines count from 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

SCHEMA = 1


@dataclass(frozen=True)
class Line:
    """A line of the user's code; ``file`` is relative to the root of the job."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class AnimationEntry:
    """One animation of a play: its class, the class of what it moves, and how long it runs."""

    name: str
    mobject: str
    run_time_s: float


@dataclass
class PlayEntry:
    """One play of the film.

    ``number`` counts the scene's plays from 0, as Manim's option ``-n`` does. ``repeats`` is the number of an earlier
    play whose frames Manim shows again. ``source`` is the line that calls ``play`` or ``wait``; ``called_from`` is the
    outermost line of the scene that led there, if it is another one. ``code`` is the text of ``source``.
    """

    number: int
    start_s: float
    first_frame: int
    frames: int = 0
    end_s: float = 0.0
    repeats: int | None = None
    section: str = ""
    source: Line | None = None
    called_from: Line | None = None
    code: str = ""
    animations: list[AnimationEntry] = field(default_factory=list)


@dataclass(frozen=True)
class Sound:
    """A sound of the film."""

    file: str
    start_s: float
    duration_s: float


@dataclass(frozen=True)
class Subcaption:
    """A subtitle."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Section:
    """A section of the film, with the numbers of its first and last play."""

    name: str
    start_s: float
    end_s: float
    first_play: int
    last_play: int


@dataclass
class Finding:
    """Something that is probably not wanted. ``kind`` is one word for programs, ``message`` a sentence.

    ``source`` is the line that made the mobject, or that plays the play. ``plays`` are the numbers of the plays at
    whose end it was seen.
    """

    kind: str
    message: str
    source: Line | None
    plays: list[int]


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """What is known of a scene after its preview.

    ``drawn`` is "shown frames" if only the frames that are shown were drawn, or "every frame" if the scene needs that;
    ``why_every_frame`` then says why. ``images`` are the files that were made, relative to the timeline's.
    """

    scene: str
    file: str
    width: int
    height: int
    fps: float
    frames: int
    duration_s: float
    plays: Sequence[PlayEntry]
    sounds: Sequence[Sound]
    subcaptions: Sequence[Subcaption]
    sections: Sequence[Section]
    warnings: Sequence[Finding]
    notes: Sequence[str]
    images: Sequence[str]
    drawn: str
    why_every_frame: str | None = None

    def to_json(self) -> Mapping[str, object]:
        """Return the timeline as a JSON object."""
        return {"schema": SCHEMA, **asdict(self)}
