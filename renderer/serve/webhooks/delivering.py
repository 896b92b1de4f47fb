"""Delivers a message at the end of each job that has a webhook, again and again until it is taken.

How far it is stands beside the job: in webhook.json of its record. So a server that was killed goes on when it is
started again. A message may come twice then, with the same webhook-id.

On Kubernetes the job itself says whether the message was sent. Some seconds after a job's end, replicas that did not
submit it send the message if the one that did has not.
"""

from __future__ import annotations

import json
import logging
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

import anyio
import anyio.to_thread

from backends import JobStatus
from backends.errors import RendererError, SpecError
from backends.untrusted.state_files import read_state, write_state
from backends.webhooks.message import make_message
from backends.webhooks.sending import NotDeliveredError, choose_pause, post_signed
from renderer.serve import replicas, tokens
from renderer.serve.documents import summary_document
from renderer.serve.service import Entry, Service

LOOK_S = 1.0
LOOK_ELSEWHERE_S = 10.0
TAKE_OVER_S = 15.0  # after a job's end: so long its own replica has for the first attempt
THREADS = 8
FILE = "webhook.json"
_MAX_BYTES = 2**16
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Delivery:
    """How far the message about a job is: ``at`` is when to send it next, in seconds since 1970."""

    attempts: int = 0
    at: float = 0.0
    is_done: bool = False
    fault: str | None = None


class Webhooks:
    """The messages of one server."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._known: dict[tuple[str, str], Delivery] = {}

    def find(self, entry: Entry) -> Delivery | None:
        """Return how far the message about a job is; None for a job without a webhook."""
        if entry.record is None or entry.record.webhook is None:
            return None
        if (known := self._known.get(entry.record.unique)) is None:
            known = self._known[entry.record.unique] = self._read(entry.id)
        return known

    def is_waiting(self, entry: Entry) -> bool:
        """Return whether there will be a message about the job."""
        delivery = self.find(entry)
        return delivery is not None and not delivery.is_done

    def _read(self, key: str) -> Delivery:
        with suppress(OSError, ValueError, TypeError):
            return Delivery(**json.loads(read_state(self._service.records.path(key) / FILE, _MAX_BYTES)))
        return Delivery()

    async def run(self) -> None:
        """Deliver messages as long as the server runs."""
        limiter, busy = anyio.CapacityLimiter(THREADS), set[str]()

        async def deliver(entry: Entry) -> None:
            try:
                await anyio.to_thread.run_sync(self._deliver, entry, limiter=limiter, abandon_on_cancel=True)
            finally:
                busy.discard(entry.id)

        async with anyio.create_task_group() as tasks:
            while True:
                for entry, state in self._service.known_states(with_webhook=True):
                    if state and state.terminal and entry.id not in busy and self._is_due(entry):
                        busy.add(entry.id)
                        tasks.start_soon(deliver, entry)
                await anyio.sleep(LOOK_S)

    async def look_elsewhere(self) -> None:
        """Find the jobs of other replicas that wait for a message, as long as the server runs."""
        while True:
            await anyio.to_thread.run_sync(self._service.adopt_unsent, abandon_on_cancel=True)
            await anyio.sleep(LOOK_ELSEWHERE_S)

    def _is_due(self, entry: Entry) -> bool:
        delivery = self.find(entry)
        return delivery is not None and not delivery.is_done and delivery.at <= time.time()

    def _deliver(self, entry: Entry) -> None:
        """Make one attempt, and write down what came of it."""
        delivery = self.find(entry)
        assert delivery and entry.record  # noqa: S101, PT018  # it is due
        try:
            status = self._service.status(entry, fresh=True)
            if self._is_others(entry, status):
                self._known[entry.record.unique] = replace(delivery, at=time.time() + LOOK_S)
                return
            was_sent = replicas.is_sent(status)
            if not was_sent:
                self._send(entry, status)
        except (NotDeliveredError, SpecError) as error:
            done = replace(delivery, attempts=delivery.attempts + 1, fault=str(error))
            pause = None if isinstance(error, SpecError) else choose_pause(done.attempts)
            if pause is None:
                done = replace(done, is_done=True)
                _log.warning("the webhook of %s was given up: %s", entry.id, error)
            else:
                done = replace(done, at=time.time() + pause)
                _log.info("the webhook of %s comes again in %.0f s: %s", entry.id, pause, error)
        except (RendererError, OSError) as error:  # its backend does not answer
            _log.info("%s: %s", entry.handle, error)
            return
        else:
            done = replace(delivery, attempts=delivery.attempts + (not was_sent), is_done=True, fault=None)
        if done.is_done:
            with suppress(RendererError, OSError):
                replicas.note_sent(entry.handle)
        self._known[entry.record.unique] = done
        folder = self._service.records.path(entry.id)
        if folder.is_dir():  # writing would make that of a job that was deleted in the meantime
            with suppress(OSError):
                write_state(folder / FILE, json.dumps(asdict(done)).encode())

    def _is_others(self, entry: Entry, status: JobStatus) -> bool:
        """Return whether the replica that submitted the job still has time to send the message."""
        ended = status.finished.timestamp() if status.finished else 0.0
        return self._service.records.is_adopted(entry.id) and ended + TAKE_OVER_S > time.time()

    def _send(self, entry: Entry, status: JobStatus) -> None:
        record = entry.record
        token = tokens.find_by_id(record.owner) if record else None
        if record is None or record.webhook is None or token is None or not token.webhook_secret:
            raise SpecError("the token whose secret signs it was revoked")
        body = make_message(status, summary_document(entry, status).model_dump(mode="json"))
        networks = self._service.policy.webhook_networks
        post_signed(record.webhook, body, f"msg_{entry.id}", token.webhook_secret, networks)
