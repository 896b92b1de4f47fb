"""Processes that are killed, full disks, encoders that refuse their options, renders that are cancelled."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from engine.renders import (
    ENVIRONMENT,
    PROGRAMS,
    SCENES,
    EngineRender,
    decode_frames,
    order_render,
    render_with_engine,
    start,
)
from support.processes import until

FILE = SCENES / "faults.py"


def render(work: Path, scene: str, **changes: object) -> EngineRender:
    (found,) = render_with_engine(work, FILE, [order_render(work, FILE, scene, **changes)])
    return found


@pytest.fixture(params=[None, 5], ids=["whole plays", "several chunks for one encoder"])
def chunk_frames(request: pytest.FixtureRequest) -> int | None:
    return request.param  # type: ignore[no-any-return]


def test_a_killed_chunk_renderer_is_replaced(tmp_path: Path, chunk_frames: int | None) -> None:
    found = render(tmp_path, "KilledOnce", slots=4, chunk_frames=chunk_frames)
    assert found.report["mode"] == "parallel", found.report
    assert found.report["frames"] == 12
    assert len(decode_frames(found.find("KilledOnce.mp4"))) == 12
    assert found.log.splitlines().count("begun") == 1


def test_a_killed_encoder_is_replaced(tmp_path: Path) -> None:
    found = render(tmp_path, "EncoderKilledOnce", slots=2, log="debug")
    assert found.report["mode"] == "parallel", found.report
    assert len(decode_frames(found.find("EncoderKilledOnce.mp4"))) == 12
    assert "was killed" in found.log


def test_plays_that_are_complete_when_a_process_is_killed_are_not_drawn_again(
    tmp_path: Path, chunk_frames: int | None
) -> None:
    found = render(tmp_path, "KilledLater", slots=4, chunk_frames=chunk_frames)
    assert found.report["mode"] == "parallel", found.report
    assert len(decode_frames(found.find("KilledLater.mp4"))) == found.report["frames"] == 24
    (renderers,) = tmp_path.rglob("renderers")
    assert renderers.stat().st_atime == 1
    assert renderers.stat().st_mtime == 0


@pytest.mark.parametrize("preset", ["manim", "fast"])
def test_plays_that_have_ended_hold_no_files_or_memory(tmp_path: Path, preset: str) -> None:
    cache = {"cache": str(tmp_path / "cache"), "preset": preset, "chunk_frames": 10}
    orders = [
        order_render(tmp_path, FILE, "LongPlays", folder=str(tmp_path / name), **cache) for name in ("one", "two")
    ]
    for found in render_with_engine(tmp_path, FILE, orders):
        holds = [line.split()[1:] for line in found.log.splitlines() if line.startswith("holds")]
        files, shared = ([int(words[at]) for words in holds] for at in (0, 1))
        assert len(set(shared)) == 1, shared
        assert files[-1] - files[0] < len(files) - 1, files
    assert found.report["cached"] > 0


def test_chunk_renderers_that_are_always_killed_ran_out_of_memory(tmp_path: Path) -> None:
    found = render(tmp_path, "AlwaysKilled", slots=2)
    assert found.report["error"] == "OutOfMemoryError"
    assert "more memory" in found.report["hint"]


def test_a_crashed_chunk_renderer_makes_the_render_serial(tmp_path: Path, chunk_frames: int | None) -> None:
    found = render(tmp_path, "Crashes", chunk_frames=chunk_frames)
    assert found.report["mode"] == "serial"
    assert len(decode_frames(found.find("Crashes.mp4"))) == 12


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("FramesDrawn {}\n", "a process that renders play 3 sent a line that is not a message: b'FramesDrawn {}'"),
        ("FramesDra", "a process that renders play 3 ended with 0"),
        ("", "a process that renders play 3 ended with 0"),
    ],
    ids=["a damaged message", "half a message", "no message"],
)
def test_a_process_that_does_not_report_stops_the_parallel_render(text: str, reason: str) -> None:
    command = [sys.executable, "-W", "ignore", str(PROGRAMS / "monitor_one_process.py"), text]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == reason


def test_each_change_of_a_large_table_is_noticed() -> None:
    command = [sys.executable, "-W", "ignore", str(PROGRAMS / "digest_tables.py")]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    found = dict(line.split(": ") for line in done.stdout.splitlines())
    assert len(found) == 7
    assert [name for name, after in found.items() if after == "equal"] == ["nothing", "an equal row"]


@pytest.mark.parametrize(
    "choice",
    [{"codec": "libx264", "options": {"preset": "no-such"}}, {"codec": "libx264", "options": {"profile": "9"}}],
)
def test_an_encoder_that_refuses_its_options(
    tmp_path: Path, choice: dict[str, object], chunk_frames: int | None
) -> None:
    found = render(tmp_path, "Noise", choice=choice, chunk_frames=chunk_frames)
    assert found.report["error"] == "EncoderError"
    assert "libx264" in found.report["text"]


def test_a_full_disk(tmp_path: Path, chunk_frames: int | None) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        found = render(tmp_path, "Noise", chunk_frames=chunk_frames)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert found.report["error"] == "OutputError", found.report
    assert "disk" in found.report["hint"]


def test_sigterm_ends_the_whole_group(tmp_path: Path) -> None:
    process = start(tmp_path, FILE, [order_render(tmp_path, FILE, "Endless", chunk_frames=5)])
    segments = tmp_path / "Endless" / "scratch" / "media" / "segments"
    until(segments.is_dir)
    os.killpg(process.pid, signal.SIGTERM)
    until(lambda: not group_members(process.pid), describe=lambda: str(group_members(process.pid)))
    process.communicate()
    assert process.returncode == -signal.SIGTERM


def group_members(group: int) -> list[int]:
    """Return the ids of the running processes of a process group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, members = (entry / "stat").read_text().rpartition(") ")[2].split()[:3]
            except OSError:
                continue
            if int(members) == group and state not in "ZX":
                found.append(int(entry.name))
    return found
