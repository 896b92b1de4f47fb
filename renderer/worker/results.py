"""Writes result.json, and finds out whether an earlier attempt has already written a valid one."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from backends.chunk_store.shard_results import has_outputs
from backends.errors import OutputError
from backends.exit_codes import ExitCode
from backends.output_stream import list_files
from backends.problem import Problem
from backends.untrusted import (
    create_beneath,
    open_beneath,
    parse_result,
    read_bounded,
)
from backends.worker_protocol import FILES, RESULT, Output, UnitResult
from renderer.worker.unpacked_job import SHARD_JOINS, UnitReport, UnpackedJob
from renderer.worker.versions import find_versions
from renderer.worker.working_folder import WorkingFolder, find_name_fault, read_chunks

HASH_TIMEOUT_S = 5.0  # allowed even if the unit has used up its time limit


def read_earlier_result(job: UnpackedJob, unit: int) -> UnitResult | None:
    """Return the result of an earlier attempt, if it succeeded and its files are still as it says.

    That of a shard is none for the process that joins the clips of all in its place.
    """
    with suppress(OSError, OutputError), open_beneath(job.folder(unit), RESULT) as file:
        data = read_bounded(file, job.limits.result)
        result = parse_result(data, unit=job.name(unit), limits=job.limits)
        outputs, problem = _find_outputs(job, unit, time.monotonic() + job.payload.timeout)
        is_share = os.environ.get(SHARD_JOINS) == "1" and not has_outputs(result)
        if result.exit_code == 0 and not is_share and problem is None and outputs == tuple(result.outputs):
            return result
    return None


def write_result(
    job: UnpackedJob, unit: int, report: UnitReport, working: WorkingFolder, *, started: datetime, deadline: float
) -> UnitResult:
    """Collect the unit's outputs, write the unit's result.json, whole or not at all, and return what it says.

    A unit whose outputs have bad names, are too many to list or too large, or cannot be read by ``deadline`` (a time of
    time.monotonic()) has failed, and has no outputs.
    """
    left = None if job.payload.preview else working  # a preview is the same whatever else the scene writes
    if is_share := bool(job.payload.shards and not report.error and not _has_joined(report)):
        shutil.rmtree(job.folder(unit) / FILES, ignore_errors=True)  # the shard that joins the clips has the outputs
    until = max(deadline, time.monotonic() + HASH_TIMEOUT_S)
    outputs, problem = ((), None) if is_share else _find_outputs(job, unit, until, left)
    report = replace(report, error=report.error or problem)
    finished = datetime.now(timezone.utc)
    result = UnitResult(
        unit=job.name(unit),
        exit_code=int(report.exit_code),
        outputs=outputs,
        error=report.error,
        render={**report.render, **job.describe_input(unit)},
        encoder=report.encoder,
        versions=find_versions(job.payload.kind),
        seconds={**report.seconds, "total": round((finished - started).total_seconds(), 3)},
        started=started.isoformat(timespec="milliseconds"),
        finished=finished.isoformat(timespec="milliseconds"),
    )
    if len(data := _encode(result)) > job.limits.result:
        error = OutputError(
            f"the list of the {len(outputs):,} files that {result.unit} made has more than"
            f" {job.limits.result // 2**20} MiB",
            hint="write fewer files, for example one archive of them",
        )
        result = replace(result, exit_code=int(error.exit_code), outputs=(), error=_describe(error))
        data = _encode(result)
    temporary = f".{secrets.token_hex(8)}"
    with create_beneath(job.output, f"{unit}/{temporary}") as file:
        file.write(data)
    (job.folder(unit) / temporary).replace(job.folder(unit) / RESULT)
    return result


def _encode(result: UnitResult) -> bytes:
    return result.to_json().encode("utf-8", "replace")


def _has_joined(report: UnitReport) -> bool:
    shards = report.render.get("shards")
    return isinstance(shards, dict) and shards.get("joined") is True


def _find_outputs(
    job: UnpackedJob, unit: int, deadline: float, working: WorkingFolder | None = None
) -> tuple[tuple[Output, ...], Problem | None]:
    """Return the outputs of a unit, with what it left in its working folder, and what is wrong with them."""
    folder = job.folder(unit) / FILES
    try:
        fault = working.move_outputs(folder, deadline) if working else None
        files = list_files(folder, job.limits) if os.path.lexists(folder) else []
        bad = {name: error for name, _ in files if (error := find_name_fault(name))}
        outputs = tuple(
            Output(path=name, size=size, sha256=_hash(folder, name, size, deadline))
            for name, size in files
            if name not in bad
        )
        fault = fault or next(iter(bad.values()), None)
        return outputs, _describe(fault) if fault else None
    except TimeoutError:
        message = f"{job.name(unit)} took longer than the time limit of {job.payload.timeout:g} s"
        hint = "raise --timeout: reading the outputs is part of it"
        return (), Problem(message=message, hint=hint, exit_code=ExitCode.TIMEOUT)
    except OutputError as error:
        return (), _describe(error)
    except OSError as error:
        return (), _describe(OutputError(f"cannot read the outputs: {error.strerror}"))


def _describe(error: OutputError) -> Problem:
    return Problem(message=str(error), hint=error.hint, exit_code=error.exit_code)


def _hash(folder: Path, name: str, size: int, deadline: float) -> str:
    """Return the SHA-256 of the first ``size`` bytes of an output."""
    digest = hashlib.sha256()
    with open_beneath(folder, name) as file:
        for data in read_chunks(file, size, deadline):
            digest.update(data)
    return digest.hexdigest()
