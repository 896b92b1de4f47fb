"""A file with thousands of scenes: their names travel in the bundle."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from renderer import config, spec


def test_a_long_list_of_scenes_is_in_the_bundle_and_the_worker_finds_it_there(tmp_path: Path) -> None:
    names = [f"SceneWithALongName{number}" for number in range(1000)]
    project = tmp_path / "project"
    project.mkdir()
    (project / "many.py").write_text(
        "from manim import *\n" + "".join(f"class {name}(Scene): pass\n" for name in names)
    )
    settings = config.load({"backend": "local", "resolution": "64x36", "fps": 5}).settings
    job = spec.prepare(spec.RenderSpec(path=project / "many.py", every=True), settings).job
    assert list(job.units) == names
    assert len(job.payload) < 2000
    (tmp_path / "task.json").write_text(job.payload)
    (tmp_path / "bundle.tar.gz").write_bytes(job.bundle.data)
    files = ["--task", str(tmp_path / "task.json"), "--bundle", str(tmp_path / "bundle.tar.gz")]
    command = [
        sys.executable,
        "-I",
        "-m",
        "renderer.worker",
        *files,
        "--output",
        str(tmp_path / "out"),
        "--unit",
        "999",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    result = json.loads((tmp_path / "out" / "999" / "result.json").read_text())
    assert (done.returncode, result["unit"], result["exit_code"]) == (0, names[-1], 0), done
