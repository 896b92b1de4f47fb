"""Runs scenes with plain Manim and with the engine, and looks at what they made."""

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

HERE = Path(__file__).parent
SCENES = HERE / "scenes"
SIZE, FPS = (160, 90), 10
OPTIONS = ["--resolution", f"{SIZE[0]},{SIZE[1]}", "--fps", str(FPS), "--encoder-option", "threads=1"]
OPTIONS += ["--encoder-option", "x264-params=asm=avx2"]  # see renderer.engine.adapter.encoder_presets.steady
ENVIRONMENT = {**os.environ, "PYTHONHASHSEED": "0"}


def scene_names(file: Path) -> list[str]:
    """Name the scenes of a file: classes with a construct."""
    tree = ast.parse(file.read_text())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return [node.name for node in classes if any(getattr(part, "name", "") == "construct" for part in node.body)]


def project(folder: Path, file: Path) -> Path:
    """Copy a scene file and its manim.cfg, or else that of our scenes, into a folder of their own."""
    folder.mkdir(parents=True)
    shutil.copy(file, folder)
    own = file.with_name("manim.cfg")
    shutil.copy(own if own.exists() else SCENES / "manim.cfg", folder)
    return folder


@dataclass(frozen=True)
class Plain:
    """What Manim made of a scene."""

    folder: Path

    @property
    def exit_code(self) -> int:
        return int((self.folder / "exit").read_text())

    @property
    def frames(self) -> list[str]:
        path = self.folder / "frames"
        return path.read_text().split() if path.exists() else []

    def find(self, name: str) -> Path:
        """Find an output by its name."""
        (path,) = (self.folder / "media").rglob(name)
        return path

    @property
    def outputs(self) -> set[str]:
        """Name all outputs as the engine would."""
        made = [
            path
            for path in (self.folder / "media").rglob("*")
            if path.is_file() and not {"Tex", "texts", "partial_movie_files"} & set(path.parts)
        ]
        return {f"sections/{path.name}" if "sections" in path.parts else path.name for path in made}


@dataclass(frozen=True)
class Ours:
    """What the engine made of a scene."""

    folder: Path
    said: dict[str, Any]

    @property
    def frames(self) -> list[str]:
        return "".join(path.read_text() for path in sorted((self.folder / "hashes").iterdir())).split()

    def find(self, name: str) -> Path:
        return self.folder / "out" / name

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()


def plain(work: Path, file: Path, scenes: list[str], options: list[str] = OPTIONS) -> dict[str, Plain]:
    """Render scenes with plain Manim."""
    folder = project(work / "project", file)
    command = [sys.executable, "-W", "ignore", str(HERE / "plain.py"), str(work), file.name, *scenes, "--", *options]
    subprocess.run(command, cwd=folder, env=ENVIRONMENT, check=True, capture_output=True)
    return {scene: Plain(work / scene) for scene in scenes}


def order(work: Path, file: Path, scene: str, **changes: Any) -> dict[str, Any]:
    """Describe a render for ours.py."""
    settings = {"resolution": SIZE, "fps": FPS}
    fields = {"file": file.name, "scene": scene, "folder": str(work / scene), "children": 2, "preset": "manim"}
    return {**fields, "settings": settings, **changes}


def start(work: Path, file: Path, orders: list[dict[str, Any]]) -> subprocess.Popen[str]:
    """Start ours.py on the orders."""
    folder = project(work / "project", file)
    (work / "orders.json").write_text(json.dumps(orders))
    command = [sys.executable, "-W", "ignore", str(HERE / "ours.py"), str(work / "orders.json")]
    return subprocess.Popen(
        command, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def ours(work: Path, file: Path, orders: list[dict[str, Any]]) -> list[Ours]:
    """Render with the engine."""
    return results(start(work, file, orders), orders)


def results(process: subprocess.Popen[str], orders: list[dict[str, Any]]) -> list[Ours]:
    """Wait for ours.py, and read what it made of each order."""
    output, _ = process.communicate()
    assert process.returncode == 0
    return [
        Ours(Path(item["folder"]), json.loads(line)) for item, line in zip(orders, output.splitlines(), strict=True)
    ]


def decoded(path: Path) -> list[tuple[Fraction, str]]:
    """Decode a video: the time and a hash of every frame."""
    import av

    with av.open(str(path)) as container:
        return [
            (frame.pts * frame.time_base, hashlib.md5(frame.to_ndarray().tobytes(), usedforsecurity=False).hexdigest())
            for frame in container.decode(video=0)
        ]


def times(path: Path) -> tuple[list[Fraction], Fraction]:
    """Read the times of a video's packets in decoding order, and its duration."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.dts is not None]
        return [packet.dts * packet.time_base for packet in packets], stream.duration * stream.time_base
