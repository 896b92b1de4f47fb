"""Checks of this machine or container: what can render, what can encode, what is missing and how to install it.

They need only Python, no packages: ``python3 -m renderer.doctor`` works in a plain checkout.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator

from backends.diagnostics import Check
from renderer.doctor.container import check_container
from renderer.doctor.gl import check_opengl
from renderer.doctor.machine import check_machine
from renderer.doctor.nvidia import check_nvidia
from renderer.doctor.programs import check_programs
from renderer.doctor.video import check_encoders

CHECKS: tuple[Callable[[], Iterator[Check]], ...] = (
    check_machine,
    check_programs,
    check_nvidia,
    check_container,
    check_opengl,
    check_encoders,
)


def run_checks() -> Iterator[Check]:
    """Yield the result of each check as soon as it is known; the slow ones come last."""
    if sys.platform != "linux":
        found = f"{platform.system()} cannot run jobs: they need Linux"
        yield Check("system", "warning", found, "submit them from here with --backend k8s or --backend modal")
        return
    for check in CHECKS:
        yield from check()
