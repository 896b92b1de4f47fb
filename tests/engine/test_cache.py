"""What was painted before is taken from the cache, and never where the picture would be another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from engine import rig

FILE = rig.SCENES / "cached.py"


class Renders:
    """Renders scenes in one process, in order, with one cache; ``change`` makes them look otherwise."""

    def __init__(self, work: Path) -> None:
        self.work, self.cache = work, work / "cache"
        self.orders: list[dict[str, Any]] = []

    def add(self, scene: str, *, change: str = "", cached: bool = True, **changes: Any) -> int:
        """Order a render; give its place among the results."""
        folder = str(self.work / f"{len(self.orders):03}")
        where = {"cache": str(self.cache)} if cached else {}
        changes = {"folder": folder, "environ": {"CHANGE": change}, **where, **changes}
        self.orders.append(rig.order(self.work, FILE, scene, **changes))
        return len(self.orders) - 1

    def run(self) -> list[rig.Ours]:
        found = rig.ours(self.work / f"run{len(self.orders)}", FILE, self.orders)
        assert not [one.said for one in found if "error" in one.said]
        return found

    def entries(self) -> list[Path]:
        return [path for path in self.cache.glob("*/*") if path.is_file()]


@pytest.fixture
def renders(tmp_path: Path) -> Renders:
    return Renders(tmp_path)


def frames(found: rig.Ours) -> list[Any]:
    return rig.decoded(next(found.find(name) for name in found.said["outputs"] if name.endswith(".mp4")))


def cached(found: rig.Ours) -> tuple[int, int]:
    return found.said["cached"], found.said["frames"]


def test_of_twelve_plays_only_the_changed_one_is_painted_again(renders: Renders) -> None:
    first, second = renders.add("Twelve"), renders.add("Twelve", change="yes")
    fresh, fast = renders.add("Twelve", change="yes", cached=False), renders.add("Twelve", preset="fast")
    found = renders.run()
    assert cached(found[first]) == (0, 60)
    assert cached(found[second]) == (55, 60)
    assert found[second].said["progress"][-1] == [60, 60]
    assert frames(found[second]) == frames(found[fresh]) != frames(found[first])
    assert cached(found[fast]) == (0, 60)  # other encoder settings


def test_a_picture_that_looks_otherwise_is_painted(renders: Renders) -> None:
    looks = ["joint", "width", "order", "colour", "background", "pixels", "frame"]
    first = renders.add("Styles")
    again = [renders.add("Styles", change=look) for look in looks]
    fresh = [renders.add("Styles", change=look, cached=False) for look in looks]
    found = renders.run()
    for look, one, other in zip(looks, again, fresh, strict=True):
        assert frames(found[one]) == frames(found[other]) != frames(found[first]), look


def test_what_is_painted_in_a_way_of_its_own_is_never_taken(renders: Renders) -> None:
    scenes = ["Own", "Instance", "Patched", "Picture", "Space", "Still", "Counter", "Joints", "Depths", "Wider"]
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
        taken |= {scene} if again.said["cached"] else set()
    assert taken == {"Picture", "Space", "Still", "Counter", "Joints", "Depths", "Wider"}


def test_a_damaged_entry_is_made_again(renders: Renders) -> None:
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


def test_several_jobs_share_it(tmp_path: Path) -> None:
    jobs = []
    for at, change in enumerate(["", "yes", ""]):
        work = tmp_path / str(at)
        orders = [rig.order(work, FILE, "Twelve", cache=str(tmp_path / "cache"), environ={"CHANGE": change})]
        jobs.append((rig.start(work, FILE, orders), orders))
    one, other, same = (frames(rig.results(process, orders)[0]) for process, orders in jobs)
    assert one == same != other


def test_it_stays_within_its_bound_and_loses_the_oldest(renders: Renders) -> None:
    (renders.cache / "first").mkdir(parents=True)
    old = renders.cache / "first" / "key.digest"
    old.write_bytes(bytes(2**20))
    renders.add("Twelve", cache_mib=1)
    renders.run()
    assert not old.parent.exists()
    assert 0 < sum(path.stat().st_size for path in renders.entries()) <= 2**20


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(renders: Renders) -> None:
    renders.cache.write_text("a file")
    renders.add("Twelve")
    (found,) = renders.run()
    assert cached(found) == (0, 60)
