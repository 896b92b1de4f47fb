"""Pictures of a job that an agent is shown: a job must not break the conversation by what it calls a picture."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from renderer.serve.agents.pictures import MAX_PICTURES, MAX_SIDE, read_pictures


def make(kind: str, width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif"])
@pytest.mark.parametrize("turned", [False, True])
def test_pictures_are_shown_up_to_a_number_of_pixels(kind: str, turned: bool, tmp_path: Path) -> None:
    for side in (MAX_SIDE, MAX_SIDE + 1):
        (tmp_path / f"{side}.{kind}").write_bytes(make(kind, *((1, side) if turned else (side, 1))))
    pictures, notes = read_pictures(sorted(tmp_path.iterdir()))
    assert [(item.mime_type, base64.b64decode(item.data)) for item in pictures] == [
        (f"image/{kind}", make(kind, *((1, MAX_SIDE) if turned else (MAX_SIDE, 1))))
    ]
    assert notes == [f"{MAX_SIDE + 1}.{kind} is too large to be shown: lower the quality, or ask for single frames"]


def test_a_huge_picture_in_few_bytes_is_not_shown(tmp_path: Path) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (tmp_path / "bomb.png").write_bytes(data)
    assert read_pictures([tmp_path / "bomb.png"]) == (
        [],
        ["bomb.png is too large to be shown: lower the quality, or ask for single frames"],
    )


def test_only_the_first_are_shown_and_the_text_is_short(tmp_path: Path) -> None:
    for number in range(MAX_PICTURES + 2):
        (tmp_path / f"{number}.png").write_bytes(make("png", 1, 1))
    pictures, notes = read_pictures(sorted(tmp_path.iterdir()))
    assert (len(pictures), notes) == (MAX_PICTURES, [f"only {MAX_PICTURES} pictures are shown"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF8", b"\xff\xd8", b"\xff\xd8\xff\xc4\x00\x00"]),
    rest=st.binary(max_size=99),
)
def test_any_data_is_read(start: bytes, rest: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(start + rest)
    read_pictures([tmp_path / "a.png"])
