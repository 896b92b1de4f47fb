"""The rows that a converter reports as changed are all that another process needs to have the same frame."""

from __future__ import annotations

import numpy as np
import pytest
from av import VideoFrame

from renderer.video.frame import Pixels
from renderer.video.pixel_format import BandConverter, copy_rows, get_planes

SIZE = (852, 480)


def draw(change: str) -> Pixels:
    pixels = np.random.default_rng(1).integers(0, 255, (SIZE[1], SIZE[0], 4), np.uint8)
    rows = {"nothing": [], "a row": [100], "the edges": [0, -1], "some rows": [3, 50, 250, 477], "all": range(SIZE[1])}
    pixels[np.array(rows[change], int)] ^= 255
    return pixels


@pytest.mark.parametrize("change", ["nothing", "a row", "the edges", "some rows", "all"])
def test_changed_rows(change: str) -> None:
    converter, copy = BandConverter(*SIZE), VideoFrame(*SIZE, "yuv420p")
    for pixels in (draw("nothing"), draw(change), draw("nothing")):
        rows = converter.update(pixels)
        copy_rows(converter.planes, get_planes(copy), rows)
        expected = BandConverter(*SIZE).convert(pixels)
        for plane, whole in zip(get_planes(copy), get_planes(expected), strict=True):
            assert (plane == whole).all()
    assert (rows == []) == (change == "nothing")


def test_few_changes_are_few_rows() -> None:
    converter = BandConverter(*SIZE)
    assert converter.update(draw("nothing")) == [(0, SIZE[1])]
    ((first, last),) = converter.update(draw("a row"))
    assert first <= 100 < last < first + 60
