"""``renderer.map``: runs a scene or a script once for each input, and yields the results."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from backends import JobHandle
from renderer import api, config, fetch
from renderer.maps import sources
from renderer.maps.results import MapResult
from renderer.spec import RenderSpec

FETCH_INTERVAL_S = 1.0  # how often outputs are downloaded while the job runs


class MappedJob(Iterator[MapResult]):
    """A map that was submitted: an iterator over its results, in the order of the inputs or as they finish.

    The outputs of an input are downloaded before its result is yielded. After the last one, results.jsonl is written.
    The job goes on if nobody iterates, also after a ``break``: a second loop yields the results that are left.
    ``job.cancel()`` ends it.
    """

    def __init__(self, job: api.Job, planned: api.PlannedJob, output: Path, *, ordered: bool) -> None:
        self.job = job
        self._inputs = planned.prepared.inputs
        self._output, self._overwrite, self._ordered = output, planned.loaded.settings.overwrite, ordered
        self._results = self._follow()

    @property
    def handle(self) -> JobHandle:
        """The job's handle."""
        return self.job.handle

    def __iter__(self) -> MappedJob:
        return self

    def __next__(self) -> MapResult:
        """Return the next result. Raises OutputError, after the last one, for outputs that could not be written."""
        return next(self._results)

    def _follow(self) -> Iterator[MapResult]:
        found: dict[int, MapResult] = {}
        batches: list[fetch.Fetched] = []
        position, last = 0, time.monotonic()
        for status in self.job.statuses():
            ended = [unit for unit, item in enumerate(status.units) if item.state.terminal and unit not in found]
            if not status.state.terminal and (not ended or time.monotonic() - last < FETCH_INTERVAL_S):
                continue
            batch = fetch.download_units(
                self.job.backend, status, self._output, overwrite=self._overwrite, inputs=self._inputs, units=ended
            )
            batches.append(batch)
            new = dict(zip(sorted(ended), batch.results, strict=True))
            found |= new
            last = time.monotonic()
            if not self._ordered:
                yield from new.values()
            while self._ordered and position in found:
                yield found[position]
                position += 1
        batches.append(
            fetch.write_table([found[unit] for unit in sorted(found)], self._output, overwrite=self._overwrite)
        )
        for batch in batches:
            batch.require_whole(self.handle, self._output)


def map(  # noqa: A001  # as Python's own function, and Modal's
    path: str | Path,
    inputs: str | Iterable[object],
    *,
    scene: str | None = None,
    arguments: tuple[str, ...] = (),
    ordered: bool = True,
    max_failed: int | None = None,
    parallelism: int | None = None,
    root: str | Path | None = None,
    **settings: Any,
) -> MappedJob:
    """Submit a map, and return an iterator over its results: in the order of the inputs, or as they finish.

    ``inputs`` are JSON values, or a text as --over takes it: a file, ``range:100``, a pattern of files.
    ``parallelism`` is how many run at the same time at most; on Modal, ``modal.max_containers`` is that. ``settings``
    are those of ``renderer.submit``; outputs go to the folder ``output``. Raises SpecError for a wrong request, before
    anything is sent.
    """
    if parallelism is not None:
        settings["k8s.parallelism"] = parallelism
    are_files = isinstance(inputs, str) and sources.is_pattern(inputs)
    wanted = RenderSpec(
        path=Path(path),
        scenes=(scene,) if scene else (),
        arguments=arguments,
        root=None if root is None else Path(root),
        inputs=sources.read_inputs(inputs) if isinstance(inputs, str) else sources.take_values(inputs),
        are_files=are_files,
        max_failed=max_failed,
    )
    planned = api.plan(wanted, config.load(settings, source="argument"))
    folder = planned.loaded.settings.output
    fetch.check_writable(folder)
    return MappedJob(planned.submit(), planned, folder, ordered=ordered)
