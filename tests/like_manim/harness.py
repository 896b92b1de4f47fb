"""Renders a project by plain Manim and by renderer, from equal folders, and compares what both leave."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import av
from support.commands import BIN, environment

TIMEOUT_S = 300.0
SMALL = ("160", "90", "10")  # width, height, frames per second
VIDEOS = {".mp4", ".mov", ".webm", ".gif"}
CACHES = {"partial_movie_files", "Tex", "texts", "__pycache__"}  # folders that neither gives back
SECTION_KEYS = ("name", "type", "video", "nb_frames", "width", "height", "duration")


@dataclass(frozen=True)
class Run:
    """How a render went.

    ``files`` are what it made: a video, a picture and what belongs to them by their names alone, as in
    ``renderer submit --output``; other files by their paths relative to the folder where the command was typed.
    ``said`` are the lines beginning with "said" that the user's code printed, ``log`` is all that was printed.
    """

    exit_code: int
    seconds: float
    files: dict[str, Path]
    said: list[str]
    log: str
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Project:
    """A folder with files. Plain Manim renders a copy of it in a place of its own.

    ``bin`` has the programs manim and renderer. Where not ``exact``, the frames of videos only have to be nearly equal:
    the encoder of that Manim may give other bytes each time.
    """

    folder: Path
    env: dict[str, str]
    bin: Path = BIN
    exact: bool = True
    _numbers: Iterable[int] = field(default_factory=itertools.count)

    @classmethod
    def copy(cls, original: Path, work: Path) -> Project:
        """Copy a folder into ``work``, where everything that is made lies, too."""
        return cls._prepare(work, lambda folder: shutil.copytree(original, folder), original.name)

    @classmethod
    def make(cls, files: dict[str, str | bytes], work: Path, *, name: str = "project") -> Project:
        """Make a folder of files, given by path and content, in ``work``."""

        def write(folder: Path) -> None:
            for path, content in files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content.encode() if isinstance(content, str) else content)

        return cls._prepare(work, write, name)

    @classmethod
    def _prepare(cls, work: Path, write: Callable[[Path], object], name: str) -> Project:
        write(work / name)
        (work / "home").mkdir()
        return cls(work / name, environment(work / "home", RENDERER_LOCAL_STATE_DIR=str(work / "state")))

    def compare(
        self, file: str, scene: str | None, *options: str, plain: tuple[str, ...] | None = None, **more: Any
    ) -> tuple[Run, Run]:
        """Render by both, assert that they leave the same, and return both runs.

        ``options`` are for both, unless ``plain`` are those of plain Manim; ``more`` as in ``run_plain``.
        """
        want = self.run_plain(file, scene, *(options if plain is None else plain), **more)
        found = self.submit(file, scene, *options, **more)
        assert_alike(found, want, exact=self.exact)
        return want, found

    def run_plain(self, file: str, scene: str | None, *options: str, cwd: str = ".", small: bool = True) -> Run:
        """Run `manim render FILE SCENE`, or `python FILE` without a scene, in the folder ``cwd`` of the project.

        ``small`` renders 160 by 90 pixels at 10 frames per second, which otherwise options or manim.cfg say.
        """
        work = self._new_folder("plain")
        folder = work / self.folder.name
        shutil.copytree(self.folder, folder, symlinks=True)
        made = work / "made"  # a script finds it in a variable, as in a job
        made.mkdir()
        before = _list_files(folder)
        command = [sys.executable, file, *options]
        if scene is not None:
            size = ["-r", "{},{}".format(*SMALL), "--fps", SMALL[2]] if small else []
            same = _deterministic(options) if self.exact else []
            command = [str(self.bin / "manim"), "render", *same, *size, *options, file, scene]
        code, seconds, log = self._run(command, folder / cwd, RENDERER_OUTPUT_DIR=str(made))
        after = _list_files(folder)
        changed = [path for path, state in after.items() if before.get(path) != state]
        files = {os.path.relpath(path, folder / cwd): path for path in changed}
        files |= {str(path.relative_to(made)): path for path in _list_files(made)}
        kept = {_name_output(name): path for name, path in files.items() if _is_output(name)}
        return Run(code, seconds, kept, _select_said(log), log)

    def submit(
        self, file: str, scene: str | None, *options: str, cwd: str = ".", small: bool = True, **variables: str
    ) -> Run:
        """Run `renderer submit FILE SCENE` in the folder ``cwd`` of the project, with Manim's encoder settings."""
        made = self._new_folder("made")
        size = ["--resolution", "{}x{}".format(*SMALL), "--fps", SMALL[2]] if small and scene else []
        preset = ["--encoder-preset", "manim"] if scene else []
        names = [scene] if scene else []
        command = [str(self.bin / "renderer"), "submit", file, *names, *size, *preset, "--json", *options]
        code, seconds, log = self._run(
            [*command, "--timeout", f"{TIMEOUT_S:g}s", "--output", str(made)], self.folder / cwd, **variables
        )
        state = Path({**self.env, **variables}["RENDERER_LOCAL_STATE_DIR"])
        results = sorted(state.rglob("result.json"), key=os.path.getmtime)  # the last one is of this job
        result = json.loads(results[-1].read_text()) if results else {}
        log += results[-1].with_name("log.txt").read_text() if results else ""
        files = {str(path.relative_to(made)): path for path in _list_files(made)}
        kept = {name: path for name, path in files.items() if not PurePosixPath(name).parts[0].startswith(".")}
        return Run(code, seconds, kept, _select_said(log), log, result)

    def _new_folder(self, name: str) -> Path:
        folder = self.folder.parent / f"{name}-{next(iter(self._numbers))}"
        folder.mkdir()
        return folder

    def _run(self, command: list[str], cwd: Path, **more: str) -> tuple[int, float, str]:
        started = time.monotonic()
        log = self._new_folder("log") / "log"
        with log.open("wb") as file:  # not a pipe, which a process that is left behind would hold open
            done = subprocess.run(
                command, cwd=cwd, env={**self.env, **more}, stdin=subprocess.DEVNULL, stdout=file,
                stderr=subprocess.STDOUT, check=False, timeout=2 * TIMEOUT_S,
            )  # fmt: skip
        return done.returncode, time.monotonic() - started, log.read_text("utf-8", "replace")


