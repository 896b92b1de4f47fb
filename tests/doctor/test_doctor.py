"""The checks of this machine, and of one with a stub of the NVIDIA driver (see docs/explanation/verification.md)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.commands import BIN
from support.nvidia_driver import Driver

from renderer.doctor.nvidia import judge_versions

ROOT = Path(__file__).parent.parent.parent


def doctor(env: dict[str, str] | None = None, *, failing: bool = False) -> dict[str, Any]:
    """Run the checks; return them by name."""
    done = subprocess.run(
        [BIN / "renderer", "doctor", "--json"],
        env=os.environ | (env or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == (4 if failing else 0), done.stdout + done.stderr
    return {line["name"]: line for line in json.loads(done.stdout)}


def test_this_machine_can_render_and_every_warning_says_what_to_do() -> None:
    lines = doctor()
    for name in ("Python", "Manim", "processors", "disk", "HOME", "ffmpeg", "x264"):
        assert lines[name]["state"] == "ok", lines[name]
    assert {"TeX", "fonts", "driver", "container", "EGL", "NVENC"} <= set(lines)
    assert all(line["todo"] for line in lines.values() if line["state"] != "ok")


def test_the_report_for_people_has_a_mark_a_name_and_what_to_do() -> None:
    done = subprocess.run([BIN / "renderer", "doctor"], capture_output=True, text=True, check=True, timeout=600)
    assert re.search(r"^✓ Python +3\.", done.stdout, re.MULTILINE)
    assert all(re.match(r"[✓!✗] \S|    → \S", line) for line in done.stdout.splitlines())


def test_a_plain_checkout_without_any_package_is_enough() -> None:
    command = [sys.executable, "-S", "-m", "renderer.doctor", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=600)
    lines = {line["name"]: line for line in json.loads(done.stdout)}
    assert lines["Manim"]["state"] == "warning"
    assert "EGL" in lines


def test_an_old_driver_is_described_and_each_refusal_explained_with_a_stub(driver: Driver) -> None:
    lines = doctor(driver.env(CUDA_VERSION="12.4.1", STUB_NVENC_API="8.0"), failing=True)
    assert lines["driver"]["found"] == "535.183.01, supports CUDA 12.2"
    assert lines["GPU"]["found"] == "Stub GPU, 15360 MiB (15000 free), compute 7.5, 41 °C, no MIG"
    assert lines["CUDA"]["state"] == "warning"
    assert (lines["CUDA works"]["state"], "cuDevicePrimaryCtxRetain failed" in lines["CUDA works"]["found"]) == (
        "failure",
        True,
    )
    assert "PyAV: the driver 535.183.01 is too old: it has NVENC API 8.0" in lines["nvenc"]["found"]
    assert "update the node's driver" in lines["nvenc"]["todo"]


def test_a_driver_that_does_not_start_is_reported_in_its_own_words_with_a_stub(driver: Driver) -> None:
    lines = doctor(driver.env(STUB_NVML="1"))
    assert "Driver/library version mismatch" in lines["driver"]["found"]
    assert "GPU" not in lines


def test_working_nvenc_of_the_program_is_reported_with_a_stub(driver: Driver) -> None:
    lines = doctor(driver.env(program=True, STUB_NVENC_API="12.2"), failing=True)
    assert lines["nvenc"]["state"] == "ok"
    assert "encodes through the ffmpeg program; PyAV: the driver 535.183.01 is too old" in lines["nvenc"]["found"]


def test_missing_programs_and_a_lost_home_are_warnings(tmp_path: Path) -> None:
    lines = doctor({"PATH": str(tmp_path), "HOME": str(tmp_path / "none")})
    for name in ("TeX", "fonts", "ffmpeg", "HOME"):
        assert (lines[name]["state"], bool(lines[name]["todo"])) == ("warning", True), lines[name]


@pytest.mark.parametrize(
    ("driver", "toolkit", "need", "state"),
    [
        ((12, 2), (12, 2), None, "ok"),
        ((12, 8), (12, 2), (12, "cupy-cuda12x 13.3"), "ok"),
        ((12, 2), None, None, "ok"),
        ((12, 2), (12, 4), None, "warning"),
        ((12, 2), (13, 0), None, "failure"),
        ((12, 2), (12, 2), (13, "cupy-cuda13x 14.0"), "failure"),
    ],
)
def test_driver_toolkit_and_packages_are_compared(
    driver: tuple[int, int], toolkit: tuple[int, int] | None, need: tuple[int, str] | None, state: str
) -> None:
    found, todo = judge_versions(driver, toolkit, need)
    assert (found, todo is None) == (state, state == "ok")
