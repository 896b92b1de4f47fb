"""Checks NVIDIA's settings of this container; outside a container, whether containers can use the GPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from backends.diagnostics import Check
from renderer.system.run import first_line, run_program

CAPABILITIES = ("compute", "utility", "video", "graphics")
_MARKER_FILES = ("/.dockerenv", "/run/.containerenv")
_CONTAINER_VARIABLES = {"container", "KUBERNETES_SERVICE_HOST", "NVIDIA_DRIVER_CAPABILITIES"}


def check_container() -> Iterator[Check]:
    """Yield one check: of this container's settings, or of NVIDIA's container toolkit on this machine."""
    if any(Path(mark).exists() for mark in _MARKER_FILES) or _CONTAINER_VARIABLES & os.environ.keys():
        yield _check_capabilities()
    else:
        yield _check_toolkit()


def _check_capabilities() -> Check:
    devices = os.environ.get("NVIDIA_VISIBLE_DEVICES", "")
    capabilities = os.environ.get("NVIDIA_DRIVER_CAPABILITIES", "")
    found = f"uid {os.getuid()}, NVIDIA_VISIBLE_DEVICES={devices or 'unset'}, capabilities {capabilities or 'unset'}"
    missing = [name for name in CAPABILITIES if name not in capabilities.split(",")]
    if devices in {"", "void", "none"} or capabilities == "all" or not missing:
        return Check("container", "ok", found)
    hint = f"set NVIDIA_DRIVER_CAPABILITIES={','.join(CAPABILITIES)}: NVENC needs video, and OpenGL needs graphics"
    return Check("container", "warning", found, hint)


def _check_toolkit() -> Check:
    code, output = run_program(["nvidia-ctk", "--version"])
    if code == 0:
        return Check("container", "ok", f"{first_line(output)}; {_describe_runtime()}")
    found = "the NVIDIA container toolkit is not installed"
    if Path("/proc/driver/nvidia/version").exists():
        return Check("container", "warning", found, "to use the GPU in containers, install nvidia-container-toolkit")
    return Check("container", "ok", f"{found}; it is not needed without a GPU")


def _describe_runtime() -> str:
    if list(Path("/etc/cdi").glob("nvidia*")) or list(Path("/var/run/cdi").glob("nvidia*")):
        return "a CDI specification describes the GPUs"
    code, output = run_program(["docker", "info", "--format", "{{json .Runtimes}}"])
    if code == 0 and '"nvidia"' in output:
        return "docker has the runtime nvidia"
    return "no CDI specification and no docker runtime found: create one with `nvidia-ctk runtime configure`"
