"""What backends and the worker agree on: the worker's command line, the files of a unit, the lines that it prints."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from backends.exit_codes import ExitCode
from backends.problem import Problem

LOG = "log.txt"
RESULT = "result.json"
FILES = "files"  # the folder of a unit that holds its outputs
OUTPUT_DIR = "RENDERER_OUTPUT_DIR"  # a variable of the user's code: the folder of its unit
PACKAGES = "RENDERER_PACKAGES"  # a variable of the worker: the folder that keeps environments with packages
INSTALLER = "renderer.worker.packages"  # the module that makes an environment of the requirements on its stdin
CHANGED = "changed"  # the folder of a unit for the video of the first play that was drawn, while it renders
# Exit codes of failures that may be temporary, so that a retry makes sense. The user's own errors are not among them.
RETRIED = frozenset({ExitCode.INTERNAL, ExitCode.TRANSIENT, ExitCode.LOST, ExitCode.TERMINATED})
WORKER = "renderer.worker"  # the module that runs units
ARCHIVE = "renderer-worker"  # the file that runs such a module with any image's Python: backends.image.worker_archive

# Lines that a worker with REPORT writes to stderr, where no unit can write: b"renderer_unit_started: 0", and
# b"renderer_unit_ended: 0 {…}" with the unit's result in one line.
REPORT = "--report"
STARTED, ENDED = b"renderer_unit_started: ", b"renderer_unit_ended: "
# With SEND also b"renderer_unit_printed: 0 BASE64", a piece of the unit's log, and b"renderer_unit_stored: 0 BASE64", a
# piece of its outputs as one stream (backends.output_stream), which is complete when the unit's end is reported.
SEND = "--send"
PRINTED, STORED = b"renderer_unit_printed: ", b"renderer_unit_stored: "

# With LABEL each line on stdout begins with the index of its unit, as in "17: text". Lines with UNITS are between them,
# which say how far all units of the worker are: backends.untrusted.unit_states has their format.
LABEL = "--label"
STATES = "--states"  # how units ended in earlier workers, in the same format
UNITS = "renderer_units: "

_DIRECTIVE_START = "openjd_"
_DIRECTIVE = re.compile(r"openjd_(progress|status|fail): ?(.*)")
_STATUS_LENGTH = 1000  # characters


def worker_command(
    start: Iterable[str],
    *,
    task: str,
    bundle: str,
    output: str,
    units: Iterable[int],
    report: bool = False,
    options: Iterable[str] = (),
) -> list[str]:
    """Return the command that renders ``units`` into ``output/INDEX/``; task, bundle and output are paths.

    ``start`` is the command that runs the module WORKER. With ``report`` the worker writes to stderr when a unit
    starts, and how it ended. ``options`` are further ones of its command line.
    """
    command = [*start, "--task", task, "--bundle", bundle, "--output", output, *options]
    if report:
        command.append(REPORT)
    for unit in units:
        command += ["--unit", str(unit)]
    return command


@dataclass(frozen=True)
class Output:
    """One file that a unit wrote. ``path`` is relative to the unit's folder ``files``, with slashes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
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
        return json.dumps(self._content(), indent=2, ensure_ascii=False) + "\n"

    def to_line(self) -> bytes:
        """Return the same document in one line."""
        return json.dumps(self._content()).encode()

    def _content(self) -> dict[str, Any]:
        content = {**vars(self), "outputs": [vars(output) for output in self.outputs]}  # quicker than asdict
        if self.error:  # the result has an exit code of its own, and whoever reads it knows where it comes from
            content["error"] = {key: getattr(self.error, key) for key in ("message", "hint", "details")}
        return content


def directive(line: str) -> tuple[str, str] | None:
    """Return name and value of an Open Job Description line, such as ("progress", "42.0"); None for any other line.

    See https://github.com/OpenJobDescription/openjd-specifications/wiki/How-Jobs-Are-Run, "Stdout/Stderr Messages".
    """
    if not line.startswith(_DIRECTIVE_START):
        return None
    match = _DIRECTIVE.fullmatch(line.rstrip())
    return (match[1], match[2]) if match else None


def split_label(line: str) -> tuple[int, str] | None:
    """Return the unit and the text of a line that a worker with LABEL printed; None for another line."""
    number, colon, text = line.partition(": ")
    if not colon and line.endswith(":"):
        number, colon, text = line[:-1], ":", ""
    is_number = number.isascii() and number.isdecimal() and len(number) < 10  # noqa: PLR2004
    return (int(number), text) if colon and is_number else None


def last_status(lines: Iterable[str]) -> str | None:
    """Return the value of the last ``openjd_status`` line, cut to a usual length."""
    found = [item[1] for item in map(directive, lines) if item and item[0] == "status"]
    return found[-1][:_STATUS_LENGTH] if found else None


def last_progress(lines: Iterable[str]) -> float | None:
    """Return the percentage (0 to 100) of the last valid ``openjd_progress`` line."""
    progress = None
    for line in lines:
        found = directive(line)
        if found and found[0] == "progress":
            with suppress(ValueError):
                progress = min(max(_parse_number(found[1]), 0.0), 100.0)
    return progress


def _parse_number(text: str) -> float:
    number = float(text)
    if math.isnan(number):
        raise ValueError(text)
    return number
