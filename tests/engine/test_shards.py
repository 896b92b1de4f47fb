"""Several processes that render one scene together give plain Manim's frames, whatever happens to one of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from engine.renders import SCENES, decode_frames, order_render, render_with_engine, render_with_manim, scene_names
from support.clocks import set_clock_ahead
from support.processes import until

from backends.chunk_store import ChunkStore, FolderChunks
from backends.chunk_store.server import ChunkServer
from renderer import config, spec
from renderer.system.limits import has_avx2

CHOSEN = {  # each file has what may go wrong in a way of its own; a film of all would take minutes
    "basics": ["Texts", "Repeats", "RepeatsWithUpdaters"],
    "updaters": ["Conditions", "RandomNumbers", "WritesUnnamed"],
    "cameras": ["Solid", "ZoomedAnimated"],
    "outputs": ["Sections", "Subtitles", "Sounds", "NoPlay", "LongPlay", "Shuffled"],
}
if "EVERY_SCENE" in os.environ:  # takes a few minutes
    CHOSEN = {file: scene_names(SCENES / f"{file}.py") for file in CHOSEN}
FILM = """\
import random
import time
from pathlib import Path
from manim import *

class Film(Scene):
    def construct(self):
        for _ in range(4):
            circle = Circle(random.random() + 0.5)
            self.play(Create(circle), run_time=0.5)
            self.remove(circle)

class Turns(ThreeDScene):
    def construct(self):
        self.set_camera_orientation(phi=1, theta=0.3)
        cube = Cube()
        self.play(Rotate(cube, 1, axis=[1, 2, 3]), run_time=0.4)
        self.play(Rotate(cube, 1, axis=[3, 1, 1]), run_time=0.4)

class Formula(Scene):
    def construct(self):
        self.play(Write(MathTex("x^2")), run_time=0.3)
        self.play(Write(Circle()), run_time=0.3)

class ReadsClock(Scene):
    def construct(self):
        self.play(Create(Circle()), run_time=0.3)
        self.play(Create(Square().shift(RIGHT * (time.time() % 1))), run_time=0.3)
"""

NAMES = """
from manim import Square, Unwrite, Write, smooth, squish_rate_func, there_and_back
from renderer.engine.adapter.leap import _is_of_manim, _is_simple

assert _is_of_manim(squish_rate_func(smooth))
assert not _is_of_manim(squish_rate_func(lambda t: t))
assert _is_simple(Write(Square()))
assert not _is_simple(Write(Square(), rate_func=there_and_back))  # its last frame has traces of those before
assert not _is_simple(Unwrite(Square()))

from renderer.engine.shards.report import ShardReport, find_difference

assert find_difference([ShardReport(1, "a"), ShardReport(1, "b")]).startswith("two runs of shard 1 run on machines")
"""
FORGED = """
from pathlib import Path
from renderer.engine.cache.tex_files import _restore

class Cache:
    def restore(self, key, target):
        target.write_bytes(self.data)
        return True

cache, svg = Cache(), Path("formula.svg")
for header in ("no JSON", "[]", "[" * 100_000, '{"%s/dev/zero": 0}' % ("../" * 20), '{"\\u0000": 0}'):
    cache.data = f"{header}\\n<svg/>".encode()
    assert not _restore(cache, None, svg), header
cache.data = b"{}\\n<svg/>"
assert _restore(cache, None, svg) and svg.read_bytes() == b"<svg/>"
"""


@dataclass(frozen=True)
class ShardedJob:
    """A job of several shards, each of which is run by a worker of its own."""

    folder: Path
    shards: int

    @property
    def store(self) -> Path:
        return self.folder / "units" / "shards"

    def start(self, *shards: int, output: str = "units", **variables: str) -> subprocess.Popen[bytes]:
        units = [word for shard in shards for word in ("--unit", str(shard))]
        files = ["--task", "task.json", "--bundle", "bundle", "--output", output]
        command = [sys.executable, "-I", "-m", "renderer.worker", *files, *units]
        environment = {**os.environ, "RENDERER_LOG": "debug", **variables}
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip

    def run(self, *shards: int, output: str = "units", **variables: str) -> int:
        return self.start(*shards, output=output, **variables).wait()

    def read_result(self, shard: int, output: str = "units") -> dict[str, object]:
        render: dict[str, object] = json.loads((self.folder / output / str(shard) / "result.json").read_text())
        return render

    def find_joined(self) -> tuple[Path, dict[str, object]]:
        """Return the film and what is said of its shards."""
        (film,) = (self.folder / "units").glob("*/files/*.mp4")
        result = self.read_result(int(film.parent.parent.name))
        return film, result["render"]["shards"]  # type: ignore[index]


def make_job(folder: Path, scene: str, shards: int) -> ShardedJob:
    (folder / "project").mkdir(parents=True)
    (folder / "project" / "film.py").write_text(FILM)
    settings = {"resolution": "160x90", "fps": 10, "shards": shards, "encoder_preset": "manim"}
    wanted = spec.RenderSpec(path=folder / "project" / "film.py", scenes=(scene,))
    job = spec.prepare(wanted, config.load(settings, environ={}).settings).job
    (folder / "task.json").write_text(job.payload)
    (folder / "bundle").write_bytes(job.bundle.data)
    return ShardedJob(folder, shards)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The film by one process."""
    job = make_job(tmp_path_factory.mktemp("whole"), "Film", 1)
    assert job.run(0) == 0
    return job.find_joined()[0].read_bytes()


