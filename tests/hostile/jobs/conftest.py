"""The local backend for hostile jobs, and a job beside them that must not notice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from renderer.api import Job, submit

Submit = Callable[..., Job]
OUT = "import os, pathlib, signal, subprocess, sys, time\nout = pathlib.Path(os.environ['RENDERER_OUTPUT_DIR'])\n"


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    """The folder that holds the jobs."""
    return tmp_path / "jobs"


@pytest.fixture
def submit_script(tmp_path: Path, jobs: Path) -> Submit:
    """Submit a script, in which ``out`` is its output folder, to the local backend."""

    def run(text: str, **settings: Any) -> Job:
        project = tmp_path / "project"
        project.mkdir(exist_ok=True)
        (project / "job.py").write_text(OUT + text)
        return submit(project / "job.py", **{"local.state_dir": jobs, "local.cache_mib": 0, **settings})

    return run


@pytest.fixture
def job_folder(jobs: Path) -> Callable[[Job], Path]:
    """Find the folder of a job."""
    return lambda job: jobs / job.handle.parts[0]
