"""Asks a file for its scenes: runs it in a process of its own, on a copy of the project."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from backends.errors import OutputError
from backends.models import Bundle
from backends.processes import end_trees, isolated_command
from backends.untrusted import open_beneath, read_bounded
from renderer.bundle.unpack import unpack
from renderer.scenes import Scene

ASK_TIMEOUT_S = 60.0
MAX_ANSWER = 4 * 2**20  # bytes
PROGRAM = "renderer.engine.adapter.scene_list"


class NotAskedError(Exception):
    """The file could not be asked. The text is why, as a part of a sentence; ``remedy`` is how to ask it after all."""

    def __init__(self, reason: str, remedy: str | None = None) -> None:
        super().__init__(reason)
        self.remedy = remedy


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked: the ``file`` of a ``bundle``, with the job's variables.

    ``links`` are names and targets of links beside its files. ``python_path`` are folders of PYTHONPATH, relative to
    the bundle's root.
    """

    bundle: Bundle
    links: Iterable[tuple[str, str]]
    file: PurePosixPath
    python_path: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The scenes that Manim lists for the file, and the ones that it only imports, each with its file."""

    scenes: list[Scene]
    imported: Mapping[str, str]


def ask_scenes(question: Question) -> Answer:
    """Return the scenes of the file, in the order in which it makes them.

    Raises NotAskedError if it cannot be asked, does not end, or fails.
    """
    if sys.platform == "win32":
        raise NotAskedError("no file is run on Windows")
    if importlib.util.find_spec("manim") is None:
        raise NotAskedError("Manim is not installed here")
    with tempfile.TemporaryDirectory(prefix="renderer-", ignore_cleanup_errors=True) as folder:
        project, answer = Path(folder).resolve() / "project", Path(folder).resolve() / "answer.json"
        unpack(question.bundle.data, question.bundle.digest, project, question.links)
        _run(question, project, answer)
        return _read_answer(answer)


def _run(question: Question, project: Path, answer: Path) -> None:
    folders = [str(project / folder) for folder in question.python_path]
    command = isolated_command(PROGRAM, str(answer), str(question.file), *folders)
    process = subprocess.Popen(
        command,
        cwd=project,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **question.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(ASK_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise NotAskedError(f"it did not end within {ASK_TIMEOUT_S:.0f} s") from error
    finally:
        end_trees([process.pid])
        process.wait()
        with suppress(OSError):  # what it has left behind
            os.killpg(process.pid, signal.SIGKILL)


def _read_answer(answer: Path) -> Answer:
    """Return what the program wrote; the file that it ran may have written anything instead."""
    try:
        with open_beneath(answer.parent, answer.name) as file:
            content: object = json.loads(read_bounded(file, MAX_ANSWER))
    except (OSError, ValueError, RecursionError, OutputError) as error:
        raise NotAskedError("it ended its own process") from error
    match content:
        case {"error": str(text)}:
            raise NotAskedError(text)
        case {"scenes": list(scenes), "imported": dict(imported)}:
            found = [_read_scene(item) for item in scenes]
            return Answer(scenes=found, imported={str(name): str(file) for name, file in imported.items()})
    raise NotAskedError("it wrote another answer")


def _read_scene(item: object) -> Scene:
    match item:
        case {"name": str(name), "doc": (str() | None) as doc}:
            return Scene(name=name, line=None, doc=doc)
    raise NotAskedError("it wrote another answer")
