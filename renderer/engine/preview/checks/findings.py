"""Collects what is probably not wanted in a scene, each once, with the plays at whose end it was seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from renderer.engine.manim_types import Mobject, Scene
from renderer.engine.preview.checks import fonts, frame, legibility
from renderer.engine.preview.checks.shapes import MOST_SHAPES, Shown, list_shown
from renderer.engine.preview.origins import Origins
from renderer.engine.preview.timeline import Finding, PlayEntry
from renderer.video.frame import Pixels

MOST_FINDINGS = 200  # of a scene


class _Key(NamedTuple):
    kind: str
    message: str
    source: str


class Findings:
    """What was found in one scene so far. ``notes`` are sentences about what was not checked."""

    def __init__(self, scene: Scene, origins: Origins) -> None:
        self._scene, self._origins = scene, origins
        self._known: dict[_Key, Finding] = {}
        self.notes: list[str] = []

    @property
    def found(self) -> list[Finding]:
        """All findings, in the order of the film."""
        return list(self._known.values())

    def add(self, kind: str, message: str, source: object, play: int) -> None:
        """Add a finding; one that is known gets another play."""
        from renderer.engine.preview.timeline import Line

        line = source if isinstance(source, Line) else None
        key = _Key(kind, message, str(line))
        if key in self._known:
            if play not in self._known[key].plays:
                self._known[key].plays.append(play)
        elif len(self._known) < MOST_FINDINGS:
            self._known[key] = Finding(kind, message, line, [play])
        else:
            self.note(f"only the first {MOST_FINDINGS} warnings are listed")

    def check(self, play: PlayEntry, pixels: Pixels | None) -> None:
        """Check what the scene shows at the end of a play; ``pixels`` is the last frame, if it was drawn."""
        shown = list_shown(self._scene)
        if shown.left_out:
            self.note(f"only the first {MOST_SHAPES} shapes of play {play.number} were checked")
        for kind, message, mobject in self._find(shown, pixels):
            self.add(kind, message, self._find_line(mobject) or play.source, play.number)

    def _find(self, shown: Shown, pixels: Pixels | None) -> Iterator[tuple[str, str, Mobject]]:
        yield from frame.find_outside(shown)
        yield from legibility.find_overlaps(shown)
        yield from legibility.find_small(shown)
        yield from fonts.find_replaced_fonts(shown)
        if pixels is not None:
            yield from legibility.find_pale(shown, pixels)

    def _find_line(self, mobject: Mobject) -> object:
        """Return the line that made the mobject, or else the first of its parts whose line is known."""
        return self._origins.find(mobject) or next(
            (line for part in mobject.submobjects[:3] if (line := self._origins.find(part))), None
        )

    def note(self, text: str) -> None:
        """Add a sentence about the preview, once."""
        if text not in self.notes:
            self.notes.append(text)
