"""The job that the worker runs, with its files unpacked, and the interface to run one of its units."""

from __future__ import annotations

import functools
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from backends.cache.client import VARIABLE as CACHE_SOCKET
from backends.errors import InputError
from backends.exit_codes import ExitCode
from backends.problem import Problem
from backends.processes import PYTHON_PATH
from backends.untrusted import Limits
from backends.worker_protocol import PACKAGES
from renderer.bundle.unpack import unpack
from renderer.maps.inputs import INPUTS_FILE, VARIABLE, MapInput
from renderer.model import UNITS_FILE, WorkerPayload

CACHE_FOLDER, CACHE_MIB = "RENDERER_SEGMENT_CACHE", "RENDERER_SEGMENT_CACHE_MIB"
CACHE_KEY = "RENDERER_SEGMENT_CACHE_KEY"  # the file with the key of the cache, which is not a variable's value
SHARD_STORE = "RENDERER_SHARD_STORE"  # the socket of the store in which shards meet; otherwise it is a folder
SHARD_JOINS = "RENDERER_SHARD_JOINS"  # 1 or 0, where the backend decides which process joins the clips of all shards
MAX_INPUT = 2**15  # characters of an input in result.json
# Variables of the worker itself, which scripts do not get.
OWN_VARIABLES = frozenset(
    {"PYTHONHASHSEED", PYTHON_PATH, CACHE_FOLDER, CACHE_MIB, CACHE_KEY, CACHE_SOCKET, PACKAGES}
    | {SHARD_STORE, SHARD_JOINS}
)


@dataclass(frozen=True)
class UnpackedJob:
    """What the worker runs. ``scratch`` is removed with the worker.

    ``environment`` is the folder with the job's own packages, if it has any (see renderer.worker.packages). ``inputs``
    are the lines with the inputs of a map. ``untouched`` are working folders of units that ended and changed nothing,
    and ``untouched_inputs`` files of such inputs: to name one again is quicker than to create another.
    """

    payload: WorkerPayload
    bundle: Path
    scratch: Path
    output: Path
    environment: Path | None = None
    inputs: Sequence[bytes] = ()
    untouched: list[Path] = field(default_factory=list)
    untouched_inputs: list[Path] = field(default_factory=list)
    _written_inputs: dict[int, os.stat_result] = field(default_factory=dict)

    def source(self, unit: int) -> Path:
        """Return the folder of the unit's copy of the project, its working folder."""
        return self.scratch / f"source-{unit}"

    def file(self, unit: int) -> Path:
        """Return the unit's copy of the user's file."""
        return self.source(unit) / self.payload.file

    def unpack(self, folder: Path) -> None:
        """Unpack the project into the folder. Raises InputError."""
        try:
            unpack(self.bundle.read_bytes(), self.payload.bundle, folder, self.payload.links)
            if self.inputs:
                (folder / INPUTS_FILE).unlink()  # it is none of the user's files
            if self.payload.units_in_bundle:
                (folder / UNITS_FILE).unlink()
        except OSError as error:
            hint = "check --bundle, or submit the job again"
            raise InputError(f"cannot unpack the project's files: {error}", hint=hint) from error

    @property
    def limits(self) -> Limits:
        """Bounds on what a unit may leave behind."""
        usual = Limits()
        total, files = self.payload.output_limit, self.payload.output_files
        return Limits(total=usual.total if total is None else total, files=usual.files if files is None else files)

    def python_path(self, unit: int) -> list[str]:
        """Return the folders of PYTHONPATH: those of the project, then those of the worker's own environment."""
        own = os.environ.get(PYTHON_PATH, "").split(os.pathsep)
        return [*(str(self.source(unit) / path) for path in self.payload.python_path), *filter(os.path.isabs, own)]

    def name(self, unit: int) -> str:
        """Return the unit's name."""
        return self.read_input(unit).label if self.inputs else self.target(unit)

    def target(self, unit: int) -> str:
        """Return the name of the scene or the script that the unit runs."""
        return self.payload.units[0 if self.inputs or self.payload.shards else unit]

    def read_input(self, unit: int) -> MapInput:
        """Return the input of a unit of a map. Raises InputError if another version of renderer wrote it."""
        try:
            return _parse_input(self.inputs[unit])
        except (ValueError, TypeError, KeyError) as error:
            raise InputError("the inputs of the map are damaged", hint="submit the job again") from error

    def describe_input(self, unit: int) -> dict[str, str]:
        """Return what result.json says of a unit's input; without its value, if that is large."""
        if not self.inputs:
            return {}
        item = self.read_input(unit)
        line = item.to_line()
        return {"input": line if len(line) <= MAX_INPUT else replace(item, value=None, arguments=()).to_line()}

    def write_input(self, unit: int) -> dict[str, str]:
        """Write the value of a unit's input to a file, and return the variable that names it; nothing without a map."""
        if not self.inputs:
            return {}
        path = self._input_file(unit)
        if self.untouched_inputs:
            self.untouched_inputs.pop().rename(path)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666), "wb") as file:
            file.write(json.dumps(self.read_input(unit).value, ensure_ascii=False).encode())
            file.truncate()  # at last: some disks write a file at once that was empty and is closed
            self._written_inputs[unit] = os.fstat(file.fileno())
        return {VARIABLE: str(path)}

    def leave_input(self, unit: int) -> None:
        """Leave the file of a unit's input to the next unit, if nothing in it has changed."""
        path = self._input_file(unit)
        if before := self._written_inputs.pop(unit, None):
            with suppress(OSError):
                if identify(path.lstat()) == identify(before):
                    self.untouched_inputs.append(path)

    def _input_file(self, unit: int) -> Path:
        return self.scratch / f"input-{unit}.json"

    def folder(self, unit: int) -> Path:
        """Return the folder for the unit's log, result and files."""
        return self.output / str(unit)


def identify(info: os.stat_result) -> tuple[int, ...]:
    """Return what is another after each change of a file's content, mode or name, and of a folder's."""
    return info.st_mode, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns


_parse_input = functools.lru_cache(maxsize=64)(MapInput.from_line)  # each is needed several times


@dataclass(frozen=True)
class UnitReport:
    """How a unit's process ended. ``error`` is set if it failed; the other fields are those of result.json."""

    error: Problem | None = None
    render: Mapping[str, object] = field(default_factory=dict)
    encoder: Mapping[str, object] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """The unit's exit code."""
        return ExitCode.OK if self.error is None else self.error.exit_code or ExitCode.INTERNAL


class Runner(ABC):
    """Starts units of one kind (scenes or scripts), at most ``side_by_side`` at the same time."""

    side_by_side = 1

    def __init__(self, job: UnpackedJob) -> None:
        self.job = job

    @abstractmethod
    def start(self, unit: int, output: int) -> int:
        """Start the unit with ``output`` (a file descriptor) as its stdout and stderr; return the process id."""

    @abstractmethod
    def read_report(self, unit: int, exit_code: int) -> UnitReport | None:
        """Return how the unit ended; None if its process was killed before it could write a report."""

    def finish(self) -> None:  # noqa: B027  # most kinds have nothing to do
        """Do what is left once all units have ended."""
