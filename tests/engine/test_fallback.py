"""Where the engine cannot promise Manim's frames it says so and renders serially; a scene's error comes through."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine import rig

ODD = rig.SCENES / "odd.py"
WHY = {
    "ReadsPixels": "reads the pixels of a frame",
    "ReadsImage": "reads the pixels of a frame",
    "ReadsFrame": "reads the pixels of a frame",
    "ReadsZoomed": "reads the pixels of a frame",
    "ReadsDisplay": "reads the pixels of a frame",
    "ChangesCamera": "changes its camera",
    "Swallows": "reads the pixels of a frame",
    "Threads": "threads of its own",
    "WithOwnCamera": "a camera of its own, OwnCamera",
    "PaintingMoves": "leads to another state when it is drawn",
    "PaintingCounts": "leads to another state when it is drawn",
    "PaintingTells": "leads to another state when it is drawn",
    "AsksProcess": "leads to another state when it is drawn",
    "WritesFrames": "writes frames itself",
    "Counts": "writes a file while frames are made",
    "ShowsClip": "threads of its own, in a library",
    "Inverts": "replaces add_frame of its renderer",
    "InvertsAll": "replaces get_frame of its renderer",
    "TimeCode": "replaces capture_mobjects of its camera",
    "Behind": "replaces get_z_index_reference_point of a mobject",
    "Flickers": "replaces get_stroke_width of a mobject",
    "Drifts": "places labels in space by a function of its own",
    "SwallowsAll": "reads the pixels of a frame",
    "SwallowsPlays": "reads the pixels of a frame",
    "Divides": "leads to another state when it is drawn",
    "KeepsDatabase": "has a database open",
    "RendersOutside": "has a frame made outside of any play",
    "Pipes": "has a pipe open",
    "PipesToItself": "has a pipe open",
    "Connects": "has a connection open",
    "CountsInMap": "has memory that it would share",
    "Uncovers": "changes the pixels of a frame",
    "PaintsStill": "changes the pixels of a frame",
    "LooksAtStill": "reads the pixels of a frame",
    "Prints": "reads the pixels of a frame",
    "PrintsOtherwise": "reads the pixels of a frame",
}
RAISES = {
    "Breaks": ("ValueError", "the scene's own error"),
    "BreaksInUpdater": ("KeyError", "late"),
    "BreaksInPainting": ("SceneError", "KeyError: 'round'"),
    "Leaves": ("SceneError", "Leaves ended the program (sys.exit) before its end, so there is no video"),
    "LeavesSerially": ("SceneError", "LeavesSerially ended the program (sys.exit) before"),
    "PlaysInside": ("SceneError", "Cannot open a video segment"),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, rig.Plain]:
    return rig.plain(tmp_path_factory.mktemp("plain"), ODD, [*WHY, *RAISES])


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, rig.Ours]:
    work, names = tmp_path_factory.mktemp("ours"), [*WHY, *RAISES, "OnTheClock"]
    return dict(zip(names, rig.ours(work, ODD, [rig.order(work, ODD, name) for name in names]), strict=True))


@pytest.mark.parametrize("name", WHY)
def test_serial_where_parallel_would_differ(name: str, plain: dict[str, rig.Plain], ours: dict[str, rig.Ours]) -> None:
    assert ours[name].said["mode"] == "serial"
    assert WHY[name] in ours[name].said["why"]
    assert ours[name].frames == plain[name].frames
    assert rig.decoded(ours[name].find(f"{name}.mp4")) == rig.decoded(plain[name].find(f"{name}.mp4"))


def test_what_a_scene_prints_appears_once_and_in_order(ours: dict[str, rig.Ours]) -> None:
    said = [line for line in ours["Prints"].log.splitlines() if line.startswith("said")]
    times = [f"said {time}" for time in (0.0, 0.1, 0.2, 0.3)]
    assert said == ["said one", *times, "said two", "said three", "said four"]


def test_nothing_is_lost_of_what_a_scene_prints_otherwise(ours: dict[str, rig.Ours]) -> None:
    said = [line for line in ours["PrintsOtherwise"].log.splitlines() if line.startswith("said")]
    first, second = (line for line in said if "by" in line)
    assert first != second
    assert said == ["said one", first, "said two", second, "said two"]


@pytest.mark.parametrize("name", RAISES)
def test_the_scenes_own_error(name: str, plain: dict[str, rig.Plain], ours: dict[str, rig.Ours]) -> None:
    error, text = RAISES[name]
    assert plain[name].exit_code != 0 or not list(plain[name].folder.rglob(f"{name}.mp4"))
    assert ours[name].said["error"] == error
    assert text in ours[name].said["text"]
    assert "odd.py" in ours[name].said["lines"]
    assert not (ours[name].folder / "out").exists()


def test_a_scene_that_is_never_twice_the_same_renders_serially(ours: dict[str, rig.Ours]) -> None:
    assert ours["OnTheClock"].said["mode"] == "serial"
    assert len(rig.decoded(ours["OnTheClock"].find("OnTheClock.mp4"))) == 8


def test_what_the_file_of_a_scene_shares(tmp_path: Path) -> None:
    file, name = rig.SCENES / "shares.py", "CountsForAll"
    want = rig.plain(tmp_path / "plain", file, [name])[name]
    (found,) = rig.ours(tmp_path, file, [rig.order(tmp_path, file, name)])
    assert "has memory that it would share" in found.said["why"]
    assert found.frames == want.frames


def test_a_scene_that_is_not_there(tmp_path: Path) -> None:
    (found,) = rig.ours(tmp_path, ODD, [rig.order(tmp_path, ODD, "Missing")])
    assert found.said["error"] == "SpecError"
    assert "has no scene 'Missing'" in found.said["text"]
    assert "Breaks" in found.said["hint"]
