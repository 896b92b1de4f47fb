"""The NVIDIA driver, its GPUs, and CUDA: driver against toolkit against what the packages need."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from backends.diagnostics import Check, State
from renderer.system import isolated, nvml
from renderer.system.run import ask, first_line

Version = tuple[int, int]
_PACKAGES = re.compile(r"cupy-cuda(\d+)x|nvidia-cuda-runtime-cu(\d+)|nvidia-cuda-runtime")
_NONE = "scenes are rendered and encoded on the CPU; ask for a GPU where one is needed: --gpu L4"


def lines() -> Iterator[Check]:
    """Give the lines."""
    try:
        driver = nvml.read()
    except nvml.NvmlError as error:
        yield Check("driver", "warning", f"no NVIDIA driver: {error}", _NONE)
        return
    yield Check("driver", "ok", f"{driver.version}, serves CUDA {_written(driver.cuda)}")
    if not driver.devices:
        yield Check(
            "GPU", "warning", "the driver is here, but no GPU", "request one; NVIDIA_VISIBLE_DEVICES may hide it"
        )
    for device in driver.devices:
        yield Check("GPU", "ok", _device(device))
    yield from _cuda(driver.cuda)
    yield _smi()


def _device(device: nvml.Device) -> str:
    parts = [device.name]
    if device.memory is not None:
        parts.append(f"{device.memory} MiB ({device.free} free)")
    parts.append(f"compute {device.compute}" if device.compute else "compute capability unknown")
    parts.append(f"{device.temperature} °C" if device.temperature is not None else "temperature unknown")
    parts.append({True: "MIG on", False: "MIG off", None: "no MIG"}[device.mig])
    return ", ".join(parts)


def _cuda(driver: Version) -> Iterator[Check]:
    toolkit, need = toolkit_version(), _need()
    found = f"driver {_written(driver)}"
    found += f" ≥ toolkit {_written(toolkit)}" if toolkit and toolkit <= driver else ""
    state, todo = judge(driver, toolkit, need)
    if todo is None:
        wanted = f"; packages need {need[0]}: {need[1]}" if need else ""
        yield Check("CUDA", "ok", f"{found}{'' if toolkit else ', no toolkit (only compute scripts need one)'}{wanted}")
    else:
        yield Check("CUDA", state, f"driver {_written(driver)}, toolkit {_written(toolkit)}", todo)
    code, said = ask(isolated.command("renderer.doctor.cuda"))
    if code == 0:
        yield Check("CUDA works", "ok", f"memory of {said} was filled and read back")
    else:
        yield Check("CUDA works", "failure", first_line(said), "look at `nvidia-smi`, and at what gives the GPU to you")


def judge(driver: Version, toolkit: Version | None, need: tuple[int, str] | None) -> tuple[State, str | None]:
    """Compare: driver ≥ toolkit ≥ need. Gives state and what to do; None when all is well."""
    if toolkit and toolkit[0] > driver[0]:
        return "failure", f"update the driver, or build the image with --base for CUDA {_written(driver)} or older"
    if toolkit and toolkit > driver:
        return "warning", "works with most libraries (same major version); an older toolkit or newer driver is safer"
    if need and need[0] > driver[0]:
        return "failure", f"{need[1]} needs CUDA {need[0]}: install its build for CUDA {driver[0]}"
    return "ok", None


def toolkit_version() -> Version | None:
    """Find the CUDA toolkit: the image's variable, or what stands in /usr/local/cuda."""
    text = os.environ.get("CUDA_VERSION", "")
    if not text:
        try:
            text = json.loads(Path("/usr/local/cuda/version.json").read_text("utf-8"))["cuda"]["version"]
        except (OSError, ValueError, KeyError):
            return None
    found = re.match(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def _need() -> tuple[int, str] | None:
    """Find the greatest major CUDA version that an installed package was built for, and its name."""
    needs = []
    for distribution in importlib.metadata.distributions():
        name = (distribution.metadata["Name"] or "").lower()
        if found := _PACKAGES.fullmatch(name):
            major = found[1] or found[2] or distribution.version.partition(".")[0]
            needs.append((int(major), f"{name} {distribution.version}"))
    return max(needs, default=None)


def _smi() -> Check:
    code, said = ask(["nvidia-smi", "-L"])
    if code == 0:
        return Check("nvidia-smi", "ok", first_line(said).partition(" (UUID")[0])
    todo = "the capability `utility` brings it into a container"
    return Check("nvidia-smi", "warning", first_line(said), todo)


def _written(version: Version | None) -> str:
    return f"{version[0]}.{version[1]}" if version else "none"
