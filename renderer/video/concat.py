"""Joins the clips of one play into the file that Manim would have written, without encoding again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av


@dataclass(frozen=True)
class Clip:
    """A video file without sound, and the number of its frames."""

    path: Path
    frames: int


def join(clips: Iterable[Clip], target: Path, spec: Any) -> None:  # Manim's VideoEncoderSpec
    """Copy the packets of the clips, in order, into one file at ``target``.

    Manim's own joining, of plays, takes each file to be as long as its header says, in thousandths of a second. So a
    play in clips would end at another time than a play in one.
    """
    with av.open(target, mode="w", format=spec.container_format) as output:
        stream = None
        for packet, first in _packets(clips):
            stream = stream or output.add_stream_from_template(packet.stream)
            _count_in_frames(packet, Fraction(spec.frame_rate), first)
            packet.stream = stream
            output.mux(packet)


def _packets(clips: Iterable[Clip]) -> Iterator[tuple[Any, int]]:
    """Yield each packet, and the number of frames before its clip."""
    first = 0
    for clip in clips:
        with av.open(clip.path) as source:
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    yield packet, first
        first += clip.frames


def _count_in_frames(packet: Any, frame_rate: Fraction, first: int) -> None:
    """Give the packet times in frames, as encoders do; the file rounds them to times of its own."""
    frames = packet.time_base * frame_rate
    packet.pts = first + round(packet.pts * frames)
    packet.dts = first + round(packet.dts * frames)
    packet.duration = round(packet.duration * frames)
    packet.time_base = 1 / frame_rate
