"""Looks at the jobs that run, as long as somebody needs to know about them."""

from __future__ import annotations

import logging

import anyio

from backends.errors import RendererError
from renderer.serve.api import Parts

SAMPLE_S = 2.0
PER_JOB_S = 0.1  # so that a server with many jobs does not ask its backends all the time
_log = logging.getLogger(__name__)


async def sample(parts: Parts, backend: str) -> None:
    """Look at the running jobs of a backend again and again, if somebody reads the metrics."""
    service = parts.service
    while True:
        count = 0
        if parts.metrics.is_wanted:
            states = service.known_states()
            active = [entry for entry, state in states if entry.backend == backend and not (state and state.terminal)]
            count = len(active)
            for entry in active:
                try:
                    await parts.call(backend, service.status, entry)
                except (RendererError, OSError) as error:  # gone, or no answer: the next look shows it
                    _log.info("%s: %s", entry.handle, error)
        await anyio.sleep(max(SAMPLE_S, count * PER_JOB_S))
