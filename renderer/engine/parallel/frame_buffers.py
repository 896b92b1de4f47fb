"""Several painters and one encoder for a long play, where that encoder has to see all frames, as Manim's does.

The painters put their frames, converted already, into buffers that they share with the encoder, which takes them in
order. A buffer holds one part, and is used again when the encoder is through with it.
"""

from __future__ import annotations

import mmap
import os
import struct
from typing import Any

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from renderer.video.frame import Pixels
from renderer.video.pixel_format import BandConverter, can_convert_bands, get_planes

BUFFER_BYTES = 64 * 2**20
FEWEST, MOST = 8, 60  # frames of a part
_MESSAGE = struct.Struct("<?i")  # a part's index; or, with True, the number of parts
_HEADER = 4 * (MOST + 1)


def part_length(spec: Any, frames: int, painters: int) -> int | None:  # Manim's VideoEncoderSpec
    """Give the most frames of a part, so that all painters have some; None where one painter must do the play."""
    if painters == 1 or not can_convert_bands(spec):
        return None
    fitting = min(MOST, int(BUFFER_BYTES // (spec.width * spec.height * 3 // 2)))
    return max(FEWEST, min(fitting, -(-frames // (2 * painters))))


class Joining:
    """Made by the parent before it forks the play's painters and its encoder; ``buffers`` are there at once."""

    def __init__(self, spec: Any, longest: int, buffers: int, pipe: tuple[int, int]) -> None:
        self.buffers = buffers
        self.encoded = 0  # parts, as the parent was told
        self._size = (spec.width, spec.height)
        self._frame = VideoFrame(*self._size, "yuv420p")
        shapes = [plane.shape for plane in get_planes(self._frame)]
        picture = sum(height * width for height, width in shapes)
        self._slots, self._notes = [], []
        for _ in range(buffers):
            memory = mmap.mmap(-1, _HEADER + longest * picture)
            self._notes.append(np.frombuffer(memory, np.int32, MOST + 1))
            pixels = np.frombuffer(memory, np.uint8, offset=_HEADER).reshape(longest, picture)
            self._slots.append([_split(row, shapes) for row in pixels])
        self._read, self._write = pipe

    def writer(self, index: int) -> BufferWriter:
        """Give a painter what takes the frames of its part."""
        at = index % self.buffers
        return BufferWriter(self._size, self._slots[at], self._notes[at], lambda: self._send(False, index))

    def end(self, parts: int) -> None:
        """Tell the encoder how many parts there are."""
        self._send(True, parts)
        os.close(self._write)
        os.close(self._read)
        self._slots, self._notes = [], []  # of the parent: the painters and the encoder have the memory as well

    def _send(self, total: bool, number: int) -> None:
        os.write(self._write, _MESSAGE.pack(total, number))

    def encode(self, encoder: Any, told: Any) -> None:
        """Encode part after part as they are painted; ``told`` is called after each with the number so far."""
        painted: set[int] = set()
        index, parts = 0, -1
        while index != parts:
            if index in painted:
                self._encode_part(encoder, index % self.buffers)
                index += 1
                told(index)
                continue
            total, number = _MESSAGE.unpack(os.read(self._read, _MESSAGE.size))
            if total:
                parts = number
            else:
                painted.add(number)
        encoder.finish()

    def _encode_part(self, encoder: Any, at: int) -> None:
        count, *repeats = self._notes[at].tolist()
        for planes, repeat in zip(self._slots[at][:count], repeats, strict=False):
            self._frame.make_writable()
            for target, plane in zip(get_planes(self._frame), planes, strict=True):
                target[:] = plane
            encoder.encode(self._frame, repeat)


class BufferWriter:
    """A painter's end: a VideoWriter that puts frames into a buffer. Frames that equal the last one are counted."""

    def __init__(
        self, size: tuple[int, int], slots: list[list[Pixels]], notes: NDArray[np.int32], finished: Any
    ) -> None:
        self._converter = BandConverter(*size)
        self._slots, self._notes, self._finished = slots, notes, finished
        self._notes[0] = 0

    def write(self, pixels: Pixels, repeat: int) -> None:
        """Take a frame ``repeat`` times."""
        if planes := self._converter.update(pixels):
            for target, plane in zip(self._slots[self._notes[0]], planes, strict=True):
                target[:] = plane
            self._notes[0] += 1
            self._notes[self._notes[0]] = 0
        self._notes[self._notes[0]] += repeat

    def finish(self) -> None:
        """Tell the encoder that the part is painted."""
        self._finished()


def _split(row: Pixels, shapes: list[tuple[int, ...]]) -> list[Pixels]:
    """Give a picture's planes, which lie one after the other."""
    edges = np.cumsum([height * width for height, width in shapes])[:-1]
    return [part.reshape(shape) for part, shape in zip(np.split(row, edges), shapes, strict=True)]
