"""The backends where jobs can run, with one interface. Knows nothing about Manim, and never imports ``renderer``."""

from backends.base import Backend, Plan
from backends.models import (
    Bundle,
    Garbage,
    JobHandle,
    JobSpec,
    JobState,
    JobStatus,
    LogLine,
    Resources,
    UnitStatus,
)
from backends.registry import BACKENDS, get_backend

__all__ = [
    "BACKENDS",
    "Backend",
    "Bundle",
    "Garbage",
    "JobHandle",
    "JobSpec",
    "JobState",
    "JobStatus",
    "LogLine",
    "Plan",
    "Resources",
    "UnitStatus",
    "get_backend",
]
