"""Each format and frame rate gives Manim's frames, and files with Manim's codec, pixel format, times and duration."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from engine.renders import (
    FPS,
    SCENES,
    SIZE,
    EngineRender,
    ManimRender,
    decode_frames,
    order_render,
    render_with_engine,
    render_with_manim,
)

FILE = SCENES / "formats.py"
FACTS = "codec_type,codec_name,pix_fmt,width,height,r_frame_rate,time_base,start_pts,duration,nb_read_packets"
CHOSEN = {
    "config.format = 'webm'": "parallel",
    "config.format = 'png'": "images are made by one process",
    "config.dry_run = True": "a dry run draws nothing",
}


def render_both(work: Path, file: Path, scene: str, **settings: Any) -> tuple[ManimRender, EngineRender]:
    """Render a scene with plain Manim and, in short chunks, with the engine."""
    settings = {"resolution": SIZE, "fps": FPS, **settings}
    options = ["--resolution", f"{SIZE[0]},{SIZE[1]}", "--fps", str(settings["fps"])]
    options += ["--format", settings["format"]] if "format" in settings else []
    options += ["--transparent"] if settings.get("transparent") else []
    want = render_with_manim(work / "plain", file, [scene], options)[scene]
    orders = [order_render(work / "ours", file, scene, preset="fast", chunk_frames=7, settings=settings)]
    return want, render_with_engine(work / "ours", file, orders)[0]


def probe(path: Path) -> Any:
    """Return what ffprobe prints about the streams of a file."""
    command = ["ffprobe", "-v", "error", "-count_packets", "-show_entries", f"stream={FACTS}:stream_tags=alpha_mode"]
    output = subprocess.run([*command, "-of", "json", path], check=True, capture_output=True).stdout
    return json.loads(output)["streams"]


def check_outputs(want: ManimRender, found: EngineRender) -> None:
    assert found.frames == want.frames
    assert set(found.report["outputs"]) == want.outputs
    for output in found.report["outputs"]:
        mine, theirs = found.find(output), want.find(Path(output).name)
        if output.endswith(".png"):
            assert mine.read_bytes() == theirs.read_bytes()
        elif not output.endswith(".json"):
            assert probe(mine) == probe(theirs), output
            assert [time for time, _ in decode_frames(mine)] == [time for time, _ in decode_frames(theirs)], output


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("format_", ["mov", "webm", "gif"])
def test_video_formats(tmp_path: Path, format_: str, transparent: bool) -> None:
    want, found = render_both(tmp_path, FILE, "Formats", format=format_, transparent=transparent)
    assert found.report["mode"] == "parallel", found.report
    check_outputs(want, found)
    if transparent and format_ in {"mov", "webm"}:
        (stream,) = probe(found.find(f"Formats.{format_}"))
        assert stream["pix_fmt"] == "argb" or stream["tags"]["alpha_mode"] == "1"


@pytest.mark.parametrize("transparent", [False, True])
def test_an_image(tmp_path: Path, transparent: bool) -> None:
    file = copy_scene(tmp_path)
    want, found = render_both(tmp_path, file, "Formats", format="png", transparent=transparent)
    assert "images are made by one process" in found.report["why"]
    check_outputs(want, found)


@pytest.mark.parametrize("fps", [12.5, 24, 29.97, 30])
def test_frame_rates(tmp_path: Path, fps: float) -> None:
    """A play in several chunks lasts as long as in one."""
    want, found = render_both(tmp_path, FILE, "Formats", fps=fps)
    assert found.report["mode"] == "parallel", found.report
    check_outputs(want, found)


def test_a_low_frame_rate(tmp_path: Path) -> None:
    file = SCENES / "faults.py"
    (found,) = render_with_engine(
        tmp_path,
        file,
        [order_render(tmp_path, file, "LongPlays", preset="fast", settings={"resolution": SIZE, "fps": 1.25})],
    )
    assert found.report.get("mode") == "parallel", found.report
    assert found.report["frames"] == len(decode_frames(found.find("LongPlays.mp4"))) == 30


@pytest.mark.parametrize("line", CHOSEN)
def test_the_scene_file_chooses(tmp_path: Path, line: str) -> None:
    want, found = render_both(tmp_path, copy_scene(tmp_path, line), "Formats")
    assert CHOSEN[line] in (found.report["why"] or found.report["mode"]), found.report
    check_outputs(want, found)


def copy_scene(work: Path, line: str = "") -> Path:
    """Copy the scene, with one more line, to a folder whose manim.cfg does not ask for sections: images have none."""
    folder = work / "scene"
    folder.mkdir()
    (folder / "manim.cfg").write_text("[CLI]\nseed = 7\n")
    file = folder / FILE.name
    file.write_text(FILE.read_text().replace("import *\n", f"import *\n{line}\n"))
    return file
