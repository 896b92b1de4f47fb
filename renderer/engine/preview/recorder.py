"""Collects the plays and the frames of a preview, however the scene is run."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from manim.scene.scene_file_writer import SceneFileWriter
from PIL import Image

from renderer.engine.manim_types import Scene
from renderer.engine.preview.checks.findings import Findings
from renderer.engine.preview.origins import Origins
from renderer.engine.preview.timeline import AnimationEntry, PlayEntry, Section, Sound, Subcaption
from renderer.model import PreviewRequest
from renderer.video.frame import Pixels

THUMBNAIL_WIDTH = 640
ROUNDING = 1e-6  # of a frame
SHORTEST_PLAY = "short-play"
OPAQUE = 255


@dataclass
class Recorder:
    """What a preview has seen so far. ``more_frames`` are numbers of frames that are drawn besides those asked for.

    Frames are counted over the film, from 0. ``drawn`` has a PNG for each frame that was kept, by its number: a small
    one for the contact sheet, or the whole frame.
    """

    scene: Scene
    request: PreviewRequest
    origins: Origins
    findings: Findings
    folder: str
    more_frames: frozenset[int] = frozenset()
    plays: list[PlayEntry] = field(default_factory=list)
    drawn: dict[int, bytes] = field(default_factory=dict)
    sounds: list[Sound] = field(default_factory=list)
    position: int = 0  # frames of the film so far
    _sections: dict[int, list[PlayEntry]] = field(default_factory=dict)
    _last_pixels: Pixels | None = None

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self.scene.renderer.camera.frame_rate

    @property
    def shows_sheet(self) -> bool:
        """Whether the last frames of all plays are shown."""
        return not (self.request.at or self.request.plays)

    def wanted_frames(self) -> set[int]:
        """Return the numbers of the frames that were asked for by their time, and ``more_frames``."""
        return {self.frame_at(time) for time in self.request.at} | self.more_frames

    def frame_at(self, time: float) -> int:
        """Return the number of the frame that the film shows at a time."""
        return int(time * self.fps + ROUNDING)

    def wants_last_frame(self, number: int) -> bool:
        """Return whether the last frame of the play is shown."""
        return self.shows_sheet or number in self.request.plays

    def begin_play(self, repeats: int | None = None) -> PlayEntry:
        """Add the play that begins now; ``repeats`` is the number of the earlier play that the film shows again."""
        number = self.scene.renderer.num_plays
        source, called_from, code = self.origins.find_call()
        play = PlayEntry(
            number=number,
            start_s=self._time(self.position),
            first_frame=self.position,
            repeats=repeats,
            source=source,
            called_from=called_from,
            code=code,
            animations=[_describe_animation(animation) for animation in self.scene.animations],
        )
        section = self.scene.renderer.file_writer.sections[-1]
        play.section = section.name
        self._sections.setdefault(id(section), []).append(play)
        self.plays.append(play)
        self._check_length(play)
        if repeats is not None:
            self.add_frames(self._find_play(repeats).frames)
        return play

    def _check_length(self, play: PlayEntry) -> None:
        seconds = max(float(animation.run_time) for animation in self.scene.animations)
        if seconds < 1 / self.fps - ROUNDING:
            shown = f"it lasts {seconds:g} s, which is shorter than one frame at {self.fps:g} frames per second"
            self.findings.add(SHORTEST_PLAY, f"nothing can be seen of this play: {shown}", play.source, play.number)

    def add_frames(self, count: int) -> None:
        """Count frames of the play that runs."""
        play = self.plays[-1]
        self.position += count
        play.frames += count
        play.end_s = self._time(self.position)

    def keep(self, frame: int, pixels: Pixels) -> None:
        """Keep a frame: small, if it is for the contact sheet alone."""
        self._last_pixels = pixels
        image = _make_image(pixels)
        if self.shows_sheet and image.width > THUMBNAIL_WIDTH:
            height = max(1, round(image.height * THUMBNAIL_WIDTH / image.width))
            image = image.resize((THUMBNAIL_WIDTH, height), Image.Resampling.LANCZOS, reducing_gap=1.0)
        buffer = io.BytesIO()
        (image.convert("RGB") if image.mode == "RGBX" else image).save(buffer, "png", compress_level=1)
        self.drawn[frame] = buffer.getvalue()

    def check_play(self, pixels: Pixels | None = None) -> None:
        """Look for what is probably not wanted in what the scene shows after a play; ``pixels`` is its last frame."""
        if self.shows_sheet:
            self.findings.check(self.plays[-1], self._last_pixels if pixels is None else pixels)

    def last_frame(self, play: PlayEntry) -> int | None:
        """Return the number of the play's last frame; None for a play that has none."""
        return play.first_frame + play.frames - 1 if play.frames else None

    def find_drawn(self, frame: int) -> tuple[bytes | None, int]:
        """Return the PNG of a frame, and the number of the frame that it is: the film may repeat an earlier play."""
        play = next((play for play in self.plays if 0 <= frame - play.first_frame < play.frames), None)
        if play is not None and play.repeats is not None:
            frame += self._find_play(play.repeats).first_frame - play.first_frame
        return self.drawn.get(frame), frame

    def _find_play(self, number: int) -> PlayEntry:
        play = next(play for play in self.plays if play.number == number)
        return play if play.repeats is None else self._find_play(play.repeats)

    def record_sounds(self) -> None:
        """Record each sound that the scene adds, in this process."""
        add_sound, add_segment = SceneFileWriter.add_sound, SceneFileWriter.add_audio_segment
        lengths: list[float] = []

        def add_recorded_segment(writer: Any, segment: Any, *args: Any, **kwargs: Any) -> None:
            lengths.append(segment.duration_seconds)
            add_segment(writer, segment, *args, **kwargs)

        def add_recorded_sound(writer: Any, file: Any, time: float | None = None, *args: Any, **kwargs: Any) -> None:
            lengths.clear()
            add_sound(writer, file, time, *args, **kwargs)
            length = round(lengths[0], 3) if lengths else 0.0
            self.sounds.append(Sound(self._shorten(str(file)), round(float(time or 0.0), 3), length))

        SceneFileWriter.add_sound, SceneFileWriter.add_audio_segment = add_recorded_sound, add_recorded_segment

    def _shorten(self, path: str) -> str:
        return os.path.relpath(path, self.folder) if path.startswith(self.folder) else path

    def list_subcaptions(self) -> list[Subcaption]:
        """Return the subtitles, in order."""
        found = [
            Subcaption(item.content, round(item.start.total_seconds(), 3), round(item.end.total_seconds(), 3))
            for item in self.scene.renderer.file_writer.subcaptions
        ]
        return sorted(found, key=lambda item: item.start_s)

    def list_sections(self) -> list[Section]:
        """Return the sections that have plays, in order."""
        return [
            Section(plays[0].section, plays[0].start_s, plays[-1].end_s, plays[0].number, plays[-1].number)
            for plays in self._sections.values()
        ]

    def _time(self, frame: int) -> float:
        return round(frame / self.fps, 3)


def _describe_animation(animation: Any) -> AnimationEntry:
    mobject = getattr(animation, "mobject", None)
    return AnimationEntry(type(animation).__name__, type(mobject).__name__, round(float(animation.run_time), 3))


def _make_image(pixels: Pixels) -> Image.Image:
    """Return the image of a frame; if it is opaque everywhere, as RGBX, which is quick to make and to resize."""
    height, width = pixels.shape[:2]
    mode = "RGBX" if (pixels[:, :, 3] == OPAQUE).all() else "RGBA"
    return Image.frombuffer(mode, (width, height), np.ascontiguousarray(pixels), "raw", mode, 0, 1)


def write_images(frames: Mapping[str, bytes], folder: Path) -> None:
    """Write PNG files by name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in frames.items():
        (folder / name).write_bytes(content)
