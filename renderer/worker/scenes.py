"""Runs Manim scenes, each as one unit of a job."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from backends.cache.client import VARIABLE as CACHE_SOCKET
from backends.cache.client import CacheClient
from backends.chunk_store import SHARDS, CommittedChunks, FolderChunks
from backends.chunk_store.server import SocketChunks
from backends.errors import BackendError, OutputError, RendererError
from backends.exit_codes import ExitCode
from backends.untrusted import open_beneath, parse_result, read_bounded
from backends.worker_protocol import CHANGED, FILES, OUTPUT_DIR, UnitResult
from renderer.engine.cache.shared import SharedCache
from renderer.engine.cache.store import ChunkCache, make_own_cache, open_chunk_cache
from renderer.engine.process.exit import end_process, prepare_exit
from renderer.engine.request import SceneReport, SceneRequest, ShardPlace
from renderer.system.limits import count_usable_cores
from renderer.system.manim_versions import InstalledManim, find_installed_manim
from renderer.video.errors import EncoderError
from renderer.video.poster import FILMS, write_poster
from renderer.video.selection import Decision, choose_encoder
from renderer.voices import find_voices
from renderer.worker import diagnosis
from renderer.worker.processes import become_child, refuse_debugger
from renderer.worker.unpacked_job import (
    CACHE_FOLDER,
    CACHE_KEY,
    CACHE_MIB,
    SHARD_JOINS,
    SHARD_STORE,
    Runner,
    UnitReport,
    UnpackedJob,
)
from renderer.worker.working_folder import WorkingFolder

STATUS_INTERVAL_S = 0.5
FRONT_MIB = 512  # of a job's own cache in front of a shared one, where this machine keeps none


class SceneRunner(Runner):
    """Forks each scene's process from this one, so that Manim is imported once."""

    def __init__(self, job: UnpackedJob) -> None:
        super().__init__(job)
        from renderer import engine

        self.why_plain = import_manim()
        self.encoder, self.encoder_error = self._choose_encoder()
        self.slots = engine.ProcessSlots(self.encoder.sessions)
        own, self.cache_refusal = _open_cache()
        self.shared = _open_shared_cache(own, job.scratch)
        self.cache = self.shared or own
        self.side_by_side = self.slots.n + 1  # one more scene steps while the others' chunk renderers have the slots

    def _choose_encoder(self) -> tuple[Decision, RendererError | None]:
        """Choose the encoder once for all units. If none can be used, return the error with which each unit fails."""
        if self.why_plain:
            name = self.job.payload.encoder.encoder
            message, hint = f"the encoder {name!r} cannot be used: {self.why_plain}", "leave --encoder out"
            return Decision(video=False), None if name in {"auto", "x264"} else EncoderError(message, hint=hint)
        try:
            return choose_encoder(self.job.payload.encoder, self.job.payload.settings, count_usable_cores()), None
        except RendererError as error:
            return Decision(), error

    def start(self, unit: int, output: int) -> int:
        """Fork the scene's process, which writes to the folder of its outputs."""
        (self.job.folder(unit) / FILES).mkdir()
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        process = os.fork()
        if process:
            return process
        become_child(parent, output)
        prepare_exit()
        refuse_debugger()
        return self._run_in_child(unit)

    def read_report(self, unit: int, exit_code: int) -> UnitReport | None:  # noqa: ARG002  # the report knows more
        """Return what the scene's process wrote before it ended; None for something else than it writes."""
        with suppress(OSError, OutputError), open_beneath(self.job.scratch, self._report_path(unit).name) as file:
            data = read_bounded(file, self.job.limits.result)
            said = parse_result(data, unit=self.job.name(unit))
            return UnitReport(error=said.error, render=said.render, encoder=said.encoder, seconds=said.seconds)
        return None

    def finish(self) -> None:
        """Wait until what the scenes have drawn is in the shared cache, for a limited time."""
        if self.shared and (problem := self.shared.store.finish()):
            print(f"the shared cache may lack what this job drew: {problem}", flush=True)

    def _report_path(self, unit: int) -> Path:
        return self.job.scratch / f"report-{unit}.json"

    def _run_in_child(self, unit: int) -> NoReturn:
        exit_code: int = ExitCode.INTERNAL
        try:
            report = self._render(unit)
            exit_code = report.exit_code
            content = UnitResult(
                unit=self.job.name(unit),
                exit_code=exit_code,
                error=report.error,
                render=report.render,
                encoder=report.encoder,
                seconds=report.seconds,
            )
            self._report_path(unit).write_bytes(content.to_line())
        finally:
            end_process(exit_code)

    def _render(self, unit: int) -> UnitReport:
        source = self.job.source(unit)
        os.chdir(source)
        self._extend_python_path(unit)
        os.environ[OUTPUT_DIR] = str(source)
        os.environ.update(self.job.write_input(unit))
        scratch = self.job.scratch / f"unit-{unit}"
        scratch.mkdir()
        request = self._make_request(unit, scratch)
        try:
            report = self._render_scene(request)
        except BaseException as error:  # noqa: BLE001  # a scene may raise anything
            return UnitReport(error=diagnosis.diagnose(error, request.scene, source, scratch))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if self.shared and request.cache and (problem := self.shared.store.find_problem()):
            print(f"the shared cache is not used: {problem}", flush=True)
        whole = (report.shards or {}).get("why_whole")
        if whole:
            print(f"{request.scene} was rendered by one shard: {whole}", flush=True)
        elif report.why_serial and not self.job.payload.preview:
            print(f"{request.scene} was rendered serially: {report.why_serial}", flush=True)
        if self.job.payload.poster:
            _write_posters(request.output)
        self._name_outputs(unit, request)
        left_out = {"outputs", "encoder", "seconds"} | {
            key for key in ("seed", "shards") if getattr(report, key) is None
        }
        render = {key: value for key, value in asdict(report).items() if key not in left_out}
        encoder = {**report.encoder, **self.encoder.report()}
        return UnitReport(render=render, encoder=encoder, seconds=dict(report.seconds))

    def _extend_python_path(self, unit: int) -> None:
        """Make Python look for modules where it would for `manim render`, and last in the root of the job."""
        path = self.job.python_path(unit)
        sys.path[:] = [*path, *sys.path, str(self.job.source(unit))]
        if path:
            os.environ["PYTHONPATH"] = os.pathsep.join(path)  # for programs that the scene starts

    def _name_outputs(self, unit: int, request: SceneRequest) -> None:
        """Rename the files of a map's scene to the name of the input, if it has one."""
        if self.job.inputs and (name := self.job.read_input(unit).name):
            for path in request.output.glob(f"{request.scene}.*"):
                path.rename(path.with_name(name + path.name.removeprefix(request.scene)))

    def _make_request(self, unit: int, scratch: Path) -> SceneRequest:
        return SceneRequest(
            file=Path(self.job.payload.file),
            scene=self.job.target(unit),
            output=self.job.folder(unit) / FILES,
            scratch=scratch,
            settings=self.job.payload.settings,
            encoder=self.job.payload.encoder,
            choice=self.encoder.choice,
            cache=None if "--disable_caching" in self.job.payload.settings.manim_options else self.cache,
            restore=self._restore_folder(unit),
            changed=self.job.folder(unit) / CHANGED if self.job.payload.shows_changed else None,
            shard=self._find_place(unit),
        )

    def _find_place(self, unit: int) -> ShardPlace | None:
        """Return the unit's place among the shards; None if one process renders the scene."""
        count = self.job.payload.shards
        if not count:
            return None
        if joins := os.environ.get(SHARD_JOINS):
            return ShardPlace(unit, count, CommittedChunks(self.job.output / SHARDS), joins == "1")
        socket = os.environ.get(SHARD_STORE)
        store = SocketChunks(Path(socket)) if socket else FolderChunks(self.job.output / SHARDS)
        return ShardPlace(unit, count, store)

    def _restore_folder(self, unit: int) -> Callable[[], None]:
        """Return a function that makes the working folder as it was sent, but for voices, which may cost money."""
        folder = WorkingFolder(self.job, unit)
        return lambda: folder.restore(keep=find_voices(folder.path))

    def _render_scene(self, request: SceneRequest) -> SceneReport:
        from renderer import engine

        if wanted := self.job.payload.preview:
            if self.why_plain:
                raise BackendError(f"a preview cannot be made: {self.why_plain}", hint="render the scene instead")
            return engine.preview_scene(request, wanted, progress=_progress_printer())
        if self.encoder_error:
            raise self.encoder_error
        if self.why_plain:
            return engine.render_plainly(request, self.why_plain)
        for line in [*self.encoder.log_lines(), *self.cache_refusal]:
            print(line, flush=True)
        return engine.render(request, slots=self.slots, progress=_progress_printer())


