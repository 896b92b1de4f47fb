"""Frames whose written rows are known are reset and compared by these rows alone; otherwise by all rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from renderer.video.frame import Pixels
from renderer.video.written_rows import WrittenRows

HEIGHT = 20
READER = object()


def make_frame(value: int = 0) -> Pixels:
    return np.full((HEIGHT, 3, 4), value, np.uint8)


def find_rows(value: slice) -> list[int]:
    return list(range(HEIGHT))[value]


@pytest.fixture
def rows() -> WrittenRows:
    return WrittenRows()


def test_copies_what_was_drawn_on(rows: WrittenRows) -> None:
    pixels, background = make_frame(), make_frame(7)
    rows.reset(pixels, background)
    assert (pixels == 7).all()
    pixels[:] = 9
    rows.add(4.5, 6.2)
    rows.reset(pixels, background)
    assert [row for row in range(HEIGHT) if (pixels[row] == 7).all()] == [4, 5, 6]


def test_other_background(rows: WrittenRows) -> None:
    pixels = make_frame()
    rows.reset(pixels, make_frame(1))
    rows.reset(pixels, make_frame(2))
    assert (pixels == 2).all()


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (3, 5, [3, 4, 5]),
        (-9.5, 0, [0]),
        (18.2, 99, [18, 19]),
        (-9, -3, []),
        (HEIGHT, 99, []),
        (5, 3, range(HEIGHT)),
        (math.nan, 3, range(HEIGHT)),
        (3, math.inf, range(HEIGHT)),
        (-1e30, 1e30, range(HEIGHT)),
    ],
)
def test_rows_of_a_shape(rows: WrittenRows, first: float, last: float, expected: list[int]) -> None:
    pixels = make_frame()
    rows.reset(pixels, make_frame(1))
    rows.take(pixels, READER)
    rows.add(first, last)
    assert find_rows(rows.take(pixels, READER)) == list(expected)


def test_reader_sees_what_was_reset_as_well(rows: WrittenRows) -> None:
    pixels, background = make_frame(), make_frame(1)
    rows.reset(pixels, background)
    rows.add(2, 3)
    assert find_rows(rows.take(pixels, READER)) == list(range(HEIGHT))
    rows.reset(pixels, background)
    rows.add(5, 6)
    assert find_rows(rows.take(pixels, READER)) == [2, 3, 4, 5, 6]
    rows.reset(pixels, background)
    assert find_rows(rows.take(pixels, READER)) == [5, 6]
    rows.reset(pixels, background)
    assert find_rows(rows.take(pixels, READER)) == []


def test_another_reader_or_frame(rows: WrittenRows) -> None:
    pixels, background = make_frame(), make_frame(1)
    rows.reset(pixels, background)
    rows.take(pixels, READER)
    assert find_rows(rows.take(pixels, object())) == list(range(HEIGHT))
    assert find_rows(rows.take(pixels, READER)) == list(range(HEIGHT))
    assert find_rows(rows.take(make_frame(), READER)) == list(range(HEIGHT))
    assert find_rows(rows.take(pixels, READER)) == list(range(HEIGHT))


def test_give_up(rows: WrittenRows) -> None:
    pixels, background = make_frame(), make_frame(1)
    rows.reset(pixels, background)
    rows.take(pixels, READER)
    rows.give_up()
    for value in (2, 3):
        background[:] = value
        rows.reset(pixels, background)
        assert (pixels == value).all()
        assert find_rows(rows.take(pixels, READER)) == list(range(HEIGHT))