@pytest.mark.parametrize("file", CHOSEN)
def test_the_frames_of_shards_are_those_of_manim(file: str, tmp_path: Path) -> None:
    path = SCENES / f"{file}.py"
    names = CHOSEN[file]
    want = render_with_manim(tmp_path / "manim", path, names)
    orders = [
        order_render(
            tmp_path, path, name, folder=f"{tmp_path}/{name}-{shard}", shard=[shard, 2, f"{tmp_path}/store/{name}"]
        )
        for name in names
        for shard in range(2)
    ]
    renders = render_with_engine(tmp_path, path, orders)
    for name, first, last in zip(names, renders[::2], renders[1::2], strict=True):
        assert first.report["outputs"] == [], name
        assert last.report["shards"] == {"count": 2, "shard": 1, "joined": True}, name
        hashes = {
            part.name: part.read_text() for found in (first, last) for part in (found.folder / "hashes").iterdir()
        }
        assert "".join(hashes[part] for part in sorted(hashes)).split() == want[name].frames, name
        for output in last.report["outputs"]:
            if output.endswith(".mp4"):
                assert decode_frames(last.find(output)) == decode_frames(want[name].find(Path(output).name)), output


class OneClip(FolderChunks):
    """Takes one clip, and never answers to what comes then."""

    def create(self, name: str, source: Path) -> bool:
        if self.list("clips"):
            threading.Event().wait()
        return super().create(name, source)


def serve(path: Path, store: ChunkStore) -> None:
    """Answer requests for a store until the tests end."""
    server = ChunkServer(path, store, path.parent)
    threading.Thread(target=server.serve, daemon=True).start()


def test_a_killed_shard_goes_on_with_what_it_has_stored_and_a_damaged_clip_is_drawn_again(
    tmp_path: Path, whole: bytes
) -> None:
    job = make_job(tmp_path, "Film", 2)
    job.store.mkdir(parents=True)
    serve(tmp_path / "socket", OneClip(job.store))
    worker = job.start(0, RENDERER_SHARD_STORE=str(tmp_path / "socket"))
    until(lambda: bool(list(job.store.glob("clips/[!.]*"))) or worker.poll() is not None)
    clips = list(job.store.glob("clips/[!.]*"))
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    assert not (job.store / "arrivals").exists()
    kept = {clip: clip.stat().st_ino for clip in clips}
    assert job.run(0) == 0
    assert {clip: clip.stat().st_ino for clip in clips} == kept
    assert job.read_result(0)["outputs"] == []
    clips[0].write_bytes(b"damaged")
    assert job.run(1) == 0
    film, shards = job.find_joined()
    assert film.read_bytes() == whole
    assert shards == {"count": 2, "shard": 1, "joined": True}
    # the joining shard again, as after the loss of its node, and at once with one that is back from the dead
    for name in ("again", "twice"):
        (job.folder / name).mkdir()
        (job.folder / name / "shards").symlink_to(job.store)
    attempts = [job.start(1, output=name) for name in ("again", "twice")]
    for name, attempt in zip(("again", "twice"), attempts, strict=True):
        assert attempt.wait() == 0
        assert (job.folder / name / "1" / "files" / "Film.mp4").read_bytes() == whole


