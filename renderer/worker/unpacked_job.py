"""The job that the worker runs, with its files unpacked, and the interface to run one of its units."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backends.errors import InputError
from backends.exit_codes import ExitCode
from backends.problem import Problem
from backends.untrusted import Limits
from renderer.bundle.unpack import unpack
from renderer.model import WorkerPayload

CACHE_FOLDER, CACHE_MIB = "RENDERER_SEGMENT_CACHE", "RENDERER_SEGMENT_CACHE_MIB"
CACHE_KEY = "RENDERER_SEGMENT_CACHE_KEY"  # the file with the key of the cache, which is not a variable's value
PYTHON_PATH = "RENDERER_PYTHONPATH"
# Variables of the worker itself, which scripts do not get.
OWN_VARIABLES = frozenset({"PYTHONHASHSEED", PYTHON_PATH, CACHE_FOLDER, CACHE_MIB, CACHE_KEY})


@dataclass(frozen=True)
class UnpackedJob:
    """What the worker runs. ``scratch`` is removed with the worker; ``python`` runs scripts."""

    payload: WorkerPayload
    bundle: Path
    scratch: Path
    output: Path
    python: str

    def source(self, unit: int) -> Path:
        """Return the folder of the unit's copy of the project, its working folder."""
        return self.scratch / f"source-{unit}"

    def file(self, unit: int) -> Path:
        """Return the unit's copy of the user's file."""
        return self.source(unit) / self.payload.file

    def unpack(self, folder: Path) -> None:
        """Unpack the project into the folder. Raises InputError."""
        try:
            unpack(self.bundle.read_bytes(), self.payload.bundle, folder)
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

    def folder(self, unit: int) -> Path:
        """Return the folder for the unit's log, result and files."""
        return self.output / str(unit)


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
