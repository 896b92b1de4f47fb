"""Looks at this machine or container: what renders, what encodes, what is missing, and what to do about it.

Needs nothing but Python: ``python3 -m renderer.doctor`` works in a plain checkout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from backends.diagnostics import Check
from renderer.doctor import container, gl, machine, nvidia, programs, video

CHECKS: tuple[Callable[[], Iterator[Check]], ...] = (
    machine.lines,
    programs.lines,
    nvidia.lines,
    container.lines,
    gl.lines,
    video.lines,
)


def examine() -> Iterator[Check]:
    """Run every check, slow ones last; each line is given as soon as it is known."""
    for check in CHECKS:
        yield from check()
