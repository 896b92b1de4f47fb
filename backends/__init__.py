"""The backends where jobs can run, with one interface. Knows nothing about Manim, and never imports ``renderer``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

_MODULES = {
    "backends.base": {"Backend", "Plan"},
    "backends.registry": {"BACKENDS", "get_backend"},
    "backends.models": set(__all__),
}


def __getattr__(name: str) -> object:
    """Import a name when it is first used: the processes of a job need few of them."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
