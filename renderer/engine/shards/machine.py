"""What of a machine can change a frame: the instructions that x264 uses, and the kernel of OpenBLAS."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path

from renderer.system.limits import has_avx2


def describe_encoding() -> str:
    """Return what of this machine x264's output depends on: see ``encoder_presets.make_deterministic``."""
    return "x264 with AVX2" if has_avx2() else "x264 without AVX2"


def find_kernel() -> str:
    """Return the name of OpenBLAS's kernel in this process; an empty text if it cannot be found."""
    with suppress(OSError):
        files = {
            line.split(maxsplit=5)[-1]
            for line in Path("/proc/self/maps").read_text().splitlines()
            if "openblas" in line
        }
        for file in sorted(files):
            library = ctypes.CDLL(file)
            for name in ("scipy_openblas_get_corename64_", "openblas_get_corename64_", "openblas_get_corename"):
                with suppress(AttributeError):
                    function = getattr(library, name)
                    function.restype = ctypes.c_char_p
                    return str((function() or b"").decode())
    return ""
