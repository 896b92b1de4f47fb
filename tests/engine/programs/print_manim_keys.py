"""Prints Manim's cache key of each play: print_manim_keys.py FILE SCENE... [--quick].

With ``--quick`` the engine's quicker functions compute the keys.
"""

import sys
from pathlib import Path

from manim import config, tempconfig
from manim.utils.module_ops import get_module

if __name__ == "__main__":
    if "--quick" in sys.argv:
        from renderer.engine.patches import installer

        for owner, place, quick in installer.PATCHES:
            if quick.__module__ == "renderer.engine.patches.hashing":  # the source of the others is part of keys
                setattr(owner, place, quick)
    config.verbosity, config.progress_bar = "ERROR", "none"
    module = get_module(Path(sys.argv[1]))
    for name in filter(lambda argument: argument != "--quick", sys.argv[2:]):
        with tempconfig({"dry_run": True, "frame_rate": 1, "pixel_width": 160, "pixel_height": 90}):
            scene = getattr(module, name)()
            scene.render()
            print(name, *scene.renderer.animations_hashes)  # noqa: T201
