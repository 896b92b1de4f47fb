"""Writes result.json, and finds out whether an earlier attempt has already written a valid one."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from backends.errors import OutputError
from backends.exit_codes import ExitCode
from backends.output_stream import list_files
from backends.problem import Problem
from backends.untrusted import (
    Limits,
    OutputCounter,
    check_relative_name,
    create_beneath,
    open_beneath,
    parse_result,
    read_bounded,
)
from backends.worker_protocol import FILES, RESULT, Output, UnitResult
from renderer.worker.unpacked_job import UnitReport, UnpackedJob
from renderer.worker.versions import find_versions

HASH_TIMEOUT_S = 5.0  # allowed even if the unit has used up its time limit
CHUNK = 2**20


def read_earlier_result(job: UnpackedJob, unit: int) -> UnitResult | None:
    """Return the result of an earlier attempt, if it succeeded and its files are still as it says."""
    with suppress(OSError, OutputError), open_beneath(job.folder(unit), RESULT) as file:
        data = read_bounded(file, job.limits.result)
        result = parse_result(data, unit=job.payload.units[unit], limits=job.limits)
        outputs, problem = _find_outputs(job, unit, time.monotonic() + job.payload.timeout)
        if result.exit_code == 0 and problem is None and outputs == tuple(result.outputs):
            return result
    return None


def write_result(job: UnpackedJob, unit: int, report: UnitReport, *, started: datetime, deadline: float) -> UnitResult:
    """Write the unit's result.json, whole or not at all, and return what it says.

    A unit whose outputs have bad names, are too many or too large, or cannot be read by ``deadline`` (a time of
    time.monotonic()) has failed, and has no outputs.
    """
    outputs, problem = _find_outputs(job, unit, max(deadline, time.monotonic() + HASH_TIMEOUT_S))
    report = replace(report, error=report.error or problem)
    finished = datetime.now(UTC)
    result = UnitResult(
        unit=job.payload.units[unit],
        exit_code=int(report.exit_code),
        outputs=outputs,
        error=report.error,
        render=report.render,
        encoder=report.encoder,
        versions=find_versions(job.payload.kind),
        seconds={**report.seconds, "total": round((finished - started).total_seconds(), 3)},
        started=started.isoformat(timespec="milliseconds"),
        finished=finished.isoformat(timespec="milliseconds"),
    )
    temporary = f".{secrets.token_hex(8)}"
    with create_beneath(job.output, f"{unit}/{temporary}") as file:
        file.write(result.to_json().encode("utf-8", "replace"))
    (job.folder(unit) / temporary).replace(job.folder(unit) / RESULT)
    return result


def _find_outputs(job: UnpackedJob, unit: int, deadline: float) -> tuple[tuple[Output, ...], Problem | None]:
    """Return the outputs of a unit, and what is wrong with them."""
    folder = job.folder(unit) / FILES
    try:
        _replace_links(folder, job.limits, deadline)
        files = list_files(folder, job.limits)
        bad = {name: error for name, _ in files if (error := _find_fault(name))}
        outputs = tuple(
            Output(path=name, size=size, sha256=_hash(folder, name, size, deadline))
            for name, size in files
            if name not in bad
        )
        return outputs, _describe(next(iter(bad.values()))) if bad else None
    except TimeoutError:
        message = f"{job.payload.units[unit]} took longer than the time limit of {job.payload.timeout:g} s"
        hint = "raise --timeout: reading the outputs is part of it"
        return (), Problem(message=message, hint=hint, exit_code=ExitCode.TIMEOUT)
    except OutputError as error:
        return (), _describe(error)
    except OSError as error:
        return (), _describe(OutputError(f"cannot read the outputs: {error.strerror}"))


def _describe(error: OutputError) -> Problem:
    return Problem(message=str(error), hint=error.hint, exit_code=error.exit_code)


def _find_fault(name: str) -> OutputError | None:
    try:
        name.encode()
        check_relative_name(name)
    except UnicodeEncodeError:
        message = f"the name of an output is not UTF-8: {name!a}"
        return OutputError(message, hint="write it under another name")
    except OutputError as error:
        return error
    return None


def _replace_links(folder: Path, limits: Limits, deadline: float) -> None:
    """Replace each link to another output with a copy of it, since links are not downloaded."""
    list_files(folder, limits)  # raises OutputError if there is too much
    counter, links = OutputCounter(limits), {}
    for path in folder.rglob("*"):
        if path.is_symlink() and path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            links[path] = path.resolve()
            counter.add(links[path].stat().st_size)
    for path, target in links.items():
        path.unlink()
        with target.open("rb") as source, path.open("xb") as copy:
            for data in _read(source, target.stat().st_size, deadline):
                copy.write(data)


def _hash(folder: Path, name: str, size: int, deadline: float) -> str:
    """Return the SHA-256 of the first ``size`` bytes of an output."""
    digest = hashlib.sha256()
    with open_beneath(folder, name) as file:
        for data in _read(file, size, deadline):
            digest.update(data)
    return digest.hexdigest()


def _read(file: BinaryIO, size: int, deadline: float) -> Iterator[bytes]:
    while size > 0 and (data := file.read(min(size, CHUNK))):
        if time.monotonic() > deadline:
            raise TimeoutError
        yield data
        size -= len(data)
