"""Joins the encoded chunks of one play into the file that Manim would have written, without encoding again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from renderer.video.encoder_spec import VideoEncoderSpec


@dataclass(frozen=True)
class Clip:
    """A video file without sound, and its number of frames."""

    path: Path
    frames: int


def join_clips(clips: Iterable[Clip], target: Path, spec: VideoEncoderSpec) -> None:
    """Copy the packets of the clips, in order, into one file at ``target``.

    Times are counted in frames. Manim joins files by the durations in their headers, which are rounded to thousandths
    of a second: a play of several clips would then end at another time than the same play in one file.
    """
    with av.open(target, mode="w", format=spec.container_format) as output:
        stream = None
        for packet, first in _read_packets(clips):
            stream = stream or output.add_stream_from_template(packet.stream)
            _set_times(packet, Fraction(spec.frame_rate), first)
            packet.stream = stream
            output.mux(packet)


def write_play(clips: Sequence[Clip], target: Path, spec: VideoEncoderSpec) -> None:
    """Write a video of one play beside the film, which appears at ``target`` when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}")
    join_clips(clips, temporary, spec)
    temporary.replace(target)


def _read_packets(clips: Iterable[Clip]) -> Iterator[tuple[Any, int]]:
    """Yield each packet, and the number of frames in the clips before its clip."""
    first = 0
    for clip in clips:
        with av.open(clip.path) as source:
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    yield packet, first
        first += clip.frames


def _set_times(packet: Any, frame_rate: Fraction, first: int) -> None:
    """Set the packet's times in frames from the start of the file. The container converts them to its own time base."""
    frames = packet.time_base * frame_rate
    packet.pts = first + round(packet.pts * frames)
    packet.dts = first + round(packet.dts * frames)
    packet.duration = round(packet.duration * frames)
    packet.time_base = 1 / frame_rate
