"""A stand-in for the NVIDIA driver: no GPU is at hand, so what FFmpeg meets when it opens NVENC is played by these.

The libraries refuse as a driver does, and FFmpeg's own messages about it are what is tested; none of them encodes.
``ffmpeg`` plays a program whose NVENC works: x264 encodes in its place.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent / "nvidia_stub"
LIBRARIES = ("libcuda", "libnvidia-encode", "libnvidia-ml")


@dataclass(frozen=True)
class Driver:
    """A folder of compiled libraries."""

    folder: Path

    @classmethod
    def build(cls, folder: Path) -> Driver:
        """Compile the stand-ins."""
        for name in LIBRARIES:
            target = folder / name / f"{name}.so.1"
            target.parent.mkdir()
            subprocess.run(["cc", "-shared", "-fPIC", "-o", target, SOURCES / f"{name}.c"], check=True)
        return cls(folder)

    def env(self, *libraries: str, program: bool = False, **behaviour: str) -> dict[str, str]:
        """Give variables that put the libraries (all by default), and perhaps the program, in the way."""
        paths = [str(self.folder / name) for name in libraries or LIBRARIES]
        path = f"{SOURCES}{os.pathsep}{os.environ['PATH']}" if program else os.environ["PATH"]
        return {"LD_LIBRARY_PATH": os.pathsep.join(paths), "PATH": path, **behaviour}
