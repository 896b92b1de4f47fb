"""Chunks that were drawn before are taken from the chunk cache, and never where a frame would differ."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

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
    wait_for_renders,
)

from backends.cache.entries import MAC_BYTES

FILE = SCENES / "cached.py"
PREDICTION_BYTES = MAC_BYTES + 163  # at most four keys of 40 characters


class Renders:
    """Renders scenes in one process, in order, with one cache.

    The scenes read the environment variable CHANGE: with ``change`` they look different.
    """

    def __init__(self, work: Path) -> None:
        self.work, self.cache = work, work / "cache"
        self.orders: list[dict[str, Any]] = []

    def add(self, scene: str, *, change: str = "", cached: bool = True, **changes: Any) -> int:
        """Order a render; return its index among the results."""
        folder = str(self.work / f"{len(self.orders):03}")
        where = {"cache": str(self.cache)} if cached else {}
        changes = {"folder": folder, "environ": {"CHANGE": change}, **where, **changes}
        self.orders.append(order_render(self.work, FILE, scene, **changes))
        return len(self.orders) - 1

    def run(self) -> list[EngineRender]:
        found = render_with_engine(self.work / f"run{len(self.orders)}", FILE, self.orders)
        assert not [one.report for one in found if "error" in one.report]
        return found

    def entries(self) -> list[Path]:
        """Return the files of chunks. Predictions are files, too, but smaller ones."""
        return [path for path in self.cache.glob("*/*") if path.is_file() and path.stat().st_size > PREDICTION_BYTES]


@pytest.fixture
def renders(tmp_path: Path) -> Renders:
    return Renders(tmp_path)


def frames(found: EngineRender) -> list[Any]:
    return decode_frames(next(found.find(name) for name in found.report["outputs"] if name.endswith(".mp4")))


def cached(found: EngineRender) -> tuple[int, int]:
    return found.report["cached"], found.report["frames"]


def test_of_twelve_plays_only_the_changed_one_is_drawn_again(renders: Renders) -> None:
    first, second = renders.add("Twelve"), renders.add("Twelve", change="yes")
    fresh, fast = renders.add("Twelve", change="yes", cached=False), renders.add("Twelve", preset="fast")
    found = renders.run()
    assert cached(found[first]) == (0, 60)
    assert cached(found[second]) == (55, 60)
    assert found[second].report["progress"][-1] == [60, 60]
    assert frames(found[second]) == frames(found[fresh]) != frames(found[first])
    assert cached(found[fast]) == (0, 60)  # other encoder settings


def test_plays_that_begin_alike_are_found_out(renders: Renders) -> None:
    orders = [renders.add("Alike", change=change) for change in ("", "", "yes", "yes")]
    fresh = [renders.add("Alike", change=change, cached=False) for change in ("", "yes")]
    found = renders.run()
    before, again, changed, after = (found[order] for order in orders)
    assert frames(before) == frames(again) == frames(found[fresh[0]])
    assert frames(changed) == frames(after) == frames(found[fresh[1]]) != frames(before)
    assert before.report["cached"] == 0
    assert again.report["cached"] == after.report["cached"] > changed.report["cached"] > 0
    assert {report.report["mode"] for report in found} == {"parallel"}


def test_plays_that_begin_and_end_alike_are_found_out(renders: Renders) -> None:
    orders = [renders.add("Returning", change=change) for change in ("", "", "yes", "yes", "")]
    fresh = {change: renders.add("Returning", change=change, cached=False) for change in ("", "yes")}
    found = renders.run()
    without, changed = frames(found[fresh[""]]), frames(found[fresh["yes"]])
    assert [frames(found[order]) for order in orders] == [without, without, changed, changed, without]
    assert without != changed
    first, again, changed_first, _, last = (found[order].report["cached"] for order in orders)
    assert again == last > changed_first > first == 0


def test_chunks_of_several_renders_are_not_mixed(tmp_path: Path) -> None:
    def render(name: str, *changes: str) -> list[list[Any]]:
        renders = Renders(tmp_path / name)
        renders.cache = tmp_path / "cache"
        for change in changes:
            renders.add("Long", change=change, preset="fast")
        return [frames(found) for found in renders.run()]

    def read_predictions() -> dict[Path, bytes]:
        files = (path for path in (tmp_path / "cache").glob("*/*") if path.is_file())
        return {path: path.read_bytes() for path in files if path.stat().st_size <= PREDICTION_BYTES}

    (without,) = render("first", "")
    before = read_predictions()
    (changed,) = render("second", "yes")
    after = read_predictions()
    other = [path for path in before if before[path] != after[path]]
    assert len(other) > 1
    for path in other:
        for kept, content in after.items():
            kept.write_bytes(before[kept] if kept == path else content)
        assert render(path.name, "") == [without]
    assert without != changed


def test_a_play_is_left_out_where_all_that_its_frames_depend_on_is_known() -> None:
    command = [sys.executable, "-W", "ignore", str(PROGRAMS / "digest_plays.py")]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_shard_notices_what_the_cache_has_of_other_frames(renders: Renders, tmp_path: Path) -> None:
    shards = [renders.add("Alike", change=change, shard=[0, 1, f"{tmp_path}/store-{change}"]) for change in ("", "yes")]
    fresh = renders.add("Alike", change="yes", cached=False)
    found = renders.run()
    before, changed = (found[shard] for shard in shards)
    assert frames(changed) == frames(found[fresh]) != frames(before)
    assert changed.report["shards"] == {"count": 1, "shard": 0, "joined": True}


def test_a_frame_that_looks_different_is_drawn(renders: Renders) -> None:
    looks = ["joint", "width", "order", "colour", "background", "pixels", "frame"]
    first = renders.add("Styles")
    again = [renders.add("Styles", change=look) for look in looks]
    fresh = [renders.add("Styles", change=look, cached=False) for look in looks]
    found = renders.run()
    for look, one, other in zip(looks, again, fresh, strict=True):
        assert frames(found[one]) == frames(found[other]) != frames(found[first]), look


def test_a_scene_with_drawing_code_of_its_own_is_never_taken_from_the_cache(renders: Renders) -> None:
    scenes = [
        "Own",
        "Instance",
        "Patched",
        "Later",
        "Picture",
        "Space",
        "Still",
        "Counter",
        "Joints",
        "Depths",
        "Wider",
        "Shades",
        "Cached",
    ]
    for scene in scenes:
        for change in ("", "", "yes"):
            renders.add(scene, change=change, chunk_frames=7)
        renders.add(scene, change="yes", cached=False, chunk_frames=7)
    found = renders.run()
    taken = set()
    for at, scene in enumerate(scenes):
        first, again, changed, fresh = found[4 * at : 4 * at + 4]
        assert frames(first) == frames(again), scene
        assert frames(changed) == frames(fresh), scene
        taken |= {scene} if again.report["cached"] else set()
    assert taken == {"Later", "Picture", "Space", "Still", "Counter", "Joints", "Depths", "Wider"}


def test_a_damaged_entry_is_drawn_again(renders: Renders) -> None:
    renders.add("Twelve")
    (first,) = renders.run()
    half, empty, *_ = renders.entries()
    half.write_bytes(half.read_bytes()[:-9])
    empty.write_bytes(b"")
    renders.orders.clear()
    renders.work /= "again"
    renders.add("Twelve")
    renders.add("Twelve")
    second, third = renders.run()
    assert cached(second) == (50, 60)
    assert cached(third) == (60, 60)
    assert frames(first) == frames(second) == frames(third)


def test_several_jobs_share_the_cache(tmp_path: Path) -> None:
    jobs = []
    for at, change in enumerate(["", "yes", ""]):
        work = tmp_path / str(at)
        orders = [order_render(work, FILE, "Twelve", cache=str(tmp_path / "cache"), environ={"CHANGE": change})]
        jobs.append((start(work, FILE, orders), orders))
    one, other, same = (frames(wait_for_renders(process, orders)[0]) for process, orders in jobs)
    assert one == same != other


def test_the_cache_stays_within_its_limit_and_loses_the_oldest(renders: Renders) -> None:
    (renders.cache / "first").mkdir(parents=True)
    old = renders.cache / "first" / "key.digest"
    old.write_bytes(bytes(2**20))
    renders.add("Twelve", cache_mib=1)
    renders.run()
    assert not old.parent.exists()
    assert 0 < sum(path.stat().st_size for path in renders.entries()) <= 2**20


def test_a_cache_that_cannot_be_written_does_not_fail_the_render(renders: Renders) -> None:
    renders.cache.write_text("a file")
    renders.add("Twelve")
    (found,) = renders.run()
    assert cached(found) == (0, 60)
