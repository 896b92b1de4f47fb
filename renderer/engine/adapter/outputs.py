"""Moves what Manim made to the requested folder, under Manim's own names."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

from renderer.engine.manim_types import OutputPlan
from renderer.system.run import run_program


def move_outputs(plan: OutputPlan, scratch: Path, folder: Path) -> tuple[Path, ...]:
    """Move the video or image, subtitles and sections of one scene to ``folder``; return their relative paths.

    A scene may render other scenes. Their videos and images are moved as well, if they are in ``scratch``.
    """
    made = [path for path in (plan.primary_artifact, plan.fallback_image, plan.subcaption_file) if path]
    if plan.sections_dir:
        made.append(plan.sections_dir)
    moved = [_move(Path(path), folder) for path in made if Path(path).exists()]
    moved += [_move(path, (folder / path.relative_to(root)).parent) for root, path in _find_others(scratch)]
    return tuple(sorted({path for found in moved for path in _list_files(found, folder)}))


def count_output_frames(plan: OutputPlan, folder: Path) -> int:
    """Return how many frames the video in ``folder`` has, or how many images were made instead."""
    made = [folder / path.name for path in (plan.primary_artifact, plan.fallback_image) if path]
    path = next((path for path in made if path.exists()), None)
    if path is None:
        return 0
    if path.is_dir():
        return sum(1 for _ in path.glob("*.png"))
    return 1 if path.suffix == ".png" else _count_video_frames(path)


def measure_film(frames: int) -> dict[str, float]:
    """Return the length of a film for ``SceneReport.seconds``; nothing if Manim was told to leave plays out."""
    from manim import config

    if config.from_animation_number or not math.isinf(config.upto_animation_number):
        return {}
    return {"film": round(frames / config.frame_rate, 3)}


def _count_video_frames(path: Path) -> int:
    try:
        from renderer.video.opening import open_undecoded
    except ModuleNotFoundError:  # Manim 0.18 needs the ffmpeg programs instead
        command = ["ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets"]
        code, output = run_program([*command, "-select_streams", "v", "-of", "csv=p=0", str(path)])
        return int(output.split(",")[0]) if code == 0 else 0
    with open_undecoded(path) as container:
        stream = container.streams.video[0]
        return stream.frames or sum(bool(packet.size) for packet in container.demux(stream))


def clear_folder(folder: Path) -> None:
    """Remove all that is in the folder, if there is one."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _find_others(scratch: Path) -> list[tuple[Path, Path]]:
    """Return the other files in Manim's folders of videos and images, each as the folder and the path of the file."""
    from manim import config

    chosen = [Path(config.get_dir(key)) for key in ("video_dir", "images_dir")]  # the scene's file may change them
    roots = [root for root in chosen if root.resolve().is_relative_to(scratch.resolve())]
    found = [(root, path) for root in roots for path in root.rglob("*") if path.is_file()]
    return [(root, path) for root, path in found if path.suffix != ".wav"]  # the video contains the sound


def _move(path: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.name
    if target.is_dir():
        shutil.rmtree(target)
    shutil.move(path, target)
    return target


def _list_files(path: Path, folder: Path) -> list[Path]:
    found = [path] if path.is_file() else [child for child in path.rglob("*") if child.is_file()]
    return [child.relative_to(folder) for child in found]
