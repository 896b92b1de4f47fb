"""Inside a container: what NVIDIA's runtime was asked to bring in. Outside: whether a runtime could."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from backends.diagnostics import Check
from renderer.system.run import ask, first_line

CAPABILITIES = ("compute", "utility", "video", "graphics")
_MARKS = ("/.dockerenv", "/run/.containerenv")
_VARIABLES = {"container", "KUBERNETES_SERVICE_HOST", "NVIDIA_DRIVER_CAPABILITIES"}


def lines() -> Iterator[Check]:
    """Give the lines."""
    if any(Path(mark).exists() for mark in _MARKS) or _VARIABLES & os.environ.keys():
        yield _inside()
    else:
        yield _toolkit()


def _inside() -> Check:
    devices = os.environ.get("NVIDIA_VISIBLE_DEVICES", "")
    asked = os.environ.get("NVIDIA_DRIVER_CAPABILITIES", "")
    found = f"uid {os.getuid()}, NVIDIA_VISIBLE_DEVICES={devices or 'unset'}, capabilities {asked or 'unset'}"
    missing = [name for name in CAPABILITIES if name not in asked.split(",")]
    if devices in {"", "void", "none"} or asked == "all" or not missing:
        return Check("container", "ok", found)
    todo = f"set NVIDIA_DRIVER_CAPABILITIES={','.join(CAPABILITIES)}: without video no NVENC, without graphics no EGL"
    return Check("container", "warning", found, todo)


def _toolkit() -> Check:
    code, said = ask(["nvidia-ctk", "--version"])
    if code != 0:
        todo = "only containers with a GPU need it: install nvidia-container-toolkit"
        has_gpu = Path("/proc/driver/nvidia/version").exists()
        return Check(
            "container", "warning" if has_gpu else "ok", "no NVIDIA container toolkit", todo if has_gpu else None
        )
    return Check("container", "ok", f"{first_line(said)}; {_runtime()}")


def _runtime() -> str:
    if list(Path("/etc/cdi").glob("nvidia*")) or list(Path("/var/run/cdi").glob("nvidia*")):
        return "CDI devices are described"
    code, said = ask(["docker", "info", "--format", "{{json .Runtimes}}"])
    if code == 0 and '"nvidia"' in said:
        return "docker knows the runtime nvidia"
    return "no CDI description and no docker runtime: `nvidia-ctk runtime configure` makes one"
