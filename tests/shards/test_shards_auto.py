"""``--shards auto`` chooses by the length of the film: from an earlier render, or by a job that steps the scene."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.rigs.base import Rig

from backends import JobState
from backends.worker_protocol import UnitResult
from renderer import api, config
from renderer.spec import RenderSpec
from renderer.system.limits import count_usable_cores
from renderer.units.film_lengths import remember_lengths

FILM = """\
from manim import *

class Film(Scene):
    def construct(self):
        self.add(Circle())
        self.wait(40)

class Other(Film):
    pass

class Fails(Scene):
    def construct(self):
        raise ValueError("no film")
"""
SETTINGS: dict[str, object] = {"resolution": "64x36", "fps": 5, "shards": "auto"}
CORES = count_usable_cores()
CHOSEN = f"shards: {min(2, CORES)}, for a film of 40 s: one for every 20 s"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    path = tmp_path / "project" / "film.py"
    path.write_text(FILM)
    return path


def plan(film: Path, scene: str, **settings: object) -> api.PlannedJob:
    loaded = config.load({**SETTINGS, **settings}, environ={}, source="argument")
    return api.plan(RenderSpec(path=film, scenes=(scene,)), loaded)


def find_note(planned: api.PlannedJob) -> str:
    (note,) = (note for note in planned.prepared.notes if note.startswith("shards"))
    return note


def test_the_length_comes_from_an_earlier_render_or_from_stepping_the_scene(film: Path, tmp_path: Path) -> None:
    local = {"backend": "local", "local.state_dir": tmp_path / "jobs", "local.cache_mib": 0}
    rig = Rig("local", local)
    job = rig.submit(film, "Film", **{**SETTINGS, "shards": None})
    assert job.wait(600).state is JobState.SUCCEEDED
    job.fetch(tmp_path / "out")
    assert find_note(plan(film, "Film", **local)).startswith(CHOSEN)

    unknown = plan(film, "Other", **local)
    assert "submit steps the scene first" in find_note(unknown)
    assert unknown.prepared.job.shards is None
    chosen = unknown.choose_shards()
    assert find_note(chosen).startswith(CHOSEN)
    assert chosen.prepared.job.shards == (2 if CORES > 1 else None)
    fails = plan(film, "Fails", **local).choose_shards()
    assert find_note(fails) == "shards: 1, because it failed to step the scene: Fails raised ValueError: no film"
    assert [status.handle for status in api.jobs("local", rig.loaded())] == [job.handle]


@pytest.mark.parametrize(
    ("seconds", "why_serial", "settings", "count", "note"),
    [
        (39.9, None, {}, None, "shards: 1, for a film of 39.9 s: one for every 20 s"),
        (100, None, {}, 5, "shards: 5, for a film of 100 s: one for every 20 s"),
        (9000, None, {}, 16, "shards: 16, for a film of 9000 s: one for every 20 s, but not more than 16"),
        (100, None, {"k8s.parallelism": 3}, 3, "shards: 3, for a film of 100 s: one for every 20 s, but not more"),
        (
            100,
            None,
            {"backend": "modal", "store": None, "modal.max_containers": 2},
            2,
            "shards: 2, for a film of 100 s: one for every 20 s, but not more than --modal-max-containers allows",
        ),
        (100, None, {"format": "png"}, None, "shards: 1, because one process makes images"),
        (100, None, {"store": None}, None, "shards: 1, because pods need a --store in which they meet"),
        (100, "it reads pixels", {}, None, "shards: 1, because the scene cannot be rendered in parallel"),
    ],
)
def test_the_number_of_shards(
    seconds: float, why_serial: str | None, settings: dict[str, object], count: int | None, note: str, film: Path
) -> None:
    render = {"why_serial": why_serial}
    remember_lengths(film, [UnitResult(unit="Film", exit_code=0, seconds={"film": seconds}, render=render)])
    planned = plan(film, "Film", **{"backend": "k8s", "gpu": "none", "store": "pvc://films", **settings})
    assert planned.prepared.job.shards == count
    assert not planned.prepared.needs_length
    assert find_note(planned).startswith(note)
