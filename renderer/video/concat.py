"""Puts the parts of a play together to the one file that Manim would have made of it, frame by frame in time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from renderer.engine.parallel.play import Part


def join(parts: Iterable[Part], target: Path, spec: Any) -> None:  # Manim's VideoEncoderSpec
    """Copy the parts' packets into one file.

    Manim's own joining, of plays, takes each file to be as long as its header says, in thousandths of a second. So a
    play in parts would end at another time than a play in one.
    """
    with av.open(target, mode="w", format=spec.container_format) as output:
        stream = None
        for packet, first in _packets(parts):
            stream = stream or output.add_stream_from_template(packet.stream)
            _count_in_frames(packet, Fraction(spec.frame_rate), first)
            packet.stream = stream
            output.mux(packet)


def _packets(parts: Iterable[Part]) -> Iterator[tuple[Any, int]]:
    """Give each packet, and the number of frames before its part."""
    first = 0
    for part in parts:
        with av.open(part.path) as source:
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    yield packet, first
        first += part.frames


def _count_in_frames(packet: Any, frame_rate: Fraction, first: int) -> None:
    """Give the packet times in frames, as encoders do; the file rounds them to times of its own."""
    frames = packet.time_base * frame_rate
    packet.pts = first + round(packet.pts * frames)
    packet.dts = first + round(packet.dts * frames)
    packet.duration = round(packet.duration * frames)
    packet.time_base = 1 / frame_rate
