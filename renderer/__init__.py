"""Render Manim scenes and Python scripts on this machine, on Kubernetes or on Modal.

>>> import renderer
>>> job = renderer.submit("scene.py", "MyScene", quality="h")
>>> job.wait().state
<JobState.SUCCEEDED: 'succeeded'>
>>> job.fetch("renders")
[PosixPath('renders/MyScene.mp4')]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends import JobHandle, JobState, JobStatus, LogLine, UnitStatus
    from backends.errors import RendererError
    from renderer.api import Job, jobs, open_job, submit
    from renderer.maps.inputs import inputs
    from renderer.maps.mapping import MappedJob, map  # noqa: A004  # as Python's own function
    from renderer.maps.results import MapResult
    from renderer.previews.previewing import Preview, preview
    from renderer.scenes import Scene, find_scenes

__all__ = [
    "Job",
    "JobHandle",
    "JobState",
    "JobStatus",
    "LogLine",
    "MapResult",
    "MappedJob",
    "Preview",
    "RendererError",
    "Scene",
    "UnitStatus",
    "find_scenes",
    "inputs",
    "jobs",
    "map",
    "open_job",
    "preview",
    "submit",
]

_MODULES = {
    "backends": {"JobHandle", "JobState", "JobStatus", "LogLine", "UnitStatus"},
    "backends.errors": {"RendererError"},
    "renderer.api": {"Job", "jobs", "open_job", "submit"},
    "renderer.maps.inputs": {"inputs"},
    "renderer.maps.mapping": {"MappedJob", "map"},
    "renderer.maps.results": {"MapResult"},
    "renderer.previews.previewing": {"Preview", "preview"},
    "renderer.scenes": {"Scene", "find_scenes"},
}


def __dir__() -> list[str]:
    """Return the public names, so that an interactive Python completes them."""
    return __all__


def __getattr__(name: str) -> object:
    """Return a public name, and import it when it is first used, so that `renderer --help` is fast."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
