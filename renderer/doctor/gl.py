"""OpenGL without a screen, for Manim's OpenGL renderer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from backends.diagnostics import Check
from renderer.system import isolated
from renderer.system.run import ask, first_line

_SOFTWARE = ("llvmpipe", "softpipe", "SWR")


def lines() -> Iterator[Check]:
    """Give the line."""
    code, said = ask(isolated.command("renderer.doctor.egl"))
    if code != 0:
        why = first_line(said) if code and code > 0 else f"the OpenGL library broke down (exit code {code})"
        todo = "only --renderer opengl needs it: apt install libegl1 libgl1-mesa-dri; on a GPU the capability graphics"
        yield Check("EGL", "warning", why, todo)
        return
    vendor, renderer, version = (said.splitlines() + ["unknown"] * 3)[:3]
    found = f"GL_RENDERER {renderer}, {vendor}, {version}"
    if not any(name in renderer for name in _SOFTWARE):
        yield Check("EGL", "ok", found)
    elif Path("/proc/driver/nvidia/version").exists():
        todo = "NVIDIA_DRIVER_CAPABILITIES must contain graphics, and /usr/share/glvnd/egl_vendor.d a file for NVIDIA"
        yield Check("EGL", "warning", f"{found}: OpenGL is drawn by the CPU although there is a GPU", todo)
    else:
        yield Check("EGL", "ok", f"{found}: OpenGL is drawn by the CPU")
