"""Renders scenes with plain Manim and records a hash of every frame: FOLDER FILE SCENE... -- OPTION...

Imports nothing of renderer. Each scene runs in a fork of its own, as `manim render` in this folder would, into
FOLDER/SCENE; FOLDER/SCENE/frames gets the hashes and FOLDER/SCENE/exit the exit code.
"""

import os
import sys
from hashlib import blake2b
from pathlib import Path
from typing import Any

from manim.__main__ import main
from manim.scene.scene_file_writer import SceneFileWriter


def render(folder: Path, file: str, scene: str, options: list[str]) -> None:
    folder.mkdir(parents=True)
    write_frame = SceneFileWriter.write_frame

    def write_hashed(self: Any, pixels: Any, *, repeat: int = 1) -> None:
        with (folder / "frames").open("a") as frames:
            frames.write(f"{blake2b(pixels, digest_size=16).hexdigest()}\n" * repeat)
        write_frame(self, pixels, repeat=repeat)

    SceneFileWriter.write_frame = write_hashed
    sys.argv = ["manim", "render", *options, "--media_dir", str(folder / "media"), "--silent", "-v", "ERROR"]
    sys.argv += ["--progress_bar", "none", file, scene]
    main()


if __name__ == "__main__":
    split = sys.argv.index("--")
    target, script, *scenes = sys.argv[1:split]
    for name in scenes:
        if not (child := os.fork()):
            try:
                render(Path(target) / name, script, name, sys.argv[split + 1 :])
                code = 0
            except SystemExit as error:
                code = int(error.code or 0)
            sys.stdout.flush()
            os._exit(code)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        (Path(target) / name / "exit").write_text(str(status))
