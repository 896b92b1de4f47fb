"""Looks at the jobs that run, as long as somebody needs to know about them."""

from __future__ import annotations

import logging

import anyio

from backends.errors import JobNotFoundError, RendererError
from renderer.serve.api.parts import Parts

SAMPLE_S = 2.0
MAX_PAUSE_S = 60.0  # after a backend has answered to nothing again and again
PER_JOB_S = 0.1  # so that a server with many jobs does not ask its backends all the time
_log = logging.getLogger(__name__)


async def sample(parts: Parts, backend: str) -> None:
    """Look at the running jobs of a backend again and again: all if somebody reads the metrics, else with webhooks."""
    service, pause = parts.service, SAMPLE_S
    while True:
        states = service.known_states(with_webhook=not parts.metrics.is_wanted)
        running = [entry for entry, state in states if entry.backend == backend and not (state and state.terminal)]
        wanted = [entry for entry in running if parts.metrics.is_wanted or parts.webhooks.is_waiting(entry)]
        answers = 0
        for entry in wanted:
            try:
                await parts.call(backend, service.status, entry)
            except JobNotFoundError:
                answers += 1
            except (RendererError, OSError) as error:  # no answer: the next look shows it
                _log.info("%s: %s", entry.handle, error)
            else:
                answers += 1
        pause = SAMPLE_S if answers or not wanted else min(2 * pause, MAX_PAUSE_S)
        await anyio.sleep(max(pause, len(wanted) * PER_JOB_S))
