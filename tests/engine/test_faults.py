"""Children that are killed, disks that are full, encoders that refuse, renders that are cancelled."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path

import pytest
from engine import rig

FILE = rig.SCENES / "faults.py"


def one(work: Path, scene: str, **changes: object) -> rig.Ours:
    (found,) = rig.ours(work, FILE, [rig.order(work, FILE, scene, **changes)])
    return found


@pytest.fixture(params=[None, 5], ids=["whole plays", "several painters for one encoder"])
def parts(request: pytest.FixtureRequest) -> int | None:
    return request.param  # type: ignore[no-any-return]


def test_a_killed_painter_is_replaced(tmp_path: Path, parts: int | None) -> None:
    found = one(tmp_path, "KilledOnce", children=4, chunk_frames=parts)
    assert found.said["mode"] == "parallel", found.said
    assert found.said["frames"] == 12
    assert len(rig.decoded(found.find("KilledOnce.mp4"))) == 12
    assert found.log.splitlines().count("begun") == 1


def test_what_was_painted_before_a_painter_was_killed_is_not_painted_again(tmp_path: Path, parts: int | None) -> None:
    found = one(tmp_path, "KilledLater", children=4, chunk_frames=parts)
    assert found.said["mode"] == "parallel", found.said
    assert len(rig.decoded(found.find("KilledLater.mp4"))) == found.said["frames"] == 24
    (painters,) = tmp_path.rglob("painters")
    assert painters.stat().st_atime == 1
    assert painters.stat().st_mtime == 0


@pytest.mark.parametrize("preset", ["manim", "fast"])
def test_plays_that_are_over_hold_nothing(tmp_path: Path, preset: str) -> None:
    cache = {"cache": str(tmp_path / "cache"), "preset": preset, "chunk_frames": 10}
    orders = [rig.order(tmp_path, FILE, "LongPlays", folder=str(tmp_path / name), **cache) for name in ("one", "two")]
    for found in rig.ours(tmp_path, FILE, orders):
        holds = [line.split()[1:] for line in found.log.splitlines() if line.startswith("holds")]
        files, shared = ([int(words[at]) for words in holds] for at in (0, 1))
        assert len(set(shared)) == 1, shared
        assert files[-1] - files[0] < len(files) - 1, files
    assert found.said["cached"] > 0


def test_painters_that_are_always_killed_ran_out_of_memory(tmp_path: Path) -> None:
    found = one(tmp_path, "AlwaysKilled", children=2)
    assert found.said["error"] == "OutOfMemoryError"
    assert "more memory" in found.said["hint"]


def test_a_crashed_painter_makes_the_render_serial(tmp_path: Path, parts: int | None) -> None:
    found = one(tmp_path, "Crashes", chunk_frames=parts)
    assert found.said["mode"] == "serial"
    assert len(rig.decoded(found.find("Crashes.mp4"))) == 12


@pytest.mark.parametrize(
    "choice",
    [{"codec": "libx264", "options": {"preset": "no-such"}}, {"codec": "libx264", "options": {"profile": "9"}}],
)
def test_an_encoder_that_refuses_its_options(tmp_path: Path, choice: dict[str, object], parts: int | None) -> None:
    found = one(tmp_path, "Noise", choice=choice, chunk_frames=parts)
    assert found.said["error"] == "EncoderError"
    assert "libx264" in found.said["text"]


def test_a_full_disk(tmp_path: Path, parts: int | None) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        found = one(tmp_path, "Noise", chunk_frames=parts)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert found.said["error"] == "OutputError", found.said
    assert "disk" in found.said["hint"]


def test_sigterm_ends_the_whole_group_within_a_second(tmp_path: Path) -> None:
    process = rig.start(tmp_path, FILE, [rig.order(tmp_path, FILE, "Endless", chunk_frames=5)])
    painted = tmp_path / "Endless" / "scratch" / "media" / "segments"
    deadline = time.monotonic() + 60
    while not painted.is_dir() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)
    cancelled = time.monotonic()
    while group_members(process.pid) and time.monotonic() < cancelled + 10:
        process.poll()
        time.sleep(0.02)
    assert time.monotonic() - cancelled < 1.5
    process.communicate()
    assert process.returncode == -signal.SIGTERM


def group_members(group: int) -> list[int]:
    """List the living processes of a process group."""
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
