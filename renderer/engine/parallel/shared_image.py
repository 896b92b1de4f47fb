"""An image that one child paints and its siblings use."""

from __future__ import annotations

import mmap
import os
import select

import numpy as np

from renderer.video.frame import Pixels


class SharedImage:
    """Made by the parent before it forks. One child publishes; the others, forked later, wait for it."""

    def __init__(self, shape: tuple[int, ...], pipe: tuple[int, int]) -> None:
        self._array: Pixels = np.frombuffer(mmap.mmap(-1, int(np.prod(shape))), np.uint8).reshape(shape)
        self._read, self._write = pipe

    def publish(self, pixels: Pixels) -> Pixels:
        """Copy the pixels in, tell the siblings, give the shared copy."""
        self._array[:] = pixels
        os.write(self._write, b".")
        return self._array

    def wait(self) -> Pixels:
        """Wait until the image is there. ConnectionError if its painter ended before."""
        poll = select.poll()
        poll.register(self._read, select.POLLIN)
        if not poll.poll()[0][1] & select.POLLIN:
            raise ConnectionError("the painter of the play's first part has ended")
        return self._array

    def leave_to_child(self) -> None:
        """Close the publishing end in the parent, so that the death of the painter is seen."""
        os.close(self._write)
        self._write = -1

    def close(self) -> None:
        """Close what is open in the parent."""
        os.close(self._read)
        if self._write >= 0:  # no child was to paint it
            os.close(self._write)