def assert_alike(found: Run, want: Run, *, exact: bool = True) -> None:
    """Assert that a job ended, printed and left what plain Manim did."""
    assert bool(found.exit_code) == bool(want.exit_code), f"{want.log}\n{found.log}\n{found.result}"
    assert found.said == want.said
    if want.exit_code:
        return  # outputs of a failed job stay where it ran
    assert sorted(found.files) == sorted(want.files)
    for name, path in want.files.items():
        if exact or path.suffix not in VIDEOS:
            mine, theirs = read_output(found.files[name]), read_output(path)
            assert mine == theirs, f"{name} differs"
        else:
            assert_nearly_equal(found.files[name], path)


def assert_nearly_equal(path: Path, other: Path) -> None:
    """Assert that two videos have frames at the same times, with colours that differ by less than one on average."""
    with av.open(str(path)) as mine, av.open(str(other)) as theirs:
        for one, two in zip(mine.decode(video=0), theirs.decode(video=0), strict=True):
            assert one.time == two.time
            difference = one.to_ndarray(format="rgb24").astype(int) - two.to_ndarray(format="rgb24")
            assert abs(difference).mean() < 1, f"{path.name} differs at {one.time}"


def read_output(path: Path) -> object:
    """Return what has to be equal of an output: a video's frames and sound, else its bytes."""
    if path.suffix in VIDEOS:
        return _read_video(path)
    if path.suffix == ".json" and "sections" in path.parts:
        return [{key: item.get(key) for key in SECTION_KEYS} for item in json.loads(path.read_text())]
    return path.read_bytes()


def _read_video(path: Path) -> list[tuple[str, list[tuple[float, str]]]]:
    """Return each stream's kind, and the time and a hash of each of its frames, in decoding order."""
    found = []
    with av.open(str(path)) as container:
        for index in range(len(container.streams)):
            container.seek(0)
            stream = container.streams[index]
            if stream.type in {"video", "audio"}:
                hashes = [
                    (float(frame.time), hashlib.md5(frame.to_ndarray().tobytes(), usedforsecurity=False).hexdigest())
                    for frame in container.decode(stream)
                ]
                found.append((stream.type, hashes))
    return found


def _deterministic(options: tuple[str, ...]) -> list[str]:
    """Return the options with which plain Manim's encoder gives the same bytes each time, as that of a job."""
    chosen = ["--encoder-option", "threads=1"]
    x264 = not {"webm", "--format=webm", "--transparent", "-t"} & set(options)
    return [*chosen, "--encoder-option", "x264-params=asm=avx2"] if x264 else chosen


def _list_files(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Return all files below a folder, with what changes when they are written."""
    states = {path: path.stat() for path in sorted(folder.rglob("*")) if path.is_file()}
    return {path: (state.st_ino, state.st_size, state.st_mtime_ns) for path, state in states.items()}


def _is_output(name: str) -> bool:
    """Return whether a file that plain Manim left is more than a cache. It leaves the sound of a video, too."""
    path = PurePosixPath(name)
    is_sound = path.parts[:2] == ("media", "videos") and path.suffix == ".wav"
    return not CACHES & set(path.parts) and not is_sound


def _name_output(name: str) -> str:
    """Return the name under which a job gives back the file that plain Manim leaves under this one."""
    parts = PurePosixPath(name).parts
    folders = {"media/videos": 4, "media/images": 3}.get("/".join(parts[:2]))
    return "/".join(parts[folders:]) if folders and len(parts) > folders else name


def _select_said(log: str) -> list[str]:
    return sorted(line for line in log.splitlines() if line.startswith("said"))
