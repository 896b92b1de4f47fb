"""The type of a frame, and fast comparisons of frames."""

from __future__ import annotations

import ctypes
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]  # height x width x RGBA bytes

_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
_memcmp.restype = ctypes.c_int


def equal_frames(one: Pixels, other: Pixels) -> bool:
    """Return whether two C-contiguous frames are equal, several times faster than ``numpy.array_equal``."""
    return one.shape == other.shape and bool(_memcmp(one.ctypes.data, other.ctypes.data, one.nbytes) == 0)


def find_changed_bands(old: Pixels, new: Pixels, rows: int, written: slice) -> list[int]:
    """Return the first row of each band of ``rows`` rows in which two C-contiguous frames differ.

    They can differ only in the rows ``written``.
    """
    height, stride = len(old), old.strides[0]
    old_address, new_address = old.ctypes.data, new.ctypes.data

    def differs(top: int) -> bool:
        offset, size = top * stride, min(rows, height - top) * stride
        return bool(_memcmp(old_address + offset, new_address + offset, size))

    return [top for top in range(written.start // rows * rows, written.stop, rows) if differs(top)]
