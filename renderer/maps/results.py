"""The results of a map's inputs, and the file ``results.jsonl`` that lists them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends import JobState, JobStatus, UnitStatus
from backends.errors import OutputError, SpecError
from backends.untrusted import Limits, open_beneath, read_bounded
from backends.worker_protocol import UnitResult
from renderer.maps.inputs import MapInput
from renderer.maps.sources import check_name
from renderer.output_folder import Download

RESULTS = "results.jsonl"


@dataclass(frozen=True, kw_only=True)
class MapResult:
    """How one input ended. ``files`` are its outputs; ``seconds`` is how long it ran, None if that is not known.

    ``message`` is why it failed, ``job`` the handle of the job that ran it.
    """

    index: int
    name: str
    input: Any
    state: JobState
    exit_code: int | None
    files: tuple[Path, ...]
    seconds: float | None
    message: str | None
    job: str

    def to_row(self, into: Path) -> dict[str, object]:
        """Return the object on the input's line, with paths relative to ``into``."""
        files = [path.relative_to(into).as_posix() for path in self.files]
        return {**vars(self), "state": self.state.value, "files": files}


def make_result(
    item: MapInput, unit: UnitStatus, result: UnitResult | None, files: Sequence[Path], job: str
) -> MapResult:
    """Return the result of an input, from the unit's status and from its result.json if it has stored one."""
    return MapResult(
        index=item.index,
        name=item.name,
        input=item.value,
        state=unit.state,
        exit_code=unit.exit_code,
        files=tuple(files),
        seconds=result.seconds.get("total") if result else None,
        message=unit.message if unit.state is not JobState.SUCCEEDED else None,
        job=job,
    )


def find_inputs(
    known: Sequence[MapInput], status: JobStatus, results: Mapping[int, UnitResult]
) -> Mapping[int, MapInput]:
    """Return the input of each unit by its index; nothing for a job that is not a map.

    They are ``known`` on the machine that submitted the job. On others they are what the results say.
    """
    if len(known) == len(status.units):
        return dict(enumerate(known))
    reported = {unit: item for unit, result in results.items() if (item := read_reported_input(result, unit))}
    return {unit: reported.get(unit) or MapInput(unit, None) for unit in range(len(status.units))} if reported else {}


def read_reported_input(result: UnitResult, unit: int) -> MapInput | None:
    """Return the input that a unit's result.json names; None for a unit that is not one of a map.

    The job may have written anything there: a name that cannot be one is left out.
    """
    line = result.render.get("input")
    if not isinstance(line, str):
        return None
    try:
        item = MapInput.from_line(line)
        if item.name:
            check_name(item.name, f"unit {unit}")
    except (ValueError, TypeError, KeyError, RecursionError, SpecError):
        return MapInput(unit, None)
    return item


def write_rows(results: Iterable[MapResult], into: Path, staging: Path, *, earlier: Collection[str]) -> Download:
    """Write results.jsonl to ``staging``, to be moved to the folder ``into``.

    It keeps the lines there that are of ``earlier`` jobs, whose failed inputs were run again; those are replaced.
    """
    rows = {index: row for index, row in _read_rows(into).items() if row.get("job") in earlier} if earlier else {}
    rows |= {result.index: result.to_row(into) for result in results}
    path = staging / RESULTS
    path.write_text(
        "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for _, row in sorted(rows.items())), "utf-8", "replace"
    )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Download(source="map", unit=RESULTS, index=0, name=RESULTS, sha256=digest, path=path)


def _read_rows(into: Path) -> dict[int, Mapping[str, object]]:
    """Return the lines of results.jsonl in the folder, by index; nothing if there are none, or others than ours."""
    with suppress(OSError, OutputError, ValueError, TypeError, KeyError):
        with open_beneath(into, RESULTS) as file:
            rows = [json.loads(line) for line in read_bounded(file, Limits().log).splitlines()]
        return {int(row["index"]): row for row in rows}
    return {}
