"""OpenGL without a screen, for Manim's OpenGL renderer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from renderer import isolated
from renderer.doctor.ask import ask, first_line
from renderer.doctor.line import Line

_SOFTWARE = ("llvmpipe", "softpipe", "SWR")


def lines() -> Iterator[Line]:
    """Give the line."""
    code, said = ask(isolated.command("renderer.doctor.egl"))
    if code != 0:
        why = first_line(said) if code and code > 0 else f"the OpenGL library broke down (exit code {code})"
        todo = "only --renderer opengl needs it: apt install libegl1 libgl1-mesa-dri; on a GPU the capability graphics"
        yield Line("EGL", "warning", why, todo)
        return
    vendor, renderer, version = (said.splitlines() + ["unknown"] * 3)[:3]
    found = f"GL_RENDERER {renderer}, {vendor}, {version}"
    if not any(name in renderer for name in _SOFTWARE):
        yield Line("EGL", "ok", found)
    elif Path("/proc/driver/nvidia/version").exists():
        todo = "NVIDIA_DRIVER_CAPABILITIES must contain graphics, and /usr/share/glvnd/egl_vendor.d a file for NVIDIA"
        yield Line("EGL", "warning", f"{found}: OpenGL is drawn by the CPU although there is a GPU", todo)
    else:
        yield Line("EGL", "ok", f"{found}: OpenGL is drawn by the CPU")
