"""Renders scenes with plain Manim and with the engine, in processes of their own, and reads what they made."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

PROGRAMS = Path(__file__).parent / "programs"
SCENES = Path(__file__).parent / "scenes"
SIZE, FPS = (160, 90), 10
OPTIONS = ["--resolution", f"{SIZE[0]},{SIZE[1]}", "--fps", str(FPS), "--encoder-option", "threads=1"]
OPTIONS += [
    "--encoder-option",
    "x264-params=asm=avx2",
]  # see encoder_presets.make_deterministic
ENVIRONMENT = {**os.environ, "PYTHONHASHSEED": "0"}


def scene_names(file: Path) -> list[str]:
    """Return the names of a file's scenes: the classes that have a ``construct``."""
    tree = ast.parse(file.read_text())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return [node.name for node in classes if any(getattr(part, "name", "") == "construct" for part in node.body)]


def copy_project(folder: Path, file: Path) -> Path:
    """Copy a scene file and its manim.cfg, or that of the tests' scenes, to a new folder; return the folder."""
    folder.mkdir(parents=True)
    shutil.copy(file, folder)
    own = file.with_name("manim.cfg")
    shutil.copy(own if own.exists() else SCENES / "manim.cfg", folder)
    return folder


@dataclass(frozen=True)
class ManimRender:
    """What plain Manim made of a scene."""

    folder: Path

    @property
    def exit_code(self) -> int:
        return int((self.folder / "exit").read_text())

    @property
    def frames(self) -> list[str]:
        path = self.folder / "frames"
        return path.read_text().split() if path.exists() else []

    def find(self, name: str) -> Path:
        """Return the path of an output."""
        (path,) = (self.folder / "media").rglob(name)
        return path

    @property
    def outputs(self) -> set[str]:
        """The names of all outputs, as the engine reports them."""
        made = [
            path
            for path in (self.folder / "media").rglob("*")
            if path.is_file() and not {"Tex", "texts", "partial_movie_files"} & set(path.parts)
        ]
        return {f"sections/{path.name}" if "sections" in path.parts else path.name for path in made}


@dataclass(frozen=True)
class EngineRender:
    """What the engine made of a scene; ``report`` is what render_with_engine.py printed of it."""

    folder: Path
    report: dict[str, Any]

    @property
    def frames(self) -> list[str]:
        return "".join(path.read_text() for path in sorted((self.folder / "hashes").iterdir())).split()

    def find(self, name: str) -> Path:
        """Return the path of an output."""
        return self.folder / "out" / name

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()


def render_with_manim(
    work: Path, file: Path, scenes: list[str], options: list[str] = OPTIONS
) -> dict[str, ManimRender]:
    """Render the scenes of a file with plain Manim; return what it made, by scene."""
    folder = copy_project(work / "project", file)
    command = [
        sys.executable,
        "-W",
        "ignore",
        str(PROGRAMS / "render_with_manim.py"),
        str(work),
        file.name,
        *scenes,
        "--",
        *options,
    ]
    subprocess.run(command, cwd=folder, env=ENVIRONMENT, check=True, capture_output=True)
    return {scene: ManimRender(work / scene) for scene in scenes}


def order_render(work: Path, file: Path, scene: str, **changes: Any) -> dict[str, Any]:
    """Return an order for render_with_engine.py: the fields of a SceneRequest, and ``slots``, ``environ``, ``log``."""
    settings = {"resolution": SIZE, "fps": FPS}
    fields = {"file": file.name, "scene": scene, "folder": str(work / scene), "slots": 2, "preset": "manim"}
    return {**fields, "settings": settings, **changes}


def start(work: Path, file: Path, orders: list[dict[str, Any]]) -> subprocess.Popen[str]:
    """Start the engine on the orders, in a process group of its own."""
    folder = copy_project(work / "project", file)
    (work / "orders.json").write_text(json.dumps(orders))
    command = [sys.executable, "-W", "ignore", str(PROGRAMS / "render_with_engine.py"), str(work / "orders.json")]
    return subprocess.Popen(
        command, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def render_with_engine(work: Path, file: Path, orders: list[dict[str, Any]]) -> list[EngineRender]:
    """Render the orders with the engine; return what it made, in their order."""
    return wait_for_renders(start(work, file, orders), orders)


def wait_for_renders(process: subprocess.Popen[str], orders: list[dict[str, Any]]) -> list[EngineRender]:
    """Wait for a process that ``start`` has started; return what the engine made of each order."""
    output, _ = process.communicate()
    assert process.returncode == 0
    return [
        EngineRender(Path(item["folder"]), json.loads(line))
        for item, line in zip(orders, output.splitlines(), strict=True)
    ]


def decode_frames(path: Path) -> list[tuple[Fraction, str]]:
    """Decode a video; return the time in seconds and a hash of every frame."""
    import av

    with av.open(str(path)) as container:
        return [
            (frame.pts * frame.time_base, hashlib.md5(frame.to_ndarray().tobytes(), usedforsecurity=False).hexdigest())
            for frame in container.decode(video=0)
        ]


def read_times(path: Path) -> tuple[list[Fraction], Fraction]:
    """Return the times of a video's packets in decoding order, and its duration, in seconds."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.dts is not None]
        return [packet.dts * packet.time_base for packet in packets], stream.duration * stream.time_base
