"""A converter that one encoder used before converts the frames of the next one as a new converter does."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

from renderer.video.frame import Pixels
from renderer.video.pixel_format import BandConverter, create_converter, get_planes, release_converter

SIZE = (852, 480)


@dataclass(frozen=True)
class Spec:
    width: int = SIZE[0]
    height: int = SIZE[1]
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    container_format: str = "mp4"
    frame_rate: Fraction = Fraction(15)
    options: tuple[tuple[str, str], ...] = ()


def draw(change: str) -> Pixels:
    pixels = np.random.default_rng(1).integers(0, 255, (SIZE[1], SIZE[0], 4), np.uint8)
    if change == "a row":
        pixels[100] ^= 255
    if change == "everything":
        pixels ^= 255
    return pixels


@pytest.mark.parametrize("change", ["nothing", "a row", "everything"])
def test_next_encoder(change: str) -> None:
    first = create_converter(Spec())
    first.convert(draw("nothing"))
    release_converter(first)
    again, new = create_converter(Spec()), create_converter(Spec())
    assert again is first is not new
    for pixels in (draw(change), draw("nothing")):
        found, expected = again.convert(pixels), new.convert(pixels)
        for plane, fresh in zip(get_planes(found), get_planes(expected), strict=True):
            assert (plane == fresh).all()


def test_other_size() -> None:
    release_converter(BandConverter(*SIZE))
    create_converter(Spec(width=426, height=240)).convert(np.zeros((240, 426, 4), np.uint8))
    create_converter(Spec()).convert(draw("nothing"))
