"""Shared memory that passes frames from several chunk renderers to the one encoder of a play.

It is used where one encoder must see all frames of a play, as in Manim. The chunk renderers write converted frames to
buffers, and the encoder reads the buffers in the order of the chunks. A buffer holds one chunk; it is used again when
the encoder has read it.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from collections.abc import Callable

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from renderer.video.encoder_spec import VideoEncoderSpec
from renderer.video.frame import Pixels
from renderer.video.pixel_format import BandConverter, can_convert_bands, get_planes, split_planes
from renderer.video.pyav_encoder import PyAVEncoder

BUFFER_BYTES = 64 * 2**20
MIN_CHUNK_FRAMES, MAX_CHUNK_FRAMES = 8, 60
_MESSAGE = struct.Struct("<?i")  # False and the index of a drawn chunk, or True and the number of chunks
_HEADER_BYTES = 4 * (MAX_CHUNK_FRAMES + 1)


def choose_chunk_length(spec: VideoEncoderSpec, frames: int, processes: int) -> int | None:
    """Return the largest length of a chunk that gives each process work; None if one process must draw the play."""
    if processes == 1 or not can_convert_bands(spec):
        return None
    fitting = min(MAX_CHUNK_FRAMES, int(BUFFER_BYTES // (spec.width * spec.height * 3 // 2)))
    return max(MIN_CHUNK_FRAMES, min(fitting, -(-frames // (2 * processes))))


class FrameBuffers:
    """``count`` buffers, each for one chunk. The parent makes them before it forks the encoder and chunk renderers.

    Each buffer begins with integers: the number of different frames in it, then how often each of them is shown.
    """

    def __init__(self, spec: VideoEncoderSpec, max_chunk_frames: int, count: int, pipe: tuple[int, int]) -> None:
        self.count = count
        self._size = (spec.width, spec.height)
        self._frame = VideoFrame(*self._size, "yuv420p")
        frame_bytes = sum(plane.size for plane in get_planes(self._frame))
        self._frames: list[list[list[Pixels]]] = []  # of each buffer, of each frame: the planes
        self._numbers: list[NDArray[np.int32]] = []
        for _ in range(count):
            memory = mmap.mmap(-1, _HEADER_BYTES + max_chunk_frames * frame_bytes)
            self._numbers.append(np.frombuffer(memory, np.int32, MAX_CHUNK_FRAMES + 1))
            pixels = np.frombuffer(memory, np.uint8, offset=_HEADER_BYTES).reshape(max_chunk_frames, frame_bytes)
            self._frames.append([split_planes(row, *self._size) for row in pixels])
        self._read, self._write = pipe

    def open_writer(self, index: int) -> BufferWriter:
        """Return the VideoWriter of chunk ``index``, for its chunk renderer."""
        at = index % self.count
        return BufferWriter(self._size, self._frames[at], self._numbers[at], lambda: self._send(False, index))

    def close(self, chunks: int) -> None:
        """Send the encoder the number of chunks, and free the buffers in the parent; other processes keep them."""
        self._send(True, chunks)
        os.close(self._write)
        os.close(self._read)
        self._frames, self._numbers = [], []

    def _send(self, is_total: bool, number: int) -> None:
        os.write(self._write, _MESSAGE.pack(is_total, number))

    def encode_chunks(self, encoder: PyAVEncoder, report: Callable[[int], None]) -> float:
        """Encode the chunks in order, each when it is drawn. Return the seconds spent encoding, without the waits.

        ``report`` is called after each chunk, with the number of chunks that are encoded.
        """
        drawn: set[int] = set()
        index, chunks, encode_s = 0, -1, 0.0
        while index != chunks:
            if index in drawn:
                started = time.perf_counter()
                self._encode_chunk(encoder, index % self.count)
                encode_s += time.perf_counter() - started
                index += 1
                report(index)
                continue
            is_total, number = _MESSAGE.unpack(os.read(self._read, _MESSAGE.size))
            if is_total:
                chunks = number
            else:
                drawn.add(number)
        started = time.perf_counter()
        encoder.finish()
        return encode_s + time.perf_counter() - started

    def _encode_chunk(self, encoder: PyAVEncoder, at: int) -> None:
        count, *repeats = self._numbers[at].tolist()
        for planes, repeat in zip(self._frames[at][:count], repeats, strict=False):
            self._frame.make_writable()
            for target, plane in zip(get_planes(self._frame), planes, strict=True):
                target[:] = plane
            encoder.encode(self._frame, repeat)


class BufferWriter:
    """A VideoWriter that writes the frames of one chunk to a buffer. Equal frames in a row are stored once."""

    def __init__(
        self,
        size: tuple[int, int],
        frames: list[list[Pixels]],
        numbers: NDArray[np.int32],
        report_drawn: Callable[[], None],
    ) -> None:
        self._converter = BandConverter(*size)
        self._frames, self._numbers, self._report_drawn = frames, numbers, report_drawn
        self._numbers[0] = 0

    def write(self, pixels: Pixels, repeat: int) -> None:
        """Store a frame that is shown ``repeat`` times."""
        if self._converter.update(pixels):
            for target, plane in zip(self._frames[self._numbers[0]], self._converter.planes, strict=True):
                target[:] = plane
            self._numbers[0] += 1
            self._numbers[self._numbers[0]] = 0
        self._numbers[self._numbers[0]] += repeat

    def finish(self) -> None:
        """Report to the encoder that the chunk is drawn."""
        self._report_drawn()
