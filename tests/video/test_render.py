"""Whole renders with another encoder than the default."""

from __future__ import annotations

import json
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from support.commands import environment, renderer
from support.nvidia_driver import Driver

SCENE = """
from manim import *

class Turn(Scene):
    def construct(self):
        square = Square(color=BLUE, fill_opacity=1)
        self.play(Create(square), run_time=1)
        self.play(Rotate(square, PI), run_time=2)
        self.wait(0.5)
        self.play(FadeOut(square), run_time=1)
"""


def render(folder: Path, *options: str, env: dict[str, str]) -> tuple[Path, Any]:
    """Render Turn; return the video and its result.json."""
    folder.mkdir()
    (folder / "turn.py").write_text(SCENE)
    home = environment(folder / "home") | env
    size = ["--resolution", "320x180", "--fps", "10"]
    done = renderer("submit", "turn.py", *size, *options, "--output", "out", cwd=folder, env=home)
    assert done.returncode == 0, done.stderr
    (result,) = (folder / "home").rglob("result.json")
    return folder / "out" / "Turn.mp4", json.loads(result.read_text())


def read_frames(video: Path) -> tuple[list[int], list[np.ndarray[Any, np.dtype[np.uint8]]]]:
    with av.open(str(video)) as container:
        shown = [(frame.pts or 0, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    return [pts for pts, _ in shown], [frame for _, frame in shown]


def decoding_times(video: Path) -> list[int]:
    """Return each packet's decoding time as ffprobe reads it."""
    entries = ["-select_streams", "v", "-show_entries", "packet=dts", "-of", "default=noprint_wrappers=1:nokey=1"]
    done = subprocess.run(["ffprobe", "-v", "error", *entries, video], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [int(dts) for dts in done.stdout.split()]


@pytest.mark.parametrize("mode", ["parallel", "serial"])
def test_a_scene_is_encoded_by_the_program_and_its_segments_join_without_a_seam_with_a_stub_of_nvenc(
    mode: str, driver: Driver, tmp_path: Path
) -> None:
    old = driver.env(program=True, STUB_NVENC_API="12.2")
    more = ["--renderer", "opengl"] if mode == "serial" else []
    video, result = render(tmp_path / "gpu", *more, env=old)
    reference, plain = render(tmp_path / "cpu", "--encoder", "x264", *more, env={})
    assert result["render"]["mode"] == plain["render"]["mode"] == mode
    assert (result["encoder"]["codec"], result["encoder"]["via"]) == ("h264_nvenc", "ffmpeg")
    assert "NVENC API 12.2" in result["encoder"]["not_used"]
    assert (plain["encoder"]["codec"], plain["encoder"]["via"]) == ("libx264", "pyav")
    times, shown = read_frames(video)
    assert len(shown) == len(read_frames(reference)[1]) == 45
    assert len({after - before for before, after in pairwise(times)}) == 1
    assert all(after > before for before, after in pairwise(decoding_times(video)))
    for rendered, expected in zip(shown, read_frames(reference)[1], strict=True):
        assert np.abs(rendered.astype(int) - expected.astype(int)).mean() < 3


def test_nvenc_asked_for_and_not_there_fails_each_scene_with_the_encoders_exit_code(tmp_path: Path) -> None:
    (tmp_path / "turn.py").write_text(SCENE)
    done = renderer("submit", "turn.py", "--encoder", "nvenc", cwd=tmp_path, env=environment(tmp_path / "home"))
    assert done.returncode == 12
    assert "'nvenc' cannot be used here. NVENC through PyAV: there is no NVIDIA driver here" in done.stderr
    assert "--gpu L4" in done.stderr
    assert not list((tmp_path / "renders").glob("*.mp4"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--encoder", "nvenc", "--gpu", "H100"], "H100: no NVENC encoder for h264"),
        (["--gpu", "A10K"], "there is no GPU 'A10K'"),
        (["--encoder", "nvemc"], "there is no encoder 'nvemc'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_sent(options: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "turn.py").write_text(SCENE)
    done = renderer("submit", "turn.py", *options, cwd=tmp_path, env=environment(tmp_path / "home"))
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "home").exists()


def test_nvenc_in_manims_own_configuration_fails_with_the_reason(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "turn.py").write_text(SCENE)
    (project / "manim.cfg").write_text("[video_encoder]\ncodec = h264_nvenc\n")
    done = renderer("submit", "turn.py", "-q", "l", cwd=project, env=environment(tmp_path / "home"))
    assert done.returncode == 12
    assert "the video encoder h264_nvenc cannot be used here: there is no NVIDIA driver here" in done.stderr
