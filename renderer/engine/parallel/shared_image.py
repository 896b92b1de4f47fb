"""An image in shared memory: the chunk renderer of a play's first chunk draws it, those of the other chunks read it."""

from __future__ import annotations

import mmap
import os
import select

import numpy as np

from renderer.video.frame import Pixels


class SharedImage:
    """The image and a pipe that wakes its readers. The parent makes both before it forks the first chunk renderer."""

    def __init__(self, shape: tuple[int, ...], pipe: tuple[int, int]) -> None:
        self._array: Pixels = np.frombuffer(mmap.mmap(-1, int(np.prod(shape))), np.uint8).reshape(shape)
        self._read, self._write = pipe

    def publish(self, pixels: Pixels) -> Pixels:
        """Copy the pixels to the shared memory, wake the waiting processes, and return the shared copy."""
        self._array[:] = pixels
        os.write(self._write, b".")
        return self._array

    def wait(self) -> Pixels:
        """Wait for the image and return it. Raises ConnectionError if the process that draws it has ended."""
        poll = select.poll()
        poll.register(self._read, select.POLLIN)
        if not poll.poll()[0][1] & select.POLLIN:
            raise ConnectionError("the chunk renderer of the play's first chunk has ended")
        return self._array

    def leave_to_child(self) -> None:
        """Close the parent's writing end, so that waiting processes notice when the drawing process ends."""
        os.close(self._write)
        self._write = -1

    def close(self) -> None:
        """Close the parent's ends of the pipe."""
        os.close(self._read)
        if self._write >= 0:  # no process was forked to publish it
            os.close(self._write)
