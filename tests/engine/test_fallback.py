"""Where a parallel render cannot give Manim's frames, the engine renders serially and reports why.

Errors of a scene reach the caller.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.renders import (
    SCENES,
    EngineRender,
    ManimRender,
    decode_frames,
    order_render,
    render_with_engine,
    render_with_manim,
)

ODD, LATE = SCENES / "odd.py", SCENES / "late.py"
WHY = {
    "ReadsPixels": "reads the pixels of a frame",
    "ReadsImage": "reads the pixels of a frame",
    "ReadsFrame": "reads the pixels of a frame",
    "ReadsZoomed": "reads the pixels of a frame",
    "ReadsDisplay": "reads the pixels of a frame",
    "ChangesCamera": "replaces its camera by another one",
    "Swallows": "reads the pixels of a frame",
    "Threads": "threads of its own",
    "WithOwnCamera": "its own class of camera, OwnCamera",
    "PaintingMoves": "leads to another state when it is drawn",
    "PaintingCounts": "leads to another state when it is drawn",
    "PaintingTells": "leads to another state when it is drawn",
    "AsksProcess": "leads to another state when it is drawn",
    "WritesFrames": "writes frames itself",
    "Counts": "writes a file while frames are made",
    "ReadsPlot": "reads a file that is written while frames are made",
    "ShowsClip": "threads of its own, in a library",
    "Inverts": "replaces add_frame of its renderer",
    "InvertsAll": "replaces get_frame of its renderer",
    "TimeCode": "replaces capture_mobjects of its camera",
    "Behind": "replaces get_z_index_reference_point of a mobject",
    "Shimmers": "replaces a function of Manim's camera",
    "Darker": "replaces a function of Manim's camera",
    "Flickers": "replaces get_stroke_width of a mobject",
    "Drifts": "places labels in space with its own function",
    "SwallowsAll": "reads the pixels of a frame",
    "SwallowsPlays": "reads the pixels of a frame",
    "Divides": "leads to another state when it is drawn",
    "KeepsDatabase": "has a database open",
    "RendersOutside": "makes a frame outside of a play",
    "Pipes": "has a pipe open",
    "PipesToItself": "has a pipe open",
    "Connects": "has a connection open",
    "CountsInMap": "has memory that it would share",
    "Uncovers": "changes the pixels of a frame",
    "PaintsStill": "changes the pixels of a frame",
    "LooksAtStill": "reads the pixels of a frame",
    "Prints": "reads the pixels of a frame",
    "PrintsOtherwise": "reads the pixels of a frame",
    "Multiplies": "several threads compute its frames",
}
KEPT = {  # how many plays are rendered in parallel before that, and why no more
    "ReadsAtEnd": (2, "reads the pixels of a frame"),
    "ReadsThroughout": (2, "reads the pixels of a frame"),
    "ReadsInUpdater": (2, "reads the pixels of a frame"),
    "ReadsRepeated": (4, "reads the pixels of a frame"),
    "ReadsSkipped": (4, "reads the pixels of a frame"),
    "PaintsPixels": (2, "reads the pixels of a frame"),
    "SwallowsRead": (2, "reads the pixels of a frame"),
    "WritesLate": (3, "writes a file while frames are made"),
    "ThreadsLate": (3, "threads of its own"),
}
RAISES = {
    "Breaks": ("ValueError", "the scene's own error"),
    "BreaksInUpdater": ("KeyError", "late"),
    "BreaksInPainting": ("KeyError", "'round'"),
    "Leaves": ("SceneError", "Leaves ended the program (sys.exit) before its end, so there is no video"),
    "LeavesSerially": ("SceneError", "LeavesSerially ended the program (sys.exit) before"),
    "PlaysInside": ("RuntimeError", "Cannot open a video segment"),
}


@pytest.fixture(scope="module")
def manim_renders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ManimRender]:
    return render_with_manim(tmp_path_factory.mktemp("manim_renders"), ODD, [*WHY, *RAISES])


@pytest.fixture(scope="module")
def engine_renders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, EngineRender]:
    work, names = tmp_path_factory.mktemp("engine_renders"), [*WHY, *RAISES, "OnTheClock"]
    return dict(
        zip(
            names,
            render_with_engine(work, ODD, [order_render(work, ODD, name) for name in names]),
            strict=True,
        )
    )


@pytest.mark.parametrize("name", WHY)
def test_serial_where_parallel_would_differ(
    name: str, manim_renders: dict[str, ManimRender], engine_renders: dict[str, EngineRender]
) -> None:
    assert engine_renders[name].report["mode"] == "serial"
    assert WHY[name] in engine_renders[name].report["why"]
    assert engine_renders[name].frames == manim_renders[name].frames
    assert decode_frames(engine_renders[name].find(f"{name}.mp4")) == decode_frames(
        manim_renders[name].find(f"{name}.mp4")
    )


@pytest.fixture(scope="module")
def late_manim_renders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ManimRender]:
    return render_with_manim(tmp_path_factory.mktemp("late_manim_renders"), LATE, [*KEPT, "BreaksLate"])


@pytest.fixture(scope="module")
def late_engine_renders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, EngineRender]:
    work, names = tmp_path_factory.mktemp("late_engine_renders"), [*KEPT, "BreaksLate", "Dice"]
    orders = [order_render(work, LATE, name) for name in names]
    return dict(zip(names, render_with_engine(work, LATE, orders), strict=True))


@pytest.mark.parametrize("name", KEPT)
def test_plays_before_the_cause_are_not_drawn_again(
    name: str, late_manim_renders: dict[str, ManimRender], late_engine_renders: dict[str, EngineRender]
) -> None:
    found, want, (kept, why) = late_engine_renders[name], late_manim_renders[name], KEPT[name]
    assert why in found.report["why"]
    assert f"(the first {kept} plays were rendered in parallel)" in found.report["why"]
    assert found.frames == want.frames
    assert decode_frames(found.find(f"{name}.mp4")) == decode_frames(want.find(f"{name}.mp4"))


def test_an_error_after_the_cause(
    late_manim_renders: dict[str, ManimRender], late_engine_renders: dict[str, EngineRender]
) -> None:
    assert not list(late_manim_renders["BreaksLate"].folder.rglob("BreaksLate.mp4"))
    assert late_engine_renders["BreaksLate"].report["error"] == "ZeroDivisionError"
    assert not (late_engine_renders["BreaksLate"].folder / "out").exists()


def test_attempts_have_the_same_random_numbers(late_engine_renders: dict[str, EngineRender]) -> None:
    assert "(the first 2 plays were rendered in parallel)" in late_engine_renders["Dice"].report["why"]


def test_the_output_of_a_scene_appears_once_and_in_order(engine_renders: dict[str, EngineRender]) -> None:
    said = [line for line in engine_renders["Prints"].log.splitlines() if line.startswith("said")]
    times = [f"said {time}" for time in (0.0, 0.1, 0.2, 0.3)]
    assert said == ["said one", *times, "said two", "said three", "said four"]


def test_output_that_differs_in_the_second_attempt_appears_in_full(
    engine_renders: dict[str, EngineRender],
) -> None:
    said = [line for line in engine_renders["PrintsOtherwise"].log.splitlines() if line.startswith("said")]
    first, second = (line for line in said if "by" in line)
    assert first != second
    assert said == ["said one", first, "said two", second, "said two"]


@pytest.mark.parametrize("name", RAISES)
def test_the_scenes_own_error(
    name: str, manim_renders: dict[str, ManimRender], engine_renders: dict[str, EngineRender]
) -> None:
    error, text = RAISES[name]
    assert manim_renders[name].exit_code != 0 or not list(manim_renders[name].folder.rglob(f"{name}.mp4"))
    assert engine_renders[name].report["error"] == error
    assert text in engine_renders[name].report["text"]
    assert "odd.py" in engine_renders[name].report["lines"]
    assert not (engine_renders[name].folder / "out").exists()


def test_a_scene_that_differs_from_run_to_run_renders_serially(engine_renders: dict[str, EngineRender]) -> None:
    assert engine_renders["OnTheClock"].report["mode"] == "serial"
    assert len(decode_frames(engine_renders["OnTheClock"].find("OnTheClock.mp4"))) == 8


def test_memory_that_the_file_of_a_scene_shares(tmp_path: Path) -> None:
    file, name = SCENES / "shares.py", "CountsForAll"
    want = render_with_manim(tmp_path / "manim_renders", file, [name])[name]
    (found,) = render_with_engine(tmp_path, file, [order_render(tmp_path, file, name)])
    assert "has memory that it would share" in found.report["why"]
    assert found.frames == want.frames


def test_a_scene_that_does_not_exist(tmp_path: Path) -> None:
    (found,) = render_with_engine(tmp_path, ODD, [order_render(tmp_path, ODD, "Missing")])
    assert found.report["error"] == "SpecError"
    assert "has no scene 'Missing'" in found.report["text"]
    assert "Breaks" in found.report["hint"]
