"""An image in memory that one chunk renderer draws and those of the same play's other chunks use."""

from __future__ import annotations

import mmap
import os
import select

import numpy as np

from renderer.video.frame import Pixels


class SharedImage:
    """Made by the parent before it forks. The first chunk renderer publishes; those forked later wait for it."""

    def __init__(self, shape: tuple[int, ...], pipe: tuple[int, int]) -> None:
        self._array: Pixels = np.frombuffer(mmap.mmap(-1, int(np.prod(shape))), np.uint8).reshape(shape)
        self._read, self._write = pipe

    def publish(self, pixels: Pixels) -> Pixels:
        """Copy the pixels to the shared memory, wake those that wait, and return the shared copy."""
        self._array[:] = pixels
        os.write(self._write, b".")
        return self._array

    def wait(self) -> Pixels:
        """Return the image, when it is published. Raises ConnectionError if its process ended before that."""
        poll = select.poll()
        poll.register(self._read, select.POLLIN)
        if not poll.poll()[0][1] & select.POLLIN:
            raise ConnectionError("the chunk renderer of the play's first chunk has ended")
        return self._array

    def leave_to_child(self) -> None:
        """Close the publishing end in the parent, so that those that wait see the end of the publishing process."""
        os.close(self._write)
        self._write = -1

    def close(self) -> None:
        """Close the parent's ends of the pipe."""
        os.close(self._read)
        if self._write >= 0:  # no process was forked to publish it
            os.close(self._write)