def _write_posters(folder: Path) -> None:
    """Write an image beside each film."""
    for film in sorted(path for path in folder.iterdir() if path.suffix in FILMS):
        try:
            write_poster(film)
        except (ImportError, OSError, ValueError) as error:  # the film is there all the same
            print(f"{film.name} has no poster: {error}", flush=True)


def import_manim() -> str | None:
    """Import Manim and all that renders in parallel. Return why that is not possible with this Manim, or in this image.

    Raises BackendError for a Manim that cannot be imported.
    """
    gc.disable()  # importing makes many objects and frees few
    try:
        return _import_manim()
    finally:
        gc.enable()


def _import_manim() -> str | None:
    from renderer import engine

    manim = find_installed_manim() or InstalledManim("of an unknown version")
    engine.import_manim(manim.version, is_known=not manim.why_serial)
    if manim.why_serial:
        return manim.why_serial
    try:
        engine.warm_up()
    except ModuleNotFoundError as error:
        return f"rendering in parallel needs the Python package {error.name}, which is not installed"
    return None


def _open_cache() -> tuple[ChunkCache | None, list[str]]:
    """Return the cache that the backend named, if it can be trusted, and what the log says if not.

    The variables are removed: scenes, and what they start, do not need them.
    """
    folder, limit, key = (os.environ.pop(name, "") for name in (CACHE_FOLDER, CACHE_MIB, CACHE_KEY))
    if not (folder and limit and key):
        return None, []
    try:
        return open_chunk_cache(Path(folder), int(limit), Path(key)), []
    except (OSError, ValueError) as error:
        return None, [f"the chunk cache is not used: {error}"]


def _open_shared_cache(own: ChunkCache | None, scratch: Path) -> SharedCache | None:
    """Return the shared cache whose server the backend has started, behind this machine's own or the job's."""
    socket = os.environ.pop(CACHE_SOCKET, "")
    if not socket:
        return None
    if own is None:
        own = make_own_cache(scratch / "chunk-cache", FRONT_MIB)
    client = CacheClient(Path(socket))
    client.wait()
    return SharedCache(own, client)


def _progress_printer() -> Callable[[int, int | None], None]:
    """Return a function that prints the progress: the number of frames, or percent as soon as the total is known."""
    last = 0.0

    def print_progress(done: int, total: int | None) -> None:
        nonlocal last
        if total is None and time.monotonic() - last > STATUS_INTERVAL_S:
            last = time.monotonic()
            print(f"openjd_status: {done} frames", flush=True)
        elif total and (percent := round(100 * done / total, 1)) != last:
            last = percent
            print(f"openjd_progress: {percent}", flush=True)

    return print_progress
