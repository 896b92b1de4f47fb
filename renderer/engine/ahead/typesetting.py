"""The processes that typeset formulas ahead. The scene finds them in the cache, as those of an earlier render.

On its way a scene asks for one formula after the other, and waits half a second for TeX each time, while other cores
have nothing to do: before the first play, nothing is drawn.
"""

from __future__ import annotations

import gc
import inspect
import os
import resource
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from backends.processes import die_with_parent
from renderer.engine.ahead.written_formulas import Formula, find_formulas, mentions_formulas
from renderer.engine.cache.tex_files import TexFiles
from renderer.engine.process.scene_process import discard_output, prepare_child
from renderer.engine.process.slots import ProcessSlots

MAX_CPU_S = 60  # of each program; TeX may run forever for a formula that the scene never asks for
_INTERVAL_S = 0.05


def typeset_ahead(scene: Callable[[], object], tex_files: TexFiles, slots: ProcessSlots, scratch: Path) -> None:
    """Start to typeset the formulas that the scene's text shows, with as many processes as slots are free.

    The processes end with this one. Nothing is started for a single slot, or if the file has started threads: a fork
    would lack them. What cannot be typeset is left to the scene, which then says why.
    """
    if slots.n == 1 or threading.active_count() > 1 or not inspect.isclass(scene) or not mentions_formulas(scene):
        return
    with suppress(OSError):  # no more processes are allowed
        _fork(lambda: _find_and_typeset(scene, tex_files, slots, scratch))


def _find_and_typeset(scene: type, tex_files: TexFiles, slots: ProcessSlots, scratch: Path) -> None:
    formulas = find_formulas(scene, scratch)
    if not formulas[1:]:
        return  # the scene asks for a single one at once
    children: list[int] = []
    with suppress(OSError):
        children.extend(_fork(lambda: _typeset(formulas, tex_files, slots, scratch)) for _ in formulas[1 : slots.n])
    _typeset(formulas, tex_files, slots, scratch)
    for child in children:
        os.waitpid(child, 0)


def _typeset(formulas: Sequence[Formula], tex_files: TexFiles, slots: ProcessSlots, scratch: Path) -> None:
    """Typeset those that no other process typesets, in a folder of this process's own."""
    from manim import config

    config["tex_dir"] = tempfile.mkdtemp(prefix="ahead-", dir=scratch)
    for formula in formulas:
        while (slot := slots.take(slots.n)) is None:
            time.sleep(_INTERVAL_S)
        with suppress(Exception):
            tex_files.typeset(formula.expression, formula.environment, formula.template, ahead=True)
        os.close(slot.descriptor)


def _fork(work: Callable[[], None]) -> int:
    """Do the work in a new process, and return that. It prints nothing, and dies with this process."""
    parent = os.getpid()
    if pid := os.fork():
        return pid
    try:
        gc.freeze()
        prepare_child(parent)
        discard_output()
        resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
        this = os.getpid()
        # Manim starts TeX with it.
        subprocess.run = partial(subprocess.run, preexec_fn=lambda: die_with_parent(this))  # type: ignore[assignment]
        work()
    finally:
        os._exit(0)
