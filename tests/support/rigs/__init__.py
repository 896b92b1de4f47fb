"""One rig for each backend: how the contract tests reach it, with a fake or a local service behind it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from support.rigs.base import Rig
from support.rigs.docker import docker
from support.rigs.kubernetes import kubernetes
from support.rigs.local import local
from support.rigs.modal import modal

RIGS: dict[str, Callable[[Path], AbstractContextManager[Rig]]] = {
    "docker": docker,
    "local": local,
    "k8s": kubernetes,
    "modal": modal,
}
