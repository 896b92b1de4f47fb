"""Finds a backend's class by its name. A backend's package is imported only when it is used."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Mapping
from typing import Any

from backends.base import Backend
from backends.errors import BackendError, SpecError

# name: module, class, extra of the package that installs what it needs
BACKENDS: Mapping[str, tuple[str, str, str | None]] = {
    "local": ("backends.local.backend", "LocalBackend", None),
    "docker": ("backends.docker.backend", "DockerBackend", None),
    "k8s": ("backends.kubernetes.backend", "KubernetesBackend", "k8s"),
    "modal": ("backends.modal.backend", "ModalBackend", "modal"),
}


def get_backend(name: str, options: object = None) -> Backend[Any]:
    """Return a backend with its own options.

    Raises SpecError for an unknown name, and BackendError if a Python package is missing.
    """
    _check_system(name)
    try:
        module, attribute, extra = BACKENDS[name]
    except KeyError:
        near = difflib.get_close_matches(name, BACKENDS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"backends: {', '.join(BACKENDS)}"
        raise SpecError(f"there is no backend {name!r}", hint=hint) from None
    try:
        backend_class = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if extra is None:
            raise
        hint = f"pip install 'manim-renderer[{extra}]'"
        raise BackendError(f"the backend {name!r} needs the Python package {error.name!r}", hint=hint) from error
    backend: Backend[Any] = backend_class(options)
    return backend


def _check_system(name: str) -> None:
    """Raise BackendError if a backend that runs jobs on this machine cannot do so on this system."""
    here = {"win32": "Windows", "darwin": "macOS"}.get(sys.platform)
    if here and (name == "local" or (name == "docker" and sys.platform == "win32")):
        raise BackendError(
            f"the {name} backend needs Linux, and this is {here}",
            hint="use --backend k8s or --backend modal, or run renderer in a Linux machine such as WSL",
        )
