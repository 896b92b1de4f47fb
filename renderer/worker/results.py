"""Writes result.json, and finds out whether an earlier attempt has already written a valid one."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from backends.errors import InputError
from backends.exit_codes import ExitCode
from backends.files import sha256
from backends.problem import Problem
from backends.worker_protocol import FILES, RESULT, Output, UnitResult
from renderer.worker.unpacked_job import UnitReport, UnpackedJob
from renderer.worker.versions import find_versions


def read_earlier_result(folder: Path) -> UnitResult | None:
    """Return the result of an earlier attempt, if it succeeded and its files are still as it says."""
    try:
        result = UnitResult.read(folder / RESULT)
    except InputError:
        return None
    if result and result.exit_code == 0 and _list_outputs(folder / FILES) == tuple(result.outputs):
        return result
    return None


def write_result(job: UnpackedJob, unit: int, report: UnitReport, started: datetime) -> UnitResult:
    """Write the unit's result.json, whole or not at all, and return what it says."""
    folder = job.folder(unit)
    finished = datetime.now(UTC)
    _replace_links(folder / FILES)
    outputs = _list_outputs(folder / FILES)
    if unwritable := [output.path for output in outputs if not _is_text(output.path)]:
        message = f"the name of an output is not UTF-8: {unwritable[0]!a}"
        report = UnitReport(
            error=Problem(message=message, hint="write it under another name", exit_code=ExitCode.OUTPUT)
        )
        outputs = tuple(output for output in outputs if output.path not in unwritable)
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
    temporary = folder / f".{RESULT}.tmp"
    temporary.write_bytes(result.to_json().encode("utf-8", "replace"))
    temporary.replace(folder / RESULT)
    return result


def _replace_links(folder: Path) -> None:
    """Replace each link to another output with a copy of it, since links are not downloaded."""
    for path in folder.rglob("*"):
        if path.is_symlink() and path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            target = path.resolve()
            path.unlink()
            shutil.copyfile(target, path)


def _list_outputs(folder: Path) -> tuple[Output, ...]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return tuple(
        Output(path=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=sha256(path))
        for path in files
    )


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
