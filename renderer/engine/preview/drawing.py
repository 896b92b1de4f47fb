"""Runs a scene with Manim's own renderer for a preview: every frame is drawn, and none is encoded."""

from __future__ import annotations

from typing import Any

from renderer.engine.manim_types import Scene
from renderer.engine.preview.recorder import Recorder
from renderer.engine.request import Progress
from renderer.video.frame import Pixels


class _DrawnFrames:
    """Replaces the methods by which Manim's file writer receives plays and frames."""

    def __init__(self, scene: Scene, recorder: Recorder, progress: Progress | None) -> None:
        self._scene, self._recorder, self._progress = scene, recorder, progress
        self._wanted = recorder.wanted_frames()
        self._known: dict[str, int] = {}
        self._pixels: Pixels | None = None
        self._is_running = False

    def is_already_cached(self, key: str) -> bool:
        """Return whether an earlier play has the same key, so that Manim shows its segment again."""
        number = self._scene.renderer.num_plays
        first = self._known.setdefault(key, number)
        if first == number:
            return False
        self._recorder.begin_play(first)
        return True

    def begin_animation(self, allow_write: bool = False, **_: object) -> None:
        """Record the play, unless it is skipped."""
        self._is_running = allow_write
        if allow_write:
            self._recorder.begin_play()
            if self._progress:
                self._progress(self._recorder.position, None)

    def write_frame(self, pixels: Pixels, *, repeat: int = 1) -> None:
        """Count the frame; keep it if it is shown."""
        if not self._is_running:
            return
        first = self._recorder.position
        self._recorder.add_frames(repeat)
        self._pixels = pixels
        for frame in self._wanted & set(range(first, first + repeat)):
            self._recorder.keep(frame, pixels)

    def end_animation(self, allow_write: bool = False) -> None:
        """Keep the last frame, and check it."""
        self._is_running = False
        if not allow_write or not self._recorder.plays:
            return
        play = self._recorder.plays[-1]
        last = self._recorder.last_frame(play)
        if last is not None and self._pixels is not None and self._recorder.wants_last_frame(play.number):
            self._recorder.keep(last, self._pixels)
            self._recorder.check_play()

    def skip(self, *_: object, **__: object) -> None:
        """Do nothing."""


def prepare_drawing(scene: Scene, recorder: Recorder, progress: Progress | None) -> None:
    """Have the scene's file writer pass all frames to the recorder."""
    frames = _DrawnFrames(scene, recorder, progress)
    writer: Any = scene.renderer.file_writer
    for name in ("is_already_cached", "begin_animation", "write_frame", "end_animation"):
        setattr(writer, name, getattr(frames, name))
    for name in ("finish", "save_image", "write_subcaption_file"):
        setattr(writer, name, frames.skip)
