"""What one machine drew, another one does not draw again: two users' folders stand for two machines."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.commands import SMALL, environment, renderer
from support.s3 import SECRET, Place

from backends.cache.launch import KEY_FILE
from backends.errors import SpecError
from renderer import api, config
from renderer.spec import RenderSpec

SCENE = Path(__file__).parent / "scenes/scene.py"
KEY = Path("state/manim-renderer") / KEY_FILE


class Machine:
    """A machine with folders of its own, and a `latex` that writes down that it ran."""

    def __init__(self, work: Path, name: str, **variables: str) -> None:
        self.home = work / name
        self.home.mkdir(mode=0o700)
        programs = work / "programs"  # at the same path on each, as in an image
        programs.mkdir(exist_ok=True)
        self.runs = work / "latex-runs"
        latex = programs / "latex"
        if not latex.exists():
            latex.write_text(f'#!/bin/sh\necho run >> "{self.runs}"\nexec {shutil.which("latex")} "$@"\n')
            latex.chmod(0o755)
        path = environment(self.home)["PATH"]
        self.environment = environment(self.home, **variables, PATH=f"{programs}:{path}")
        shutil.copy(SCENE, self.home)

    def render(self, *arguments: str) -> dict[str, Any]:
        """Render, and return the part ``render`` of result.json."""
        done = renderer("submit", "scene.py", "Ten", *SMALL, *arguments, cwd=self.home, env=self.environment)
        assert done.returncode == 0, done.stderr
        results = sorted(self.home.glob("state/manim-renderer/jobs/*/work/units/0/result.json"))
        found: dict[str, Any] = json.loads(max(results, key=lambda path: path.stat().st_mtime_ns).read_text())["render"]
        return found

    def log(self) -> str:
        return "".join(path.read_text() for path in self.home.glob("state/manim-renderer/jobs/*/work/units/0/log.txt"))

    def own(self, other: Machine) -> None:
        """Copy the key of another machine of the same owner."""
        (self.home / KEY).parent.mkdir(parents=True, mode=0o700)
        (self.home / "state").chmod(0o700)
        shutil.copy(other.home / KEY, self.home / KEY)


def test_only_what_changed_is_drawn_on_another_machine(place: Place, tmp_path: Path) -> None:
    first = Machine(tmp_path, "first")
    assert first.render("--cache", place.uri)["cached"] == 0
    assert first.runs.read_text().count("run") == 1
    second = Machine(tmp_path, "second")
    second.own(first)
    found = second.render("--cache", place.uri, "--env", "RADIUS=2")
    assert (found["cached"], found["frames"]) == (45, 50)
    assert [play["source"] for play in found["plays"]] == [*["chunk cache"] * 9, "drawn"]
    assert first.runs.read_text().count("run") == 1  # the formula came along
    assert second.render("--env", "RADIUS=2")["cached"] == 50  # this machine's folder keeps what came from the store
    stranger = Machine(tmp_path, "stranger")
    assert stranger.render("--cache", place.uri)["cached"] == 0
    for machine in (first, second, stranger):
        assert "shared cache" not in machine.log()
        for path in (machine.home / "state/manim-renderer/jobs").rglob("*"):
            assert not path.is_file() or (machine.home / KEY).read_bytes() not in path.read_bytes(), path
            assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
        assert not list(machine.home.glob("state/manim-renderer/jobs/*/spool"))
    assert not list(place.folder.rglob(".new-*"))


def test_without_a_store_the_job_goes_on_and_says_so(tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "the-user", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
    machine = Machine(tmp_path, "alone", **keys, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert machine.render("--cache", "s3://frames/cache")["frames"] == 50
    assert "the shared cache is not used: the store s3://frames/cache did not answer" in machine.log()
    assert SECRET not in machine.log()


REFUSED = [
    ({"cache": "ftp://x/y"}, "there is no shared cache 'ftp://x/y'"),
    ({"cache": "file://relative"}, "there is no shared cache"),
    ({"cache": "s3://frames/../x"}, "there is no shared cache"),
    ({"cache": "pvc://claim/x"}, "only jobs on Kubernetes can use the cache"),
    ({"cache": "file:///mnt/x", "backend": "k8s"}, "pods cannot read the folder"),
    ({"cache": "s3://x", "backend": "k8s", "image": "a:1"}, "--cache on Kubernetes needs --store"),
    ({"cache": "s3://x", "backend": "k8s", "image": "a:1", "store": "pvc://x"}, "needs --cache-secret"),
    ({"cache": "s3://x", "backend": "modal"}, "Modal does not use --cache"),
]


@pytest.mark.parametrize(("settings", "words"), REFUSED)
def test_what_cannot_be_used_is_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(SpecError) as caught:
        api.plan(RenderSpec(path=SCENE, every=True), config.load(settings, environ={}))
    assert words in str(caught.value)
    assert caught.value.hint


def test_an_untrusted_job_does_not_use_it() -> None:
    settings = {"untrusted": True, "cache": "s3://frames/cache", "backend": "docker", "image": "a:1"}
    planned = api.plan(RenderSpec(path=SCENE, every=True), config.load(settings, environ={}))
    assert "cache: not used with --untrusted" in planned.prepared.notes
    assert planned.plan.spec.cache is None
    assert "CACHE" not in str(planned.plan.request)
