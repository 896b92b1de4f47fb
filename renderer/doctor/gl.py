"""Checks OpenGL without a screen, which Manim's OpenGL renderer needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from backends.diagnostics import Check
from backends.processes import isolated_command
from renderer.system.run import first_line, run_program

_SOFTWARE_RENDERERS = ("llvmpipe", "softpipe", "SWR")


def check_opengl() -> Iterator[Check]:
    """Yield one check: whether OpenGL draws, and whether the GPU or the CPU does it."""
    code, output = run_program(isolated_command("renderer.doctor.egl"))
    if code != 0:
        why = first_line(output) if code and code > 0 else f"the OpenGL library crashed (exit code {code})"
        hint = "only needed for --renderer opengl: apt install libegl1 libgl1-mesa-dri; a GPU needs capability graphics"
        yield Check("EGL", "warning", why, hint)
        return
    vendor, renderer, version = (output.splitlines() + ["unknown"] * 3)[:3]
    found = f"GL_RENDERER {renderer}, {vendor}, {version}"
    if not any(name in renderer for name in _SOFTWARE_RENDERERS):
        yield Check("EGL", "ok", found)
    elif Path("/proc/driver/nvidia/version").exists():
        hint = "NVIDIA_DRIVER_CAPABILITIES must contain graphics, and /usr/share/glvnd/egl_vendor.d a file for NVIDIA"
        yield Check("EGL", "warning", f"{found}: the CPU draws OpenGL although there is a GPU", hint)
    else:
        yield Check("EGL", "ok", f"{found}: the CPU draws OpenGL")