def test_more_shards_than_clips_and_several_that_end_at_once_on_nodes_whose_clocks_differ(
    tmp_path: Path, whole: bytes
) -> None:
    job = make_job(tmp_path, "Film", 6)
    first, second = job.start(0, 2, 4, **set_clock_ahead(tmp_path)), job.start(1, 3, 5)
    assert (first.wait(), second.wait()) == (0, 0)
    film, shards = job.find_joined()
    assert film.read_bytes() == whole
    assert shards["count"] == 6
    assert len(list(job.store.glob("arrivals/*"))) == 6


def test_shards_that_do_not_see_each_other_are_joined_by_another_process(tmp_path: Path, whole: bytes) -> None:
    job = make_job(tmp_path, "Film", 2)
    for shard, output in enumerate(("one", "other")):  # as on a Modal volume, each sees its own files
        assert job.run(shard, output=output, RENDERER_SHARD_JOINS="0") == 0
        assert job.read_result(shard, output)["outputs"] == []
        shutil.copytree(job.folder / output, job.folder / "units", dirs_exist_ok=True)
    clips = sorted(job.store.glob("clips/*"))
    clips[0].unlink()
    clips[-1].write_bytes(b"damaged")
    assert job.run(0, RENDERER_SHARD_JOINS="1") == 0
    film, shards = job.find_joined()
    assert film.read_bytes() == whole
    assert shards == {"count": 2, "shard": 0, "joined": True}
    assert not (job.store / "arrivals").exists()


@pytest.mark.skipif(not has_avx2(), reason="the processor has no second kernel of OpenBLAS to compare with")
def test_a_shard_with_another_kernel_of_openblas_is_noticed(tmp_path: Path) -> None:
    job = make_job(tmp_path, "Turns", 2)
    first, second = job.start(0, OPENBLAS_CORETYPE="Sandybridge"), job.start(1)
    assert (first.wait(), second.wait()) == (0, 0)
    _, shards = job.find_joined()
    assert "differ at the end of play 0, in mobject " in str(shards["why_whole"])
    assert "Sandybridge" in str(shards["why_whole"])
    assert "Haswell" in str(shards["why_whole"])


def test_a_scene_that_reads_the_clock_is_rendered_by_one_shard(tmp_path: Path) -> None:
    job = make_job(tmp_path, "ReadsClock", 2)
    assert job.run(0, 1) == 0
    _, shards = job.find_joined()
    assert re.fullmatch(
        r"shards \d and \d differ at the end of play 1, in mobject \d, a Square", str(shards["why_whole"])
    )


@pytest.mark.parametrize("program", [NAMES, FORGED], ids=["functions and numbers", "forged formulas"])
def test_what_others_wrote_is_not_trusted(program: str, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)


def test_tex_runs_once_for_each_formula(tmp_path: Path) -> None:
    job = make_job(tmp_path, "Formula", 2)
    programs, runs = tmp_path / "programs", tmp_path / "runs"
    programs.mkdir()
    (programs / "latex").write_text(f'#!/bin/sh\necho >>"{runs}"\nexec "{shutil.which("latex")}" "$@"\n')
    (programs / "latex").chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    assert job.run(0, PATH=path) == 0
    assert job.run(1, PATH=path) == 0
    assert len(runs.read_text()) == 1
    film, shards = job.find_joined()
    assert shards == {"count": 2, "shard": 1, "joined": True}
    # the formula is damaged, and the shard that has claimed it does not typeset it again
    (formula,) = (path for path in (job.store / "formulas").iterdir() if path.is_file())
    formula.write_bytes(b"damaged")
    (job.folder / "again").mkdir()
    (job.folder / "again" / "shards").symlink_to(job.store)
    assert job.run(1, output="again", PATH=path) == 0
    assert len(runs.read_text()) == 2
    assert (job.folder / "again" / "1" / "files" / "Formula.mp4").read_bytes() == film.read_bytes()


@pytest.fixture
def server(tmp_path: Path) -> threading.Timer:
    """A store behind a socket, which answers only after a while."""

    def serve() -> None:
        ChunkServer(tmp_path / "socket", FolderChunks(tmp_path / "store"), tmp_path).serve()

    timer = threading.Timer(2.0, serve)
    timer.daemon = True
    return timer


def test_a_store_that_is_away_for_a_while(server: threading.Timer, tmp_path: Path, whole: bytes) -> None:
    job = make_job(tmp_path, "Film", 2)
    server.start()
    assert job.run(0, 1, RENDERER_SHARD_STORE=str(tmp_path / "socket")) == 0
    assert job.find_joined()[0].read_bytes() == whole
    assert len(list((tmp_path / "store").glob("reports/*"))) == 2
