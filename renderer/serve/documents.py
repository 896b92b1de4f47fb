"""Turns statuses and outputs into the documents of the API."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from backends import JobStatus, UnitStatus
from renderer.serve import schemas
from renderer.serve.outputs import OutputTable
from renderer.serve.problems import hint_of, message_of, reword
from renderer.serve.service import Entry, name_of


def job_document(entry: Entry, status: JobStatus, webhook: schemas.WebhookState | None = None) -> schemas.Job:
    """Return a job with its units."""
    return schemas.Job(
        **_common_facts(entry, status),
        reason=message_of(status),
        hint=hint_of(status),
        notes=[reword(note) for note in status.notes],
        units=[unit_document(unit) for unit in status.units],
        webhook=webhook,
    )


def _common_facts(entry: Entry, status: JobStatus) -> dict[str, Any]:
    """Return what a job and a job in a list have in common."""
    return {
        "id": entry.id,
        "handle": str(status.handle),
        "backend": entry.backend,
        "name": name_of(entry, status),
        "state": status.state,
        "exit_code": status.exit_code,
        "created": status.created,
        "finished": status.finished,
    }


def unit_document(unit: UnitStatus) -> schemas.Unit:
    """Return a unit."""
    return schemas.Unit(
        name=unit.name,
        state=unit.state,
        progress=unit.progress,
        message=message_of(unit),
        hint=hint_of(unit),
        from_job=unit.from_job,
        details=unit.details,
        exit_code=unit.exit_code,
        attempt=unit.attempt,
    )


def summary_document(entry: Entry, status: JobStatus) -> schemas.JobSummary:
    """Return a job as it is in a list."""
    return schemas.JobSummary(
        **_common_facts(entry, status),
        progress=progress_of(status),
        units=status.counts.total,
        ended=status.counts.ended,
        failed=status.counts.failed,
    )


def progress_of(status: JobStatus) -> float | None:
    """Return the progress of all units together, in percent; None before the first has reported any, or has ended."""
    if all(unit.progress is None and not unit.state.terminal for unit in status.units):
        return None
    done = sum(100.0 if unit.state.terminal else unit.progress or 0.0 for unit in status.units)
    return round(done / len(status.units), 1)


def outputs_document(entry: Entry, table: OutputTable) -> schemas.Outputs:
    """Return the files of a job with their addresses."""
    files = [
        schemas.Output(
            path=file.path,
            size=file.size,
            sha256=file.sha256,
            type=file.type,
            url=f"/api/v1/jobs/{entry.id}/outputs/{quote(file.path)}",
        )
        for file in table.files
    ]
    return schemas.Outputs(outputs=files, note=table.note, units=list(table.units))
