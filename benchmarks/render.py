"""Renders scenes with the engine as a worker does: FILE SCENE[,SCENE…] QUALITY PRESET FOLDER [CACHE]."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from renderer import engine
from renderer.model import EncoderSettings, RenderSettings


def render(file: Path, scene: str, folder: Path, slots: engine.ProcessSlots) -> None:
    quality, preset = sys.argv[3:5]
    request = engine.SceneRequest(
        file=file,
        scene=scene,
        output=folder / "out",
        scratch=folder / "scratch" / scene,
        settings=RenderSettings(quality=quality),
        encoder=EncoderSettings(preset=preset),
        cache=engine.open_chunk_cache(Path(sys.argv[6]), 1024, Path(f"{sys.argv[6]}.key")) if sys.argv[6:] else None,
    )
    report = engine.render(request, slots=slots)
    print(report, file=sys.stderr if os.environ.get("SHOW") else sys.stdout)


def main() -> None:
    file, names, folder = Path(sys.argv[1]), sys.argv[2].split(","), Path(sys.argv[5])
    engine.warm_up()
    slots = engine.ProcessSlots()
    if len(names) == 1:
        render(file, names[0], folder, slots)
        shutil.rmtree(folder / "scratch")
        return
    running = 0
    for name in names:
        if running == slots.n + 1:
            os.wait()
            running -= 1
        if not os.fork():
            render(file, name, folder, slots)
            os._exit(0)
        running += 1
    while running:
        os.wait()
        running -= 1


if __name__ == "__main__":
    main()
