"""Reads the pictures of a job that an agent is shown. They come from the job, and are bounded in bytes and pixels."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable
from pathlib import Path

from mcp_types import ImageContent

from backends.errors import OutputError
from backends.untrusted import open_beneath, read_bounded, show_line

MAX_PICTURES = 4
ALL_BYTES = 700 * 2**10  # of all pictures together: clients refuse answers of more than 1 MB
MAX_SIDE = 8000  # pixels: models refuse a larger picture, and from then on the conversation that has it
ADVICE = "lower the quality, or ask for single frames"
_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".gif"})
_NO_FRAME = frozenset({0xC4, 0xC8, 0xCC})  # markers of JPEG between those of a frame, 0xC0 to 0xCF


def read_pictures(paths: Iterable[Path]) -> tuple[list[ImageContent], list[str]]:
    """Return the pictures among files, and a sentence on each that is not shown."""
    pictures: list[ImageContent] = []
    notes: list[str] = []
    left = ALL_BYTES
    for path in paths:
        if path.suffix.lower() not in _ENDINGS:
            continue
        if len(pictures) == MAX_PICTURES:
            return pictures, [*notes, f"only {MAX_PICTURES} pictures are shown"]
        data = _read(path, left)
        found = data and _measure(data)
        if data is None or (found and max(found[1:]) > MAX_SIDE):
            notes.append(f"{show_line(path.name)} is too large to be shown: {ADVICE}")
        elif found:
            left -= len(data)
            pictures.append(ImageContent(type="image", data=base64.b64encode(data).decode(), mime_type=found[0]))
    return pictures, notes


def _read(path: Path, most: int) -> bytes | None:
    """Return the content of a picture; None if it has too many bytes or cannot be read."""
    try:
        with open_beneath(path.parent, path.name) as stream:
            return read_bounded(stream, most)
    except (OSError, OutputError):
        return None


def _measure(data: bytes) -> tuple[str, int, int] | None:
    """Return the kind of a picture and its two sides in pixels; None for data that is no picture."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return "image/png", *struct.unpack_from(">II", data, 16)
        if data.startswith(b"GIF8"):
            return "image/gif", *struct.unpack_from("<HH", data, 6)
        if data.startswith(b"\xff\xd8"):
            return "image/jpeg", *_measure_jpeg(data)
    except struct.error:  # it is cut
        pass
    return None


def _measure_jpeg(data: bytes) -> tuple[int, int]:
    """Return the two sides of a JPEG, from the header of its frame. Raises struct.error if it has none."""
    at = 2
    while True:
        start, marker, length = struct.unpack_from(">BBH", data, at)
        if start == 0xFF and 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:  # noqa: PLR2004
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 + length
