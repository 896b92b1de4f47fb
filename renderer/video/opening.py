"""Opens videos whose packets are counted or copied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av

_MERGED_OPTIONS = 19  # the version of PyAV from which on ``options`` are also those of the decoders


def open_undecoded(path: Path) -> Any:
    """Open a video without decoding its first frame, which takes longer than to read all packets.

    What only a frame tells stays unknown, such as the pixel format.
    """
    skip = {"skip_frame": "all"}
    if int(av.__version__.partition(".")[0]) >= _MERGED_OPTIONS:
        return av.open(str(path), options=skip)
    return av.open(str(path), stream_options=[skip])
