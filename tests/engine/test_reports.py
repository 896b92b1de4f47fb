"""What the engine reports about a render: its plays, and log lines for debugging."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from engine.renders import SCENES, SIZE, EngineRender, order_render, render_with_engine

LINE = re.compile(r"\d\d:\d\d:\d\d\.\d{3} renderer[\w.]*: .+")

SMOOTH = {"settings": {"resolution": SIZE, "fps": 30}, "chunk_frames": 8}  # 15 frames a play, in two chunks


def render(work: Path, name: str, scene: str, file: str = "cached", **changes: Any) -> EngineRender:
    path = SCENES / f"{file}.py"
    changes = {"folder": str(work / name / "render"), **changes}
    (found,) = render_with_engine(work / name, path, [order_render(work / name, path, scene, **changes)])
    assert "error" not in found.report
    return found


def test_each_play_is_reported(tmp_path: Path) -> None:
    options: dict[str, Any] = {"cache": str(tmp_path / "cache"), "preset": "fast", **SMOOTH}
    first, again = render(tmp_path, "first", "Twelve", **options), render(tmp_path, "again", "Twelve", **options)
    for found, source in ((first, "drawn"), (again, "chunk cache")):
        plays = found.report["plays"]
        assert [play["number"] for play in plays] == list(range(12))
        assert [play["start_s"] for play in plays] == [number / 2 for number in range(12)]
        assert {play["frames"] for play in plays} == {15}
        assert {(play["chunks"], play["processes"], play["source"]) for play in plays} == {(2, 2, source)}
        assert sum(play["cached"] for play in plays) == found.report["cached"]
    assert all(play["draw_s"] > 0 and play["encode_s"] > 0 for play in first.report["plays"])
    assert again.report["cached"] == 180
    assert {play["encode_s"] for play in again.report["plays"]} == {0}


def test_a_play_with_one_encoder_is_reported(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "file": "faults",
        "cache": str(tmp_path / "cache"),
        "preset": "manim",
        "chunk_frames": 10,
    }
    for name, source in (("first", "drawn"), ("again", "chunk cache")):
        for play in render(tmp_path, name, "LongPlays", **options).report["plays"]:
            assert play["source"] == source
            assert play["frames"] == 35
            assert play["cached"] == (0 if source == "drawn" else 35)
            assert play["processes"] == (0 if source == "chunk cache" else play["chunks"] + 1)
            assert (play["encode_s"] > 0) == (source == "drawn")


def test_a_serial_render_has_no_report_of_plays(tmp_path: Path) -> None:
    found = render(tmp_path, "serial", "ReadsPixels", file="odd")
    assert found.report["mode"] == "serial"
    assert found.report["plays"] == []


@pytest.mark.parametrize("preset", ["manim", "fast"])
def test_debug_lines_are_whole_and_name_what_happens(tmp_path: Path, preset: str) -> None:
    options: dict[str, Any] = {"cache": str(tmp_path / "cache"), "preset": preset, "log": "debug", **SMOOTH}
    lines = [
        line for name in ("first", "again") for line in render(tmp_path, name, "Twelve", **options).log.splitlines()
    ]
    assert [line for line in lines if " renderer." in line and not LINE.fullmatch(line)] == []
    log = "\n".join(lines)
    assert re.search(r"plan: play 11: at most 15 frames from 5.500 s, chunks: 2", log)
    process = "encodes" if preset == "manim" else r"renders chunk 0 \(frames 0 to 7\) of"
    assert re.search(rf"forker: process \d+ {process} play 0", log)
    assert re.search(r"chunk_renderer: process \d+ steps to the end of chunk", log) or preset == "manim"
    assert re.search(r"monitor: waited \d+\.\d{3} s for a slot", log)


def test_debug_lines_name_the_first_mobject_that_differs(tmp_path: Path) -> None:
    log = render(tmp_path, "differs", "PaintingMoves", file="odd", log="debug").log
    # either play's process can be the first to end
    assert re.search(r"play [01]: the first difference .* is in mobject 1, a PaintChanges", log)
    assert re.search(r"rendering serially: play [01] leads to another state when it is drawn", log)


def test_debug_lines_are_not_taken_for_the_output_of_the_scene(tmp_path: Path) -> None:
    log = render(tmp_path, "prints", "Prints", file="odd", log="debug").log
    assert [line for line in log.splitlines() if line.startswith("said")] == [
        "said one",
        *(f"said {time}" for time in (0.0, 0.1, 0.2, 0.3)),
        "said two",
        "said three",
        "said four",
    ]
