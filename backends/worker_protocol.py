"""What every backend and the worker agree on: the worker's command line, the files of a unit, the lines it prints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from backends.errors import InputError

LOG = "log.txt"
RESULT = "result.json"
FILES = "files"  # the folder of a unit that holds its outputs

_DIRECTIVE = re.compile(r"openjd_(progress|status|fail): ?(.*)")


def worker_command(python: str, *, task: str, bundle: str, output: str, units: Iterable[int]) -> list[str]:
    """Give the command that renders ``units`` into ``output/INDEX/``; task, bundle and output are paths."""
    command = [python, "-I", "-m", "renderer.worker", "--task", task, "--bundle", bundle, "--output", output]
    for unit in units:
        command += ["--unit", str(unit)]
    return command


@dataclass(frozen=True, kw_only=True)
class Output:
    """One file that a unit made: ``path`` is relative to the unit's ``files`` folder, with slashes; size in bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class UnitError:
    """Why a unit failed, in words; ``details`` are the user's own lines of a traceback, or TeX's message."""

    message: str
    hint: str | None = None
    details: str | None = None


@dataclass(frozen=True, kw_only=True)
class UnitResult:
    """The content of result.json, which the worker writes last. Times are ISO 8601 in UTC, ``seconds`` durations."""

    unit: str
    exit_code: int
    outputs: Sequence[Output] = ()
    error: UnitError | None = None
    render: dict[str, Any] = field(default_factory=dict)
    encoder: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    started: str = ""
    finished: str = ""
    schema: int = 1

    def to_json(self) -> str:
        """Write it as result.json holds it."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> UnitResult | None:
        """Read a result.json; None where there is none yet. Raises InputError for one that is damaged."""
        try:
            content = json.loads(path.read_bytes())
            content["outputs"] = tuple(Output(**item) for item in content["outputs"])
            content["error"] = UnitError(**content["error"]) if content["error"] else None
            return cls(**content)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path} is damaged", hint="submit the job again") from error


def directive(line: str) -> tuple[str, str] | None:
    """Read an Open Job Description line: ("progress", "42.0"), ("status", …), ("fail", …); None for any other line."""
    match = _DIRECTIVE.fullmatch(line.rstrip())
    return (match[1], match[2]) if match else None


def last_status(lines: Iterable[str]) -> str | None:
    """Give what the last ``openjd_status`` line says."""
    found = [item[1] for item in map(directive, lines) if item and item[0] == "status"]
    return found[-1] if found else None


def last_progress(lines: Iterable[str]) -> float | None:
    """Give the percentage (0 to 100) that the last valid ``openjd_progress`` line says."""
    progress = None
    for line in lines:
        found = directive(line)
        if found and found[0] == "progress":
            try:
                progress = min(max(float(found[1]), 0.0), 100.0)
            except ValueError:
                continue
    return progress
