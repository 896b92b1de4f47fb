"""Each format and frame rate gives Manim's frames, and files with Manim's codec, pixel format, times and duration."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from engine import rig

FILE = rig.SCENES / "formats.py"
FACTS = "codec_type,codec_name,pix_fmt,width,height,r_frame_rate,time_base,start_pts,duration,nb_read_packets"
CHOSEN = {
    "config.format = 'webm'": "parallel",
    "config.format = 'png'": "images are made by one process",
    "config.dry_run = True": "a dry run draws nothing",
}


def both(work: Path, file: Path, scene: str, **settings: Any) -> tuple[rig.Plain, rig.Ours]:
    """Render a scene with plain Manim and, cut into many parts, with the engine."""
    settings = {"resolution": rig.SIZE, "fps": rig.FPS, **settings}
    options = ["--resolution", f"{rig.SIZE[0]},{rig.SIZE[1]}", "--fps", str(settings["fps"])]
    options += ["--format", settings["format"]] if "format" in settings else []
    options += ["--transparent"] if settings.get("transparent") else []
    want = rig.plain(work / "plain", file, [scene], options)[scene]
    orders = [rig.order(work / "ours", file, scene, preset="fast", chunk_frames=7, settings=settings)]
    return want, rig.ours(work / "ours", file, orders)[0]


def facts(path: Path) -> Any:
    """Read what ffprobe says of a file."""
    command = ["ffprobe", "-v", "error", "-count_packets", "-show_entries", f"stream={FACTS}:stream_tags=alpha_mode"]
    output = subprocess.run([*command, "-of", "json", path], check=True, capture_output=True).stdout
    return json.loads(output)["streams"]


def same_outputs(want: rig.Plain, found: rig.Ours) -> None:
    assert found.frames == want.frames
    assert set(found.said["outputs"]) == want.outputs
    for output in found.said["outputs"]:
        mine, theirs = found.find(output), want.find(Path(output).name)
        if output.endswith(".png"):
            assert mine.read_bytes() == theirs.read_bytes()
        elif not output.endswith(".json"):
            assert facts(mine) == facts(theirs), output
            assert [time for time, _ in rig.decoded(mine)] == [time for time, _ in rig.decoded(theirs)], output


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("format_", ["mov", "webm", "gif"])
def test_video_formats(tmp_path: Path, format_: str, transparent: bool) -> None:
    want, found = both(tmp_path, FILE, "Formats", format=format_, transparent=transparent)
    assert found.said["mode"] == "parallel", found.said
    same_outputs(want, found)
    if transparent and format_ in {"mov", "webm"}:
        (stream,) = facts(found.find(f"Formats.{format_}"))
        assert stream["pix_fmt"] == "argb" or stream["tags"]["alpha_mode"] == "1"


@pytest.mark.parametrize("transparent", [False, True])
def test_an_image(tmp_path: Path, transparent: bool) -> None:
    file = moved(tmp_path)
    want, found = both(tmp_path, file, "Formats", format="png", transparent=transparent)
    assert "images are made by one process" in found.said["why"]
    same_outputs(want, found)


@pytest.mark.parametrize("fps", [12.5, 24, 29.97, 30])
def test_frame_rates(tmp_path: Path, fps: float) -> None:
    """A play in parts takes the time that it takes in one."""
    want, found = both(tmp_path, FILE, "Formats", fps=fps)
    assert found.said["mode"] == "parallel", found.said
    same_outputs(want, found)


@pytest.mark.parametrize("line", CHOSEN)
def test_the_scene_file_chooses(tmp_path: Path, line: str) -> None:
    want, found = both(tmp_path, moved(tmp_path, line), "Formats")
    assert CHOSEN[line] in (found.said["why"] or found.said["mode"]), found.said
    same_outputs(want, found)


def moved(work: Path, line: str = "") -> Path:
    """Copy the scene into a folder whose manim.cfg asks for no sections, which images cannot have."""
    folder = work / "scene"
    folder.mkdir()
    (folder / "manim.cfg").write_text("[CLI]\nseed = 7\n")
    file = folder / FILE.name
    file.write_text(FILE.read_text().replace("import *\n", f"import *\n{line}\n"))
    return file
