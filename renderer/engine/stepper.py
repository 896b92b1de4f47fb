"""The crew of the stepping parent: forks a painter at each part of each play, and checks that it went the same way."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from renderer.engine.children import Children
from renderer.engine.digest import state_digest
from renderer.engine.encode import Opened, SegmentEncoder
from renderer.engine.errors import Unfit
from renderer.engine.guard import unguard
from renderer.engine.open_files import OpenFiles
from renderer.engine.painter import Painter
from renderer.engine.pixels import Pixels
from renderer.engine.plays import Part, Play, cut, fingerprint, frame_count, manim_cache_key
from renderer.engine.process import settle_child, silence
from renderer.engine.shared_image import SharedImage
from renderer.engine.watch import Watch

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Plan:
    """How to paint: the children to share with other scenes, how many of them, the longest part in frames.

    ``opened`` opens the encoder of a part.
    """

    children: Children
    limit: int
    longest: int | None
    progress: Progress | None = None
    hashes: Path | None = None
    opened: Opened = SegmentEncoder


class Stepper:
    """Steps the scene through every frame as Manim does; children forked on the way paint."""

    paints = False

    def __init__(self, scene: Any, plan: Plan) -> None:
        self._scene, self._plan = scene, plan
        self._watch = Watch(plan.progress)
        self._plays: list[Play] = []
        self._known: dict[tuple[Any, ...], list[Play]] = {}

    @property
    def _play(self) -> Play:
        return self._plays[-1]

    def begin_play(self) -> tuple[str, bool]:
        """Name the segment; fork the painter of its first part, unless Manim would find the play in its cache."""
        number = self._scene.renderer.num_plays
        play = Play(number, f"{number:05}")
        if repeated := self._repeated(play):
            return repeated.name, True
        self._plays.append(play)
        total = frame_count(self._scene)
        edges = cut(total, self._plan.longest or total)
        for index, (first, last) in enumerate(edges):
            path = self._scene.output_plan.segment_path(f"{play.name}-{index:03}")
            hashes = self._plan.hashes and self._plan.hashes / f"{play.name}-{index:03}"
            play.parts.append(Part(number, first, last, path, final=last == total, hashes=hashes))
        if len(edges) > 1:
            with_pixels = self._scene.renderer.camera
            play.static = SharedImage((with_pixels.pixel_height, with_pixels.pixel_width, 4))
        self._fork(play.parts[0])
        return play.name, False

    def _repeated(self, play: Play) -> Play | None:
        """Find the earlier play whose segment Manim would take again. Only equal fingerprints need its slow key."""
        from manim import config

        if config["disable_caching"]:
            return None
        play.fingerprint = fingerprint(self._scene)
        alike = self._known.setdefault(play.fingerprint, [])
        if alike:
            play.cache_key = manim_cache_key(self._scene)
            for earlier in alike:
                if self._watch.cache_key(earlier) == play.cache_key:
                    _refuse_painted_keys(self._scene)
                    return earlier
        alike.append(play)
        return None

    def static_image(self, painted: Pixels | None) -> Pixels | None:  # noqa: ARG002
        """Nothing is painted here."""
        return None

    def before_frame(self) -> None:
        """Fork where a part begins."""
        part = self._play.part
        if part.first and part.first == self._play.frame:
            self._fork(part)

    def frame(self, pixels: Pixels | None, repeat: int) -> None:  # noqa: ARG002
        """Count; note the state at the end of a part."""
        if repeat < 1:
            raise Unfit("a wait is too short for one frame")
        play, part = self._play, self._play.part
        play.frame += repeat
        part.frames += repeat
        if not part.final and play.frame == part.last:
            self._expect(part)

    def end_play(self) -> None:
        """Note the state at the end of the play; forget the parts that a stop condition left out."""
        play = self._play
        play.parts = [part for part in play.parts if part.frames]
        if play.parts[-1].expected is None:
            self._expect(play.parts[-1])
        if play.static:
            play.static.close()

    def failed(self, error: BaseException) -> None:
        """Nothing to do: the file writer is told to abort."""

    def finish(self) -> dict[str, list[Part]]:
        """Wait for all painters."""
        self._watch.total = sum(play.frame for play in self._plays)
        self._watch.finish()
        segment_path = self._scene.output_plan.segment_path
        return {str(segment_path(play.name)): play.parts for play in self._plays}

    def abort(self) -> None:
        """End all painters."""
        self._watch.abort()

    def _expect(self, part: Part) -> None:
        part.expected = state_digest(self._scene)
        self._watch.check(part)

    def _fork(self, part: Part) -> None:
        if threading.active_count() > 1:
            raise Unfit(f"it runs threads of its own: {threading.enumerate()[-1].name}")
        slot = self._watch.slot(self._plan.children, self._plan.limit)
        read, write = os.pipe()
        randomness, parent, files = random.getstate(), os.getpid(), OpenFiles()
        pid = os.fork()
        if not pid:
            random.setstate(randomness)  # Python seeds it anew in every forked child
            self._become_painter(part, write, parent)
            files.separate()
            return
        os.close(slot)
        os.close(write)
        if not part.first and self._play.static:
            self._play.static.leave_to_child()
        self._watch.add(pid, read, part, self._play)

    def _become_painter(self, part: Part, pipe: int, parent: int) -> None:
        settle_child(parent)
        silence()
        unguard(self._scene.renderer.camera)
        painter = Painter(self._scene, self._play, part, pipe, self._plan.opened)
        self._scene.renderer.crew = painter
        if part.first:
            painter.take_over()
        else:
            painter.begin_play()


def _refuse_painted_keys(scene: Any) -> None:
    """Refuse to compare keys that contain painted pixels, which the parent does not have."""
    family = scene.get_mobject_family_members()
    if any("camera" in vars(member) or getattr(member, "background_image", None) is not None for member in family):
        raise Unfit("only the painted pictures could tell whether two of its plays are the same")
