"""A stub of the NVIDIA driver, for machines without a GPU.

Its libraries refuse as a real driver does, so that the tests see the messages that FFmpeg itself prints then. None of
them encodes. The stub's ``ffmpeg`` is a program whose NVENC seems to work: it encodes with x264.
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
    """The folder of the compiled libraries."""

    folder: Path

    @classmethod
    def build(cls, folder: Path) -> Driver:
        """Compile the libraries into ``folder``."""
        for name in LIBRARIES:
            target = folder / name / f"{name}.so.1"
            target.parent.mkdir()
            subprocess.run(["cc", "-shared", "-fPIC", "-o", target, SOURCES / f"{name}.c"], check=True)
        return cls(folder)

    def env(self, *libraries: str, program: bool = False, **behaviour: str) -> dict[str, str]:
        """Return variables with which a process finds the libraries (default: all) and, if wanted, the stub's ffmpeg.

        ``behaviour`` are the STUB_… variables that the libraries read.
        """
        paths = [str(self.folder / name) for name in libraries or LIBRARIES]
        path = f"{SOURCES}{os.pathsep}{os.environ['PATH']}" if program else os.environ["PATH"]
        return {"LD_LIBRARY_PATH": os.pathsep.join(paths), "PATH": path, **behaviour}
