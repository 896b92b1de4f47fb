"""Pods read and write a shared cache through the store's container, which alone has its key and its credentials."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.rigs.base import Rig
from support.rigs.kubernetes import create_secret, get, kubectl

from backends.cache.key_file import read_or_create_key
from backends.cache.launch import KEY_FILE
from backends.files import state_folder
from renderer.api import Job, submit

SMALL: dict[str, Any] = {"resolution": "160x90", "fps": 10}
SCENE = """\
import os
from pathlib import Path
from manim import LEFT, RIGHT, UP, Circle, MathTex, Scene, Square

if "JOB_COMPLETION_INDEX" in os.environ:  # in a pod
    assert not [key for key in os.environ if key.startswith("AWS_")]
    assert not [path for path in ("/cache", "/cache-key", "/store") if Path(path).exists()]
    assert not os.access("/control/spool", os.W_OK)


class Ten(Scene):
    def construct(self):
        self.add(MathTex("x^2").shift(UP))
        shape = Square().shift(4 * LEFT)
        for _ in range(9):
            self.play(shape.animate.shift(RIGHT / 2), run_time=0.5)
        self.play(Circle(radius=float(os.environ.get("RADIUS", "1"))).animate.shift(RIGHT), run_time=0.5)
"""


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.py"
    path.write_text(SCENE)
    return path


@pytest.fixture(scope="module")
def secret(rig: Rig) -> str:
    """Create the Secret with this user's key, as the documents say, and return its name."""
    path = state_folder(KEY_FILE)
    read_or_create_key(path)
    kubectl(
        "create", "secret", "generic", "cache-key", "-n", str(rig.settings["k8s.namespace"]), f"--from-file=key={path}"
    )
    return "cache-key"


def report(job: Job, into: Path) -> dict[str, Any]:
    """Return the part ``render`` of the job's result.json."""
    status = job.wait(600)
    assert status.exit_code == 0, (status, [line.text for line in job.logs()])
    into.mkdir()
    job.backend.fetch(job.handle, into)
    assert not [line.text for line in job.logs() if "shared cache" in line.text]
    found: dict[str, Any] = json.loads((into / "0" / "result.json").read_text())["render"]
    job.delete()
    return found


def test_pods_and_this_machine_draw_nothing_twice(
    rig: Rig, namespace: str, s3: str, secret: str, film: Path, tmp_path: Path
) -> None:
    create_secret(namespace, "keys", **{key: value for key, value in os.environ.items() if key.startswith("AWS_")})
    cache = f"{s3.rpartition('/')[0]}/cache-{namespace}"
    options: dict[str, Any] = {**SMALL, "cache": cache, "gpu": "none"}
    pods: dict[str, Any] = {**options, "store": s3, "k8s.store_secret": "keys", "k8s.cache_secret": secret}
    first = rig.submit(film, "Ten", **pods)
    described = json.dumps(get("jobs,configmaps", "-n", namespace))
    assert read_or_create_key(state_folder(KEY_FILE)).hex() not in described
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in described
    assert report(first, tmp_path / "first")["cached"] == 0
    changed = report(rig.submit(film, "Ten", **pods, env={"RADIUS": "2"}), tmp_path / "changed")
    assert (changed["cached"], changed["frames"]) == (45, 50)
    here = report(submit(film, "Ten", backend="local", env={"RADIUS": "2"}, **options), tmp_path / "here")
    assert (here["cached"], here["frames"]) == (50, 50)


def test_pods_share_a_cache_on_a_claim(
    rig: Rig, secret: str, claim: tuple[str, Path], film: Path, tmp_path: Path
) -> None:
    name, folder = claim
    pods: dict[str, Any] = {**SMALL, "gpu": "none", "store": f"pvc://{name}/jobs", "k8s.cache_secret": secret}
    pods["cache"] = f"pvc://{name}/some/where"
    assert report(rig.submit(film, "Ten", **pods), tmp_path / "first")["cached"] == 0
    assert len(list(folder.glob("some/where/*/tex/*/*"))) == 1
    entries = [path for path in folder.glob("some/where/*/*/*/*") if path.parts[-3] != "tex"]
    for clip in sorted(entries, key=lambda path: path.stat().st_size)[-2:]:  # the small ones are predictions
        clip.write_bytes(b"damaged")
    changed = report(rig.submit(film, "Ten", **pods, env={"RADIUS": "2"}), tmp_path / "changed")
    assert changed["cached"] in {35, 40}  # the play that changed may have one of the two
