"""Refuses options of one backend for a job on another: they would have no effect."""

from __future__ import annotations

from backends import BACKENDS
from backends.errors import SpecError
from renderer.config import Config

_GIVEN = frozenset({"flag", "argument"})  # a configuration file may well have the tables of all backends


def check_backend_options(config: Config, *, is_map: bool) -> None:
    """Raise SpecError for an option that was given for this job and that its backend does not have."""
    backend = config.settings.backend
    for key, origin in config.origins.items():
        table, _, name = key.rpartition(".")
        if origin not in _GIVEN or table not in BACKENDS or table == backend:
            continue
        if key == "k8s.parallelism" and is_map and backend in {"local", "docker"}:
            continue
        raise SpecError(
            f"{name} is an option of the {table} backend, and this job runs on {backend}",
            hint=f"leave it out, or add --backend {table}",
        )
