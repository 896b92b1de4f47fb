"""Renders one Manim scene with many processes, and gives exactly Manim's frames. Used by the worker, on every backend.

How a render goes:

1. ``warm_up`` imports Manim once (patches/lean_import.py). The worker then forks a process for each scene.
2. ``render`` (render.py) configures Manim as ``manim render`` would (adapter/config.py). Images, dry runs and OpenGL
   are rendered serially, by Manim itself.
3. The process forks, and the fork goes on. The first stays behind as the fallback process (process/fallback.py): it
   waits, and renders the scene again if this attempt has to stop. What was drawn is kept where that is right; then the
   process that steps the scene also draws from some play on (parallel/own_encoder.py).
4. The scene's class is loaded, and its instance instrumented (instrument.py): its renderer and file writer hand
   everything about pixels to a RenderDelegate (adapter/renderer.py), and guards detect what a parallel render cannot
   reproduce, for example a scene that reads pixels (guards/).
5. The process steps the scene: it goes through every frame as Manim does, and draws none. Its delegate, the Scheduler
   (parallel/scheduler.py), divides each play into chunks of frames and forks a chunk renderer where a chunk begins,
   when a slot is free (process/slots.py).
6. A chunk renderer goes on with the same code, draws and encodes its frames, or finds them in the chunk cache (cache/),
   reports the digest of the scene's state, and ends. In long plays that need one encoder, a play encoder takes the
   frames of all chunk renderers from shared memory (parallel/frame_buffers.py).
7. The Monitor reads the reports (parallel/messages.py) and compares the digests with those of the stepped scene. Where
   they differ, the scene is rendered serially; with debug logging on, the log names the first mobject that differs.
8. The clips of each play are joined, and Manim's own code joins the plays, adds sound and writes subtitles.

With a Manim that the engine does not know (renderer/system/manim_versions.py), ``render_plainly`` (plain.py) is used
instead. A Stop (abort.py) ends the stepping from inside the scene's code. patches/ has quicker versions of functions of
Manim. The folders are layers, each of which imports only those after it: parallel, adapter, cache, process, guards,
patches.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from renderer.engine.adapter.preload import warm_up
    from renderer.engine.cache.store import ChunkCache, open_chunk_cache
    from renderer.engine.errors import OutOfMemoryError, SceneError
    from renderer.engine.plain import import_manim, render_plainly
    from renderer.engine.preview.scene import preview_scene
    from renderer.engine.process.slots import ProcessSlots
    from renderer.engine.render import render
    from renderer.engine.request import PlayReport, SceneReport, SceneRequest

__all__ = [
    "ChunkCache",
    "OutOfMemoryError",
    "PlayReport",
    "ProcessSlots",
    "SceneError",
    "SceneReport",
    "SceneRequest",
    "import_manim",
    "open_chunk_cache",
    "preview_scene",
    "render",
    "render_plainly",
    "warm_up",
]

_MODULES = {
    "renderer.engine.adapter.preload": {"warm_up"},
    "renderer.engine.cache.store": {"ChunkCache", "open_chunk_cache"},
    "renderer.engine.errors": {"OutOfMemoryError", "SceneError"},
    "renderer.engine.plain": {"import_manim", "render_plainly"},
    "renderer.engine.preview.scene": {"preview_scene"},
    "renderer.engine.process.slots": {"ProcessSlots"},
    "renderer.engine.render": {"render"},
    "renderer.engine.request": {"PlayReport", "SceneReport", "SceneRequest"},
}


def __getattr__(name: str) -> object:
    """Import a name when it is first used: importing the package must not import Manim."""
    for module, names in _MODULES.items():
        if name in names:
            value: object = getattr(importlib.import_module(module), name)
            globals()[name] = value  # replaces a submodule of the same name
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
