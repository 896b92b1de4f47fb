"""Makes the poster of a film: an image that shows what it is about, before it plays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

FILMS = frozenset({".mp4", ".mov", ".webm", ".gif"})
_PLACES = (1.0, 0.9, 0.75, 0.5, 0.25)  # in the film, in the order in which they are tried
_LEAST_CONTRAST = 24  # between the darkest and the brightest value of a frame that is not blank


def name_poster(film: Path) -> Path:
    """Return the path of a film's poster, which Manim uses for nothing: FILM.poster.png."""
    return film.with_name(f"{film.stem}.poster.png")


def write_poster(film: Path) -> Path:
    """Write the poster of a film beside it, and return its path.

    It is the last frame or, if that is blank because everything has faded out, an earlier one. Raises ImportError if
    the package av is not installed.
    """
    import av
    from PIL import Image

    with av.open(str(film)) as container:
        last = None
        for frame in _read_frames(container):
            last = frame
            if np.ptp(frame.to_ndarray(format="gray")) >= _LEAST_CONTRAST:
                break
    target = name_poster(film)
    if last is not None:
        transparent = "a" in last.format.name and last.format.name != "gray"
        Image.fromarray(last.to_ndarray(format="rgba" if transparent else "rgb24")).save(target)
    return target


def _read_frames(container: Any) -> Iterator[Any]:
    """Yield the frames at the places that are tried, each the last one before its time."""
    stream = container.streams.video[0]
    length = float(container.duration or 0) / 1e6
    for place in _PLACES:
        end = length * place
        container.seek(int(max(0.0, end - 1 / float(stream.average_rate or 1)) * 1e6), backward=True)
        found = None
        for frame in container.decode(stream):
            if found is not None and frame.time is not None and frame.time >= end:
                break
            found = frame
        if found is not None:
            yield found
