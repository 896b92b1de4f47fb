"""The type of a frame: height by width by RGBA bytes."""

from __future__ import annotations

import ctypes
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]

_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
_memcmp.restype = ctypes.c_int


def equal(one: Pixels, other: Pixels) -> bool:
    """Compare two arrays that lie in one piece; several times as quick as numpy, which makes a third."""
    return one.shape == other.shape and bool(_memcmp(one.ctypes.data, other.ctypes.data, one.nbytes) == 0)


def differing(one: Pixels, other: Pixels, rows: int) -> list[int]:
    """Find the first rows of those bands of so many rows in which two arrays that lie in one piece differ."""
    height, stride = len(one), one.strides[0]
    mine, its = one.ctypes.data, other.ctypes.data
    size = rows * stride
    tops = range(0, height, rows)
    return [top for top in tops if _memcmp(mine + top * stride, its + top * stride, min(size, (height - top) * stride))]
