"""The contract between backends and the worker: its command line, the files of a unit, the lines that it prints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from backends.errors import InputError
from backends.exit_codes import ExitCode
from backends.problem import Problem

LOG = "log.txt"
RESULT = "result.json"
FILES = "files"  # the folder of a unit that holds its outputs
# Failures that another attempt may not meet again; the user's own errors are not among them.
RETRIED = frozenset({ExitCode.INTERNAL, ExitCode.TRANSIENT, ExitCode.LOST, ExitCode.TERMINATED})

_DIRECTIVE = re.compile(r"openjd_(progress|status|fail): ?(.*)")


def worker_command(python: str, *, task: str, bundle: str, output: str, units: Iterable[int]) -> list[str]:
    """Return the command that renders ``units`` into ``output/INDEX/``; task, bundle and output are paths."""
    command = [python, "-I", "-m", "renderer.worker", "--task", task, "--bundle", bundle, "--output", output]
    for unit in units:
        command += ["--unit", str(unit)]
    return command


@dataclass(frozen=True, kw_only=True)
class Output:
    """One file that a unit wrote: ``path`` is relative to the unit's ``files`` folder, with slashes; size in bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class UnitResult:
    """The content of result.json, which the worker writes last. Times are ISO 8601 in UTC, ``seconds`` durations."""

    unit: str
    exit_code: int
    outputs: Sequence[Output] = ()
    error: Problem | None = None
    render: Mapping[str, object] = field(default_factory=dict)
    encoder: Mapping[str, object] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    started: str = ""
    finished: str = ""
    schema: int = 1

    def to_json(self) -> str:
        """Return the text of result.json."""
        content = asdict(self)
        if self.error:
            del content["error"]["exit_code"]  # the result has its own
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> UnitResult:
        """Return the result that ``text`` holds. Raises ValueError, TypeError or KeyError for any other text."""
        content = json.loads(text)
        content["outputs"] = tuple(Output(**item) for item in content["outputs"])
        if content["error"]:
            content["error"] = Problem(**content["error"], exit_code=content["exit_code"])
        return cls(**content)

    @classmethod
    def read(cls, path: Path) -> UnitResult | None:
        """Return the result in the file; None where there is no file yet. Raises InputError for a damaged one."""
        try:
            return cls.from_json(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path} is damaged", hint="submit the job again") from error


def directive(line: str) -> tuple[str, str] | None:
    """Return name and value of an Open Job Description line, such as ("progress", "42.0"); None for any other line.

    See https://github.com/OpenJobDescription/openjd-specifications/wiki/How-Jobs-Are-Run, "Stdout/Stderr Messages".
    """
    match = _DIRECTIVE.fullmatch(line.rstrip())
    return (match[1], match[2]) if match else None


def last_status(lines: Iterable[str]) -> str | None:
    """Return the value of the last ``openjd_status`` line."""
    found = [item[1] for item in map(directive, lines) if item and item[0] == "status"]
    return found[-1] if found else None


def last_progress(lines: Iterable[str]) -> float | None:
    """Return the percentage (0 to 100) of the last valid ``openjd_progress`` line."""
    progress = None
    for line in lines:
        found = directive(line)
        if found and found[0] == "progress":
            try:
                progress = min(max(float(found[1]), 0.0), 100.0)
            except ValueError:
                continue
    return progress
