"""Every frame that the engine encodes is the very frame that plain Manim encodes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from engine import rig

FILES = ["basics", "updaters", "cameras", "outputs"]
CASES = [(1, "manim"), (2, "manim"), (5, "manim"), (5, "fast"), (4, "fast")]  # only five get short parts


@pytest.fixture(scope="module", params=FILES)
def references(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, rig.Plain]:
    file = rig.SCENES / f"{request.param}.py"
    found = rig.plain(tmp_path_factory.mktemp("plain"), file, rig.scene_names(file))
    return {"file": rig.Plain(file), **found}


@pytest.mark.parametrize(("children", "preset"), CASES)
def test_same_frames(references: dict[str, rig.Plain], tmp_path: Path, children: int, preset: str) -> None:
    file = references["file"].folder
    names = [name for name in references if name != "file"]
    orders = [
        rig.order(tmp_path, file, name, children=children, preset=preset, chunk_frames=7 if children == 5 else None)
        for name in names
    ]
    for name, found in zip(names, rig.ours(tmp_path, file, orders), strict=True):
        want = references[name]
        assert want.exit_code == 0, name
        assert found.said.get("mode") == "parallel", (name, found.said)
        assert found.frames == want.frames, name
        _same_files(name, found, want, decoded=preset == "manim")


def test_scenes_that_a_scene_renders_itself(tmp_path: Path) -> None:
    file, names = rig.SCENES / "inner.py", ["RendersOthers", "RendersOthersAndLooks"]
    want = rig.plain(tmp_path / "plain", file, names)
    modes = []
    for found in rig.ours(tmp_path, file, [rig.order(tmp_path, file, name) for name in names]):
        modes.append(found.said["mode"])
        _same_files(found.folder.name, found, want[found.folder.name], decoded=True)
    assert modes == ["parallel", "serial"]


@pytest.mark.parametrize("preset", ["manim", "fast"])
def test_same_bytes_with_any_number_of_painters(tmp_path: Path, preset: str) -> None:
    file = rig.SCENES / "basics.py"
    names = rig.scene_names(file)[:4]
    files = []
    for children in (1, 2, 4):
        work = tmp_path / str(children)
        orders = [rig.order(work, file, name, children=children, preset=preset) for name in names]
        files.append([found.find(found.said["outputs"][0]).read_bytes() for found in rig.ours(work, file, orders)])
    assert files[0] == files[1] == files[2]


def _same_files(name: str, found: rig.Ours, want: rig.Plain, *, decoded: bool) -> None:
    assert set(found.said["outputs"]) == want.outputs - {f"{name}.wav"}, name  # Manim forgets it
    for output in found.said["outputs"]:
        mine, theirs = found.find(output), want.find(Path(output).name)
        if output.endswith(".mp4"):
            _same_video(mine, theirs, decoded=decoded)
        elif output.endswith(".json"):
            ours, manims = json.loads(mine.read_text()), json.loads(theirs.read_text())
            keys = {"name", "type", "video", "nb_frames", "width", "height", "duration"}
            assert [{key: item[key] for key in keys} for item in ours] == [
                {key: item[key] for key in keys} for item in manims
            ]
        else:
            assert mine.read_bytes() == theirs.read_bytes(), output


def _same_video(mine: Path, theirs: Path, *, decoded: bool) -> None:
    one, other = rig.decoded(mine), rig.decoded(theirs)
    if decoded:
        assert one == other, mine
    assert [time for time, _ in one] == [time for time, _ in other], mine
    stamps, duration = rig.times(mine)
    assert stamps == sorted(set(stamps)), mine
    assert duration == rig.times(theirs)[1], mine
