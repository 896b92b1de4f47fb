"""Which encoder is chosen, and why others cannot be used. The causes come from FFmpeg's own logs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from support.nvidia_driver import Driver

from backends.errors import SpecError
from backends.problem import Problem
from renderer.model import RenderSettings
from renderer.video.catalog import ENCODERS, check_encoder
from renderer.video.probe import count_sessions

CHOOSE = """
import dataclasses, json, sys
from backends.errors import RendererError
from renderer.video.selection import choose_encoder
from renderer.model import EncoderSettings, RenderSettings
try:
    decision = choose_encoder(EncoderSettings(encoder=sys.argv[1]), RenderSettings(format=sys.argv[2] or None), 4)
    print(json.dumps(dataclasses.asdict(decision) | {"lines": decision.log_lines(), "report": decision.report()}))
except RendererError as error:
    print(json.dumps({"error": str(error), "hint": error.hint, "exit_code": error.exit_code}))
"""


def choose(name: str = "auto", container: str = "", **env: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", CHOOSE, name, container],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    return json.loads(done.stdout)


CAUSES = {
    "nothing": ("-", {}, "there is no NVIDIA driver here", "run it where there is a GPU"),
    "no video": ("libcuda", {}, "libnvidia-encode is not in this container", "NVIDIA_DRIVER_CAPABILITIES=.*video"),
    "old": (
        "",
        {"STUB_NVENC_API": "8.0"},
        r"driver 535\.183\.01 is too old: it has NVENC API 8\.0, and 1\d\.\d is required .driver (470|57)",
        "update",
    ),
    "full": ("", {"STUB_NVENC_SESSION": "10"}, "cannot open another encoding session", "fewer jobs"),
    "GeForce": ("", {"STUB_NVENC_SESSION": "21"}, "cannot open another encoding session", "fewer jobs"),
    "A100": ("", {"STUB_NVENC_SESSION": "2"}, "this GPU has no video encoder", "T4, L4"),
    "mismatch": ("", {"STUB_CUDA": "mismatch"}, "SYSTEM_DRIVER_MISMATCH", "nvidia-smi"),
    "hidden": ("", {"STUB_CUDA": "no-device"}, "is installed, but this process has no GPU", "CUDA_VISIBLE_DEVICES"),
}


@pytest.mark.parametrize("case", CAUSES)
def test_auto_falls_back_to_the_cpu_and_says_why(case: str, driver: Driver) -> None:
    library, behaviour, reason, _ = CAUSES[case]
    found = choose(**(driver.env(*filter(None, [library])) | behaviour))
    assert found["choice"] is None
    assert len(found["why"]) == (1 if case == "nothing" else 2)
    assert all(re.search(reason, why) for why in found["why"]), found["why"]
    assert found["lines"][-1] == "video is encoded on the CPU"
    assert re.search(reason, found["report"]["not_used"])


@pytest.mark.parametrize("case", CAUSES)
def test_nvenc_asked_for_is_never_replaced_and_the_remedy_is_named(case: str, driver: Driver) -> None:
    library, behaviour, reason, remedy = CAUSES[case]
    found = choose("nvenc", **(driver.env(*filter(None, [library])) | behaviour))
    assert found["exit_code"] == 12
    assert re.search(reason, found["error"])
    assert re.search(remedy, found["hint"])


def test_an_older_driver_is_served_by_the_ffmpeg_program_with_a_stub_of_nvenc(driver: Driver) -> None:
    found = choose(**driver.env(program=True, STUB_NVENC_API="12.2"))
    assert (found["choice"]["codec"], found["choice"]["via"], found["sessions"]) == ("h264_nvenc", "ffmpeg", 4)
    (why,) = found["why"]
    assert re.fullmatch(r"NVENC through PyAV: .* has NVENC API 12\.2, and 13\.\d is required \(driver 57\d.*", why)
    assert found["lines"][-1] == "video is encoded by h264_nvenc through ffmpeg"
    assert found["report"] == {"via": "ffmpeg", "not_used": why}


def test_files_that_nvenc_cannot_make_are_left_to_manims_own_encoder(driver: Driver) -> None:
    found = choose("auto", "webm", **driver.env(program=True, STUB_NVENC_API="12.2"))
    assert found["choice"] is None
    assert found["why"] == ["NVENC cannot make webm files, only mp4 and mov"]


def test_an_encoder_of_the_cpu_is_not_asked_of_the_gpu(driver: Driver) -> None:
    assert choose("x264", **driver.env())["why"] == []


@pytest.mark.parametrize(
    ("name", "via"),
    [("nvenc", "pyav"), ("hevc_nvenc", "pyav"), ("av1_nvenc", "pyav"), ("nvenc", "ffmpeg"), ("hevc_nvenc", "ffmpeg")],
)
def test_both_ffmpegs_know_every_option_that_is_set_and_its_value(name: str, via: str) -> None:
    """FFmpeg reads the options before it looks for a driver, and its log names an option that is wrong."""
    codec, options = ENCODERS[name].codec, dict(ENCODERS[name].options)
    assert probe(codec, via, options) == "there is no NVIDIA driver here"
    for option in options:
        assert probe(codec, via, options | {option: "odd"}) == f"its option {option} does not accept 'odd'"


def probe(codec: str, via: str, options: dict[str, str]) -> str:
    found = count_sessions(codec, via, options, 1)
    assert isinstance(found, Problem)
    return found.message


def test_av1_needs_a_new_driver_and_the_remedy_says_so(driver: Driver) -> None:
    found = choose("av1_nvenc", **driver.env(STUB_NVENC_API="12.2"))
    assert found["exit_code"] == 12
    assert "driver 535.183.01 is too old" in found["error"]
    assert "this FFmpeg was built without av1_nvenc" in found["error"]
    assert "AV1 needs an NVIDIA driver 570 or newer" in found["hint"]


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("nvenk", RenderSettings(), "there is no encoder 'nvenk'"),
        ("nvenc", RenderSettings(format="webm"), "cannot make webm"),
        ("nvenc", RenderSettings(format="gif"), "cannot make gif"),
        ("av1_nvenc", RenderSettings(format="mov"), "cannot make mov"),
        ("x264", RenderSettings(transparent=True), "cannot store transparency"),
    ],
)
def test_what_cannot_be_made_is_refused_before_it_is_sent(name: str, settings: RenderSettings, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        check_encoder(name, settings)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "settings"),
    [("auto", RenderSettings(transparent=True, format="webm")), ("av1_nvenc", RenderSettings(format="webm"))],
)
def test_what_can_be_made_passes(name: str, settings: RenderSettings) -> None:
    check_encoder(name, settings)
