"""How one unit of each kind runs: as a child process that ends with an outcome."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from backends.errors import RendererError
from backends.exit_codes import ExitCode
from backends.worker_protocol import FILES, LOG, UnitError
from renderer.engine.cache.store import ChunkCache
from renderer.engine.process.exit import end_process, prepare_exit
from renderer.engine.request import SceneReport, SceneRequest
from renderer.model import WorkerPayload
from renderer.system.limits import count_usable_cores
from renderer.video.selection import Decision, choose_encoder
from renderer.worker import explain
from renderer.worker.processes import become_child

STATUS_EVERY_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Job:
    """What all units share: ``source`` is the unpacked bundle, ``scratch`` goes away with the worker."""

    payload: WorkerPayload
    source: Path
    scratch: Path
    output: Path
    python: str

    @property
    def file(self) -> Path:
        """The user's file, unpacked."""
        return self.source / self.payload.file

    def folder(self, unit: int) -> Path:
        """Where the unit's log, result and files go."""
        return self.output / str(unit)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a unit's child ended, in its own words."""

    exit_code: int = 0
    error: UnitError | None = None
    render: dict[str, Any] = field(default_factory=dict)
    encoder: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


class Runner(ABC):
    """Starts units of one kind, at most ``side_by_side`` at once."""

    side_by_side = 1

    def __init__(self, job: Job) -> None:
        self.job = job

    @abstractmethod
    def start(self, unit: int, output: int) -> int:
        """Start the unit with ``output`` (a file descriptor) as its stdout and stderr; give the process id."""

    @abstractmethod
    def outcome(self, unit: int, exit_code: int) -> Outcome | None:
        """Tell how the unit ended; None when the child was killed before it could say."""


class SceneRunner(Runner):
    """One Manim scene a unit, forked from a process that has imported Manim once."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        from renderer import engine

        engine.warm_up()
        self.encoder, self.refused = self._choose_encoder()
        self.children = engine.ProcessSlots(self.encoder.sessions)
        self.side_by_side = self.children.n + 1  # one steps its scene while the others' children paint

    def _choose_encoder(self) -> tuple[Decision, RendererError | None]:
        """Choose once for all units. A refusal is each unit's own error."""
        try:
            return choose_encoder(self.job.payload.encoder, self.job.payload.settings, count_usable_cores()), None
        except RendererError as error:
            return Decision(), error

    def start(self, unit: int, output: int) -> int:
        """Fork."""
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        process = os.fork()
        if process:
            return process
        become_child(parent, output)
        prepare_exit()
        return self._run_in_child(unit)

    def outcome(self, unit: int, exit_code: int) -> Outcome | None:  # noqa: ARG002  # the scene's own words tell more
        """Read what the child wrote before it ended."""
        try:
            said = json.loads(self._said(unit).read_bytes())
        except (OSError, ValueError):
            return None
        return Outcome(**said | {"error": UnitError(**said["error"]) if said["error"] else None})

    def _said(self, unit: int) -> Path:
        return self.job.scratch / f"outcome-{unit}.json"

    def _run_in_child(self, unit: int) -> NoReturn:
        outcome = Outcome(exit_code=ExitCode.INTERNAL)
        try:
            outcome = self._render(unit)
            self._said(unit).write_text(json.dumps(asdict(outcome)), "utf-8")
        finally:
            end_process(outcome.exit_code)

    def _render(self, unit: int) -> Outcome:
        from renderer import engine

        os.chdir(self.job.source)
        os.environ["RENDERER_OUTPUT_DIR"] = str(self.job.folder(unit) / FILES)
        scratch = self.job.scratch / f"unit-{unit}"
        scratch.mkdir()
        request = engine.SceneRequest(
            file=Path(self.job.payload.file),
            scene=self.job.payload.units[unit],
            output=self.job.folder(unit) / FILES,
            scratch=scratch,
            settings=self.job.payload.settings,
            encoder=self.job.payload.encoder,
            choice=self.encoder.choice,
            cache=_segment_cache(),
        )
        try:
            report = self._report(request)
        except BaseException as error:  # noqa: BLE001  # whatever a scene raises becomes words
            return Outcome(**explain.failure(error, self.job.payload.units[unit], self.job.source, scratch))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if report.why_serial:
            print(f"{request.scene} was rendered serially: {report.why_serial}", flush=True)
        render = {key: value for key, value in asdict(report).items() if key not in {"outputs", "encoder", "seconds"}}
        return Outcome(render=render, encoder={**report.encoder, **self.encoder.report()}, seconds=dict(report.seconds))

    def _report(self, request: SceneRequest) -> SceneReport:
        from renderer import engine

        if self.refused:
            raise self.refused
        for line in self.encoder.log_lines():
            print(line, flush=True)
        return engine.render(request, slots=self.children, progress=_progress_printer())


