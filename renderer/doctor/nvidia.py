"""Checks the NVIDIA driver, its GPUs, and whether driver, CUDA toolkit and Python packages have matching versions."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from backends.diagnostics import Check, State
from backends.processes import isolated_command
from renderer.system import nvml
from renderer.system.run import first_line, run_program

Version = tuple[int, int]
_CUDA_PACKAGES = re.compile(r"cupy-cuda(\d+)x|nvidia-cuda-runtime-cu(\d+)|nvidia-cuda-runtime")
_NO_DRIVER_HINT = "this machine renders and encodes on the CPU; to use a GPU elsewhere, request one: --gpu L4"


def check_nvidia() -> Iterator[Check]:
    """Yield the checks of driver, GPUs and CUDA; only that of the driver if there is none."""
    try:
        driver = nvml.read_driver()
    except nvml.NvmlError as error:
        yield Check("driver", "warning", f"no NVIDIA driver: {error}", _NO_DRIVER_HINT)
        return
    yield Check("driver", "ok", f"{driver.version}, supports CUDA {_format_version(driver.cuda)}")
    if not driver.devices:
        hint = "request a GPU, and check that NVIDIA_VISIBLE_DEVICES does not hide it"
        yield Check("GPU", "warning", "the driver is installed, but no GPU is visible", hint)
    for device in driver.devices:
        yield Check("GPU", "ok", _describe_device(device))
    yield _compare_versions(driver.cuda)
    yield _use_cuda()
    yield _run_nvidia_smi()


def _describe_device(device: nvml.Device) -> str:
    parts = [device.name]
    if device.memory is not None:
        parts.append(f"{device.memory} MiB ({device.free} free)")
    parts.append(f"compute {device.compute}" if device.compute else "compute capability unknown")
    parts.append(f"{device.temperature} °C" if device.temperature is not None else "temperature unknown")
    parts.append({True: "MIG on", False: "MIG off", None: "no MIG"}[device.mig])
    return ", ".join(parts)


def _compare_versions(driver: Version) -> Check:
    toolkit, need = find_toolkit_version(), _find_needed_version()
    state, hint = judge_versions(driver, toolkit, need)
    if hint:
        return Check("CUDA", state, f"driver {_format_version(driver)}, toolkit {_format_version(toolkit)}", hint)
    found = f"driver {_format_version(driver)}"
    found += f" ≥ toolkit {_format_version(toolkit)}" if toolkit else ", no toolkit (only compute scripts need one)"
    found += f"; packages need {need[0]}: {need[1]}" if need else ""
    return Check("CUDA", "ok", found)


def _use_cuda() -> Check:
    code, output = run_program(isolated_command("renderer.doctor.cuda"))
    if code == 0:
        return Check("CUDA works", "ok", f"wrote and read memory of {output}")
    hint = "run `nvidia-smi`, and check your container runtime or the cluster's device plugin"
    return Check("CUDA works", "failure", first_line(output), hint)


def judge_versions(driver: Version, toolkit: Version | None, need: tuple[int, str] | None) -> tuple[State, str | None]:
    """Return the state of the check, and a hint if the driver is older than the toolkit or a package needs.

    ``need`` is the major CUDA version that a Python package needs, and that package.
    """
    if toolkit and toolkit[0] > driver[0]:
        return (
            "failure",
            f"update the driver, or build the image with --base for CUDA {_format_version(driver)} or older",
        )
    if toolkit and toolkit > driver:
        hint = "most libraries work (same major version); to be safe use an older toolkit or a newer driver"
        return "warning", hint
    if need and need[0] > driver[0]:
        return "failure", f"{need[1]} needs CUDA {need[0]}: install its version for CUDA {driver[0]}"
    return "ok", None


def find_toolkit_version() -> Version | None:
    """Return the version of the CUDA toolkit, from CUDA_VERSION (set in NVIDIA's images) or /usr/local/cuda."""
    text = os.environ.get("CUDA_VERSION", "")
    if not text:
        try:
            text = json.loads(Path("/usr/local/cuda/version.json").read_text("utf-8"))["cuda"]["version"]
        except (OSError, ValueError, KeyError):
            return None
    found = re.match(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def _find_needed_version() -> tuple[int, str] | None:
    """Return the newest major CUDA version that an installed Python package needs, and that package."""
    needs = []
    for distribution in importlib.metadata.distributions():
        name = (distribution.metadata["Name"] or "").lower()
        if found := _CUDA_PACKAGES.fullmatch(name):
            major = found[1] or found[2] or distribution.version.partition(".")[0]
            needs.append((int(major), f"{name} {distribution.version}"))
    return max(needs, default=None)


def _run_nvidia_smi() -> Check:
    code, output = run_program(["nvidia-smi", "-L"])
    if code == 0:
        return Check("nvidia-smi", "ok", first_line(output).partition(" (UUID")[0])
    return Check("nvidia-smi", "warning", first_line(output), "in a container, add the driver capability `utility`")


def _format_version(version: Version | None) -> str:
    return f"{version[0]}.{version[1]}" if version else "none"
