"""What docker and Kubernetes promise for Manim's public image, in a stand-in: it cannot be pulled where tests run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.rigs.base import Rig

from backends import JobState

SCENES = Path(__file__).parent / "scenes" / "four.py"


def test_a_scene_in_a_stand_in_of_manims_image_is_rendered_in_parallel_with_the_same_bytes(
    rig: Rig, tmp_path: Path
) -> None:
    if rig.foreign_image is None:
        pytest.skip(f"{rig.backend} has no images, or only a fake of them")
    films, job = [], None
    for number, more in enumerate(({}, {"image": rig.foreign_image("manim")})):
        job = rig.submit(SCENES, "Formula", quality="l", encoder="x264", **more)
        assert job.wait(600).state is JobState.SUCCEEDED, job.status()
        (film,) = job.fetch(tmp_path / str(number))
        films.append(film.read_bytes())
    assert films[0] == films[1]
    assert job
    (tmp_path / "raw").mkdir()
    job.backend.fetch(job.handle, tmp_path / "raw")
    result = json.loads((tmp_path / "raw" / "0" / "result.json").read_text())
    assert result["render"]["mode"] == "parallel"
    assert result["versions"]["manim"]
    assert "manim-renderer" not in result["versions"]  # nothing of ours is installed in that image