class ScriptRunner(Runner):
    """A Python file run as ``__main__`` in its own folder, as `python FILE ARGUMENTS` would."""

    def start(self, unit: int, output: int) -> int:
        """Start Python, or uv for a script that names its dependencies."""
        environment = {key: value for key, value in os.environ.items() if key not in _OWN_VARIABLES}
        environment |= {"RENDERER_OUTPUT_DIR": str(self.job.folder(unit) / FILES), "PYTHONUNBUFFERED": "1"}
        if path := os.environ.get("RENDERER_PYTHONPATH"):
            environment["PYTHONPATH"] = path
        parent = os.getpid()
        child = subprocess.Popen(
            [*self._interpreter(), self.job.file.name, *self.job.payload.arguments],
            cwd=self.job.file.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            preexec_fn=lambda: become_child(parent, output),  # noqa: PLW1509  # no other thread runs here
        )
        return child.pid

    def outcome(self, unit: int, exit_code: int) -> Outcome | None:
        """Judge by the exit code."""
        if exit_code == 0:
            return Outcome()
        if exit_code < 0:
            return None
        message = f"{self.job.payload.units[unit]} ended with exit code {exit_code}"
        log = (self.job.folder(unit) / LOG).read_text("utf-8", "replace")
        details = explain.last_words(log, self.job.source)
        error = UnitError(message=message, hint=explain.missing_cuda(log), details=details)
        return Outcome(exit_code=ExitCode.USER_CODE, error=error, render={"script_exit_code": exit_code})

    def _interpreter(self) -> list[str]:
        if not re.search(r"(?m)^# /// script$", self.job.file.read_text("utf-8", "replace")):
            return [self.job.python]
        uv = shutil.which("uv") or shutil.which("uv", path=str(Path(self.job.python).parent))
        if uv is None:
            raise RendererError(
                f"{self.job.file.name} names its dependencies (PEP 723), and uv, which installs them, is not here",
                hint="pip install uv, or use an image that has it",
            )
        return [uv, "run", "--quiet", "--script"]


_CACHE = ("RENDERER_SEGMENT_CACHE", "RENDERER_SEGMENT_CACHE_MIB")
_OWN_VARIABLES = frozenset({"PYTHONHASHSEED", "RENDERER_PYTHONPATH", *_CACHE})


def _segment_cache() -> ChunkCache | None:
    """Give the cache that the backend named."""
    folder, limit = (os.environ.get(name) for name in _CACHE)
    return ChunkCache(Path(folder), int(limit)) if folder and limit else None


def _progress_printer() -> Callable[[int, int | None], None]:
    """Print the share of frames that are done; until the scene has been stepped to its end, their number."""
    last = 0.0

    def progress(done: int, total: int | None) -> None:
        nonlocal last
        if total is None and time.monotonic() - last > STATUS_EVERY_S:
            last = time.monotonic()
            print(f"openjd_status: {done} frames", flush=True)
        elif total and (percent := round(100 * done / total, 1)) != last:
            last = percent
            print(f"openjd_progress: {percent}", flush=True)

    return progress
