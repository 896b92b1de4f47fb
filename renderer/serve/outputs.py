"""The outputs of jobs: downloaded once when they are first asked for, verified, and then served from here."""

from __future__ import annotations

import json
import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from backends.errors import DiskError, JobNotFoundError, OutputError
from backends.files import sha256
from backends.untrusted.state_files import read_state, write_state
from backends.untrusted.trees import remove_tree
from backends.worker_protocol import UnitResult
from renderer import fetch
from renderer.bundle.ignore import OWN_IGNORE_FILE
from renderer.previews.previewing import TIMELINE
from renderer.serve.problems import reword
from renderer.serve.schemas import PlayTimes, UnitTimes
from renderer.serve.service import Entry, Service
from renderer.telemetry import tracing

# What a browser may show by itself. Everything else is a download: HTML and SVG could run scripts.
TYPES = {
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".png": "image/png",
    ".wav": "audio/wav",
    ".webm": "video/webm",
}
OTHER = "application/octet-stream"
_TABLE = "outputs.json"
_MAX_TABLE = 2**27
MOST_PLAYS = 10  # of a unit, in jobs with at most so many units:
MOST_WITH_PLAYS = 20
MAX_REASON = 1000  # characters


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """A file that a job made."""

    path: str
    size: int
    sha256: str

    @property
    def type(self) -> str:
        """The media type, by the name's ending."""
        return TYPES.get(PurePosixPath(self.path).suffix.lower(), OTHER)


@dataclass(frozen=True, kw_only=True)
class OutputTable:
    """All files of a job, the folder in which they are, and what was wrong with some of them."""

    folder: Path
    files: tuple[OutputFile, ...]
    note: str | None = None
    units: tuple[UnitTimes, ...] = ()


class OutputStore:
    """Downloads the outputs of jobs into the server's own folder."""

    def __init__(self, service: Service, on_frames: Callable[[Entry, int, int], object]) -> None:
        self._service, self._on_frames = service, on_frames
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def find(self, entry: Entry) -> OutputTable:
        """Return the files of a job that has ended; none before its end."""
        folder = self._folder(entry)
        status = self._service.status(entry)
        if not status.state.terminal:
            return OutputTable(folder=folder, files=())
        with self._locks[entry.id]:
            if (table := _read(folder)) is None:
                self._download(entry, folder)
                table = _read(folder) or OutputTable(folder=folder, files=())
        return table

    def find_file(self, entry: Entry, path: str) -> tuple[OutputFile, Path]:
        """Return a file of a job and where it is. Raises JobNotFoundError if the job has no such file."""
        table = self.find(entry)
        for file in table.files:
            if file.path == path:
                return file, table.folder / path
        raise JobNotFoundError("the job has no such file", hint=f"GET /api/v1/jobs/{entry.id}/outputs lists its files")

    def forget(self, entry: Entry) -> None:
        """Remove the downloaded files of a job that was deleted."""
        with suppress(OSError):
            remove_tree(self._folder(entry).parent)
        self._locks.pop(entry.id, None)

    def _folder(self, entry: Entry) -> Path:
        base = self._service.records.folder
        return (base / entry.id if entry.record else base / "command-line" / entry.id) / "outputs"

    def _download(self, entry: Entry, folder: Path) -> None:
        """Download into a folder beside, and give it its name when it is complete."""
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = folder.parent / f"new-{secrets.token_hex(8)}"
        job, note, units = self._service.open(entry), None, list[UnitTimes]()
        submitted = self._service.status(entry).created

        def read_results(results: Collection[UnitResult]) -> None:
            units.extend(
                _read_times(result, submitted, with_plays=len(results) <= MOST_WITH_PLAYS) for result in results
            )
            self._on_frames(entry, sum(unit.frames for unit in units), sum(unit.cached for unit in units))

        try:
            try:
                with tracing.span("fetch", job.handle):
                    fetch.download(job.backend, job.handle, new, on_results=read_results)
            except OutputError as error:
                if not error.written:
                    raise
                note = reword(str(error))
            _keep(new, folder, note, units)
        finally:
            with suppress(OSError):
                remove_tree(new)


def _keep(new: Path, folder: Path, note: str | None, units: Sequence[UnitTimes]) -> None:
    """Write the table of what was downloaded to ``new``, and name that ``folder``. Raises DiskError."""
    try:
        new.mkdir(exist_ok=True)
        files = [_describe(new, path) for path in sorted(new.rglob("*")) if path.is_file()]
        kept = [asdict(file) for file in files if file.path != OWN_IGNORE_FILE]
        table = {"files": kept, "note": note, "units": [unit.model_dump() for unit in units]}
        write_state(folder.parent / _TABLE, json.dumps(table).encode())
        new.rename(folder)
    except OSError as error:
        raise DiskError("the outputs", folder.parent, error) from error


def _read_times(result: UnitResult, submitted: datetime | None, *, with_plays: bool) -> UnitTimes:
    """Return what a unit took, as its result says. The result comes from the job, and may hold anything."""
    is_preview = any(output.path.endswith(TIMELINE) for output in result.outputs)  # few of its frames are drawn
    started, frames = _read_moment(result.started), 0 if is_preview else _read_count(result.render, "frames")
    plays, why = result.render.get("plays"), result.render.get("why_serial")
    found = [_read_play(play) for play in plays if isinstance(play, dict)] if isinstance(plays, list) else []
    found.sort(key=lambda play: play.draw_s + play.encode_s, reverse=True)
    return UnitTimes(
        name=result.unit,
        waited_s=max(0.0, (started - submitted).total_seconds()) if started and submitted else None,
        took_s=result.seconds.get("total"),
        frames=frames,
        cached=min(frames, _read_count(result.render, "cached")),
        why_serial=why[:MAX_REASON] if isinstance(why, str) else None,
        plays=found[:MOST_PLAYS] if with_plays else [],
    )


def _read_play(play: Mapping[str, object]) -> PlayTimes:
    counts = {key: _read_count(play, key) for key in ("number", "frames", "cached")}
    return PlayTimes(**counts, **{key: _read_seconds(play, key) for key in ("start_s", "draw_s", "encode_s")})


def _read_moment(text: str) -> datetime | None:
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else None
    return None


def _read_count(values: Mapping[str, object], key: str) -> int:
    """Return a number that a job's result says; 0 for anything else."""
    value = values.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else 0


def _read_seconds(values: Mapping[str, object], key: str) -> float:
    """Return a duration that a job's result says; 0 for anything else."""
    value = values.get(key)
    return float(value) if isinstance(value, int | float) and 0 <= value < 2**31 else 0.0


def _describe(folder: Path, path: Path) -> OutputFile:
    return OutputFile(path=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=sha256(path))


def _read(folder: Path) -> OutputTable | None:
    """Return what was downloaded before; None if nothing was."""
    if not folder.is_dir():
        return None
    try:
        content = json.loads(read_state(folder.parent / _TABLE, _MAX_TABLE))
        files = tuple(OutputFile(**item) for item in content["files"])
        units = tuple(UnitTimes(**item) for item in content.get("units", ()))  # not in tables of earlier versions
        return OutputTable(folder=folder, files=files, note=content["note"], units=units)
    except (OSError, ValueError, TypeError, KeyError):
        with suppress(OSError):
            remove_tree(folder)
        return None
