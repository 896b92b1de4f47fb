"""Watches a project, and renders its scenes each time that what they are made of has changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from backends.errors import OutputError, RendererError, ResultError, SpecError
from backends.local.backend import LocalBackend
from backends.untrusted import Limits, open_beneath, parse_result, read_bounded
from backends.worker_protocol import CHANGED, FILES, RESULT, UnitResult, directive
from renderer import api, config, fetch, output_folder
from renderer.bundle.ignore import STAGING
from renderer.model import WorkerPayload
from renderer.output_folder import Download
from renderer.project.root import choose_root, is_private
from renderer.spec import RenderSpec
from renderer.watch.standby import Standby

POLL_MS = 40  # between two looks at what the render has made
STEP_MS, DEBOUNCE_MS = 25, 250  # a save of an editor is several changes in a row
MARK = "changed"  # in the name of the video of a play that has changed


class Reports(Protocol):
    """Receives what happens."""

    def watching(self, path: Path, root: Path) -> None:
        """Receive that the project is watched from now on."""

    def started(self, units: Sequence[str]) -> None:
        """Receive that a render has started."""

    def printed(self, text: str) -> None:
        """Receive what the scenes print."""

    def changed(self, file: Path) -> None:
        """Receive the video of a play that has changed."""

    def finished(self, files: Sequence[Path], results: Sequence[UnitResult], seconds: float) -> None:
        """Receive the files of a render that has ended, and how each scene ended."""

    def failed(self, error: RendererError) -> None:
        """Receive why there is no render."""


@dataclass
class _Run:
    """A render. ``folder`` is its scratch folder, ``shown`` the videos of changed plays that were shown."""

    folder: Path
    planned: api.PlannedJob
    started: float = field(default_factory=time.monotonic)
    shown: set[Path] = field(default_factory=set)
    printed: int = 0  # bytes of the log

    @property
    def units(self) -> tuple[str, ...]:
        """The names of the scenes."""
        return self.planned.prepared.job.units


class Watch:
    """Renders the scenes of ``wanted`` again and again. ``load`` reads the settings, each time anew."""

    def __init__(self, wanted: RenderSpec, load: Callable[[], config.Config], reports: Reports) -> None:
        self._wanted, self._load, self._reports = wanted, load, reports
        self._key = ""
        self._count = 0
        self._has_film = False
        self._run: _Run | None = None

    def follow(self) -> None:
        """Render now and after each change, until KeyboardInterrupt. Nothing is left running then.

        Raises SpecError for what cannot be watched.
        """
        import watchfiles

        loaded = self._load()
        check_watchable(self._wanted, loaded)
        with tempfile.TemporaryDirectory(prefix="renderer-", ignore_cleanup_errors=True) as scratch:
            self._scratch = Path(scratch).resolve()
            backend = LocalBackend(loaded.settings.local)
            self._standby = Standby(self._scratch, {**backend.worker_environment(), **loaded.settings.env})
            has_begun = False
            try:
                while True:
                    folders, recursive = self._watched()
                    is_new = True
                    for changes in watchfiles.watch(
                        *folders,
                        watch_filter=_Filter(loaded.settings.output.resolve()),
                        debounce=DEBOUNCE_MS,
                        step=STEP_MS,
                        rust_timeout=POLL_MS,
                        yield_on_timeout=True,
                        recursive=recursive,
                    ):
                        if changes or is_new:  # what was saved before the folders were watched is seen here
                            self._start_if_changed()
                        if not has_begun:
                            self._reports.watching(self._wanted.path, self._root())
                            has_begun = True
                        self._poll()
                        if (changes or is_new) and self._watched() != (folders, recursive):
                            break
                        is_new = False
            finally:
                self._standby.close()

    def _root(self) -> Path:
        return choose_root(self._wanted.path, self._wanted.root)

    def _watched(self) -> tuple[list[Path], bool]:
        """Return the folders to watch, and whether those below them count: not in a home folder and its like."""
        root = self._root()
        if not is_private(root):
            return [root], True
        files = self._run.planned.prepared.packed.files if self._run else ()
        folders = {self._wanted.path.parent, *((root / file).parent for file in files)}
        return sorted(folder for folder in folders if folder.is_dir()), False

    def _start_if_changed(self) -> None:
        """Start a render, unless the scenes and their files are as they were."""
        try:
            planned = api.plan(self._wanted, self._load())
        except RendererError as error:
            if self._key != (key := f"{type(error).__name__}: {error}"):
                self._key = key
                self._abandon()
                self._reports.failed(error)
            return
        job = planned.prepared.job
        if job.payload == self._key:
            return
        self._key = job.payload
        self._abandon()
        if planned.prepared.kind == "script":
            self._reports.failed(SpecError(f"{self._wanted.path.name} has no scenes: it is a script"))
            return
        self._count += 1
        run = _Run(self._scratch / f"run-{self._count}", planned)
        run.folder.mkdir()
        payload = replace(WorkerPayload.from_json(job.payload), shows_changed=self._has_film)
        (run.folder / "task.json").write_text(payload.to_json(), "utf-8")
        (run.folder / "bundle.tar.gz").write_bytes(job.bundle.data)
        units = [word for unit in range(len(job.units)) for word in ("--unit", str(unit))]
        paths = ("--task", "task.json"), ("--bundle", "bundle.tar.gz"), ("--output", "units")
        named = [word for option, name in paths for word in (option, str(run.folder / name))]
        self._standby.start([*named, *units], run.folder / "log")
        self._run = run
        self._reports.started(run.units)

    def _abandon(self) -> None:
        """End the render that runs, if there is one."""
        if self._run:
            self._standby.stop()
            shutil.rmtree(self._run.folder, ignore_errors=True)
            self._run = None

    def _poll(self) -> None:
        """Hand on what the render that runs has made since the last look."""
        run = self._run
        if run is None:
            return
        has_ended = self._standby.has_ended()
        self._show_log(run)
        try:
            self._show_changed(run)
            if has_ended:
                self._finish(run)
        except RendererError as error:
            self._reports.failed(error)
        if has_ended:
            shutil.rmtree(run.folder, ignore_errors=True)
            self._run = None

    def _show_log(self, run: _Run) -> None:
        log = run.folder / "log"
        if log.exists():
            with log.open("rb") as file:
                file.seek(run.printed)
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            run.printed += len(whole)
            if whole:
                self._reports.printed(whole.decode("utf-8", "replace"))

    def _show_changed(self, run: _Run) -> None:
        """Show the videos of plays that have changed, each as soon as it is whole."""
        for unit, name in enumerate(run.units):
            for file in (run.folder / "units" / str(unit) / CHANGED).glob("[!.]*"):
                if file not in run.shown:
                    run.shown.add(file)
                    output = f"{name}.{MARK}{file.suffix}"
                    found = Download(
                        source=str(self._wanted.path.resolve()),
                        unit=name,
                        index=unit,
                        name=output,
                        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
                        path=file,
                    )
                    (written,) = self._write(run, [found])
                    self._reports.changed(written)

    def _finish(self, run: _Run) -> None:
        """Move the outputs to their names, and report how the scenes ended."""
        found: list[Download] = []
        results: list[UnitResult] = []
        for unit, name in enumerate(run.units):
            folder = run.folder / "units" / str(unit)
            result = _read_result(folder, name)
            results.append(result)
            found += [
                Download(
                    source=str(self._wanted.path.resolve()),
                    unit=name,
                    index=unit,
                    name=output.path,
                    sha256=output.sha256,
                    path=folder / FILES / output.path,
                )
                for output in result.outputs
            ]
        files = self._write(run, found)
        self._has_film = self._has_film or any(result.exit_code == 0 for result in results)
        self._reports.finished(files, results, time.monotonic() - run.started)

    def _write(self, run: _Run, found: list[Download]) -> list[Path]:
        """Write files to the output folder, through a folder on the same disk."""
        settings = run.planned.loaded.settings
        with fetch.staging(settings.output) as staging:
            copies = []
            for number, item in enumerate(found):
                copy = staging / str(number)
                shutil.copyfile(item.path, copy)
                copies.append(replace(item, path=copy))
            written, kept = output_folder.write(copies, settings.output, overwrite=settings.overwrite)
        if kept:
            raise OutputError(
                f"{kept[0].wanted} was not replaced, because this scene did not make it or it was changed since; the "
                f"new file is {kept[0].written}",
                hint="--overwrite replaces it",
            )
        return written


def check_watchable(wanted: RenderSpec, loaded: config.Config) -> None:
    """Raise SpecError for what cannot be watched."""
    settings = loaded.settings
    if settings.backend != "local":
        raise SpecError(
            f"renderer watch renders on this machine only, and the backend is {settings.backend}",
            hint="add --backend local, and submit to the other backend when the scene is ready",
        )
    if settings.untrusted:
        raise SpecError(
            "renderer watch does not run untrusted code: its process is kept from render to render",
            hint="renderer preview --untrusted, or renderer submit --untrusted",
        )
    if settings.shards not in {None, 1}:
        raise SpecError("renderer watch renders without shards", hint="add --shards 1")
    if not wanted.path.is_file():
        raise SpecError(f"there is no file {wanted.path}", hint=f"the current folder is {Path.cwd()}")
    fetch.check_writable(settings.output)


class _Filter:
    """Chooses the changes that count. ``output`` is the folder in which the films appear."""

    def __init__(self, output: Path) -> None:
        import watchfiles

        self._usual = watchfiles.DefaultFilter()
        self._output = output
        self._logs = _find_own_logs()

    def __call__(self, change: object, path: str) -> bool:
        """Return whether a change may be one of the project."""
        file = Path(path)
        is_ours = file.is_relative_to(self._output) or any(part.startswith(STAGING) for part in file.parts)
        return not is_ours and not self._is_log(file) and self._usual(change, path)  # type: ignore[arg-type]

    def _is_log(self, file: Path) -> bool:
        try:
            found = file.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) in self._logs


def _find_own_logs() -> set[tuple[int, int]]:
    """Return device and inode of the files that this program's stdout and stderr go to: each render changes them."""
    found = set()
    for descriptor in (1, 2):
        with suppress(OSError):
            status = os.fstat(descriptor)
            found.add((status.st_dev, status.st_ino))
    return found


def _read_result(folder: Path, name: str) -> UnitResult:
    try:
        with open_beneath(folder, RESULT) as file:
            return parse_result(read_bounded(file, Limits().result), unit=name)
    except FileNotFoundError as error:
        log = (folder.parents[1] / "log").read_text("utf-8", "replace").splitlines()
        failures = [found[1] for line in log if (found := directive(line)) and found[0] == "fail"]
        text = failures[-1] if failures else f"{name} ended without a result"
        hint = next((line.removeprefix("hint: ") for line in reversed(log) if line.startswith("hint: ")), None)
        raise ResultError(text, hint=hint) from error
