"""A process that encodes chunk after chunk of a scene, for the chunk renderers that draw them.

x264 needs 300 MB for a chunk at 1080p, and the kernel clears all memory that a new process gets. This process has it
already: its next encoder uses the memory of the one before. Besides, it encodes a frame while the next one is drawn.
"""

from __future__ import annotations

import mmap
import os
import signal
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from av import VideoFrame

from renderer.engine.process.scene_process import (
    SceneProcess,
    close_other_files,
    discard_output,
    keep_freed_memory,
    return_freed_memory,
)
from renderer.video.encoder_spec import VideoEncoderSpec
from renderer.video.frame import Pixels
from renderer.video.pixel_format import BandConverter, copy_rows, get_planes, split_planes
from renderer.video.pyav_encoder import PyAVEncoder

MAX_WAITING = 4  # frames that are drawn, and not yet read by the encoder
IDLE_S = 1.0  # after which the memory is returned: other scenes may need it


class EncoderProcess:
    """The VideoWriter of chunk renderers, one at a time: each opens a file, writes its frames, and finishes it.

    The stepping process constructs it, and forks the chunk renderers afterwards.
    """

    def __init__(self, process: SceneProcess, spec: VideoEncoderSpec) -> None:
        self._size = (spec.width, spec.height)
        self._frames = [_share_planes(*self._size) for _ in range(MAX_WAITING)]
        self._free = list(range(MAX_WAITING))  # frames that are not waiting
        self._converter: BandConverter | None = None
        requests, answers = process.create_pipe(), process.create_pipe()
        self._pid = process.fork()
        if not self._pid:
            _serve(requests[0], answers[1], spec, self._frames)
        os.close(requests[0])
        os.close(answers[1])
        self._requests, self._answers = Connection(requests[1], readable=False), Connection(answers[0], writable=False)

    def open(self, target: Path, spec: VideoEncoderSpec) -> EncoderProcess:  # noqa: ARG002  # all files have one spec
        """Begin a file; return its VideoWriter."""
        self._send(target)
        return self

    def write(self, pixels: Pixels, repeat: int) -> None:
        """Encode a frame ``repeat`` times. The array may change after the call."""
        # made by the first call in a chunk renderer, so that all rows of its first frame are new
        self._converter = self._converter or BandConverter(*self._size)
        rows = self._converter.update(pixels)
        if not self._free:
            self._free.append(self._receive())
        at = self._free.pop()
        copy_rows(self._converter.planes, self._frames[at], rows)
        self._send((at, rows, repeat))

    def finish(self) -> None:
        """Wait until the file is complete. Raises EncoderError or OutputError, also for what happened before."""
        self._send(None)
        while (free := self._receive()) is not None:
            self._free.append(free)

    def end(self) -> None:
        """End the process. The stepping process calls it when no chunk renderer is left."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self._requests.close()
        self._answers.close()

    def _send(self, request: Any) -> None:
        try:
            self._requests.send(request)
        except BrokenPipeError:
            raise MemoryError("the process that encodes was killed") from None

    def _receive(self) -> Any:
        try:
            answer = self._answers.recv()
        except EOFError:
            raise MemoryError("the process that encodes was killed") from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def _serve(requests: int, answers: int, spec: VideoEncoderSpec, frames: Sequence[list[Pixels]]) -> NoReturn:
    """Encode one file after the other, until the process is killed."""
    try:
        close_other_files({requests, answers})  # of the scene, and pipes whose end others wait for
        discard_output()
        keep_freed_memory()
        server = _Server(Connection(requests, writable=False), Connection(answers, readable=False), spec, frames)
        while True:
            server.encode_file()
    finally:
        os._exit(1)  # an error must not reach the scene's code, which would go on in this process


class _Server:
    def __init__(
        self, requests: Connection, answers: Connection, spec: VideoEncoderSpec, frames: Sequence[list[Pixels]]
    ) -> None:
        self._requests, self._answers, self._spec, self._frames = requests, answers, spec, frames
        self._frame = VideoFrame(spec.width, spec.height, "yuv420p")

    def encode_file(self) -> None:
        """Wait for a file, encode it, and answer with None, or what went wrong."""
        if not self._requests.poll(IDLE_S):
            return_freed_memory()
        target, repeats = self._requests.recv(), self._receive_frames()
        failure = None
        try:
            encoder = PyAVEncoder(target, self._spec)
            for repeat in repeats:
                encoder.encode(self._frame, repeat)
            encoder.finish()
        except Exception as error:  # noqa: BLE001  # the chunk renderer raises it
            failure = error
        for _ in repeats:
            pass  # after a failure, the chunk renderer goes on to the end
        self._answers.send(failure)

    def _receive_frames(self) -> Iterator[int]:
        """Receive the frames of the file; for each, return how often it is shown."""
        while request := self._requests.recv():
            at, rows, repeat = request
            self._frame.make_writable()  # copies it if the encoder still holds it
            copy_rows(self._frames[at], get_planes(self._frame), rows)
            self._answers.send(at)
            yield repeat


def _share_planes(width: int, height: int) -> list[Pixels]:
    """Return the planes of a frame in memory that forked processes share."""
    return split_planes(np.frombuffer(mmap.mmap(-1, 2 * width * height), np.uint8), width, height)
