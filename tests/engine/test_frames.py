"""Every frame that the engine encodes is the frame that plain Manim encodes, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from engine.renders import (
    SCENES,
    EngineRender,
    ManimRender,
    decode_frames,
    order_render,
    read_times,
    render_with_engine,
    render_with_manim,
    scene_names,
)

FILES = ["basics", "updaters", "cameras", "outputs", "rows"]
CASES = [(1, "manim"), (2, "manim"), (5, "manim"), (5, "fast"), (4, "fast")]  # with five slots the chunks are short


@pytest.fixture(scope="module", params=FILES)
def references(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ManimRender]:
    file = SCENES / f"{request.param}.py"
    found = render_with_manim(tmp_path_factory.mktemp("plain"), file, scene_names(file))
    return {"file": ManimRender(file), **found}


@pytest.mark.parametrize(("slots", "preset"), CASES)
def test_same_frames(references: dict[str, ManimRender], tmp_path: Path, slots: int, preset: str) -> None:
    file = references["file"].folder
    names = [name for name in references if name != "file"]
    orders = [
        order_render(tmp_path, file, name, slots=slots, preset=preset, chunk_frames=7 if slots == 5 else None)
        for name in names
    ]
    for name, found in zip(names, render_with_engine(tmp_path, file, orders), strict=True):
        want = references[name]
        assert want.exit_code == 0, name
        assert found.report.get("mode") == "parallel", (name, found.report)
        assert found.frames == want.frames, name
        check_files(name, found, want, decoded=preset == "manim")


def test_scenes_that_a_scene_renders_itself(tmp_path: Path) -> None:
    file, names = SCENES / "inner.py", ["RendersOthers", "RendersOthersAndLooks"]
    want = render_with_manim(tmp_path / "plain", file, names)
    modes = []
    for found in render_with_engine(tmp_path, file, [order_render(tmp_path, file, name) for name in names]):
        modes.append(found.report["mode"])
        check_files(found.folder.name, found, want[found.folder.name], decoded=True)
    assert modes == ["parallel", "serial"]


def test_plays_share_a_process(tmp_path: Path) -> None:
    file = SCENES / "grouped.py"
    names = [name for name in scene_names(file) if not name.startswith(("Breaks", "Leaves"))]
    want = render_with_manim(tmp_path / "plain", file, names)
    orders = [order_render(tmp_path, file, name, log="debug") for name in scene_names(file)]
    busy = order_render(tmp_path, file, names[0], log="debug", slots=1, preset="fast", folder=f"{tmp_path}/busy")
    later = order_render(
        tmp_path, file, "GoesOnWithMoreSlots", log="debug", slots=4, chunk_frames=20, folder=f"{tmp_path}/later"
    )
    *rendered, breaks, leaves, in_one, more = render_with_engine(tmp_path, file, [*orders, busy, later])
    for name, found in zip(names, rendered, strict=True):
        assert found.report["mode"] == "parallel", (name, found.report)
        assert found.frames == want[name].frames, name
        check_files(name, found, want[name], decoded=True)
    joined = dict(zip(names, (found.log.count("goes on with play") for found in rendered), strict=True))
    assert joined["ManyShortPlays"] > 5  # of 20
    check_files(names[0], in_one, want[names[0]], decoded=False)
    assert "goes on with play 10\n" in in_one.log  # the long one
    assert "goes on with play 2\n" in more.log
    assert "rendering again" not in more.log
    assert joined["WritesBetween"] == 0
    lines = (tmp_path / "project" / "between.txt").read_text().split()
    assert lines == (tmp_path / "plain" / "project" / "between.txt").read_text().split()
    assert breaks.report["error"] == "KeyError"
    assert (leaves.report["error"], leaves.report["text"]) == ("ValueError", "between two plays")


@pytest.mark.parametrize("preset", ["manim", "fast"])
def test_same_bytes_with_any_number_of_processes(tmp_path: Path, preset: str) -> None:
    file = SCENES / "basics.py"
    names = scene_names(file)[:4]
    files = []
    for slots in (1, 2, 4):
        work = tmp_path / str(slots)
        orders = [order_render(work, file, name, slots=slots, preset=preset) for name in names]
        files.append(
            [found.find(found.report["outputs"][0]).read_bytes() for found in render_with_engine(work, file, orders)]
        )
    assert files[0] == files[1] == files[2]


def check_files(name: str, found: EngineRender, want: ManimRender, *, decoded: bool) -> None:
    assert set(found.report["outputs"]) == want.outputs - {f"{name}.wav"}, name  # Manim leaves it behind
    for output in found.report["outputs"]:
        mine, theirs = found.find(output), want.find(Path(output).name)
        if output.endswith(".mp4"):
            check_video(mine, theirs, decoded=decoded)
        elif output.endswith(".json"):
            ours, manims = json.loads(mine.read_text()), json.loads(theirs.read_text())
            keys = {"name", "type", "video", "nb_frames", "width", "height", "duration"}
            assert [{key: item[key] for key in keys} for item in ours] == [
                {key: item[key] for key in keys} for item in manims
            ]
        else:
            assert mine.read_bytes() == theirs.read_bytes(), output


def check_video(mine: Path, theirs: Path, *, decoded: bool) -> None:
    one, other = decode_frames(mine), decode_frames(theirs)
    if decoded:
        assert one == other, mine
    assert [time for time, _ in one] == [time for time, _ in other], mine
    stamps, duration = read_times(mine)
    assert stamps == sorted(set(stamps)), mine
    assert duration == read_times(theirs)[1], mine
