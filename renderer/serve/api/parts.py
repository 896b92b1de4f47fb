"""What the routes of the API, the pages and the tools of agents share: calls of backends in threads, and who asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import Depends, Request
from fastapi import Path as PathParameter

from backends import JobStatus
from backends.errors import RendererError, TransientError
from renderer.serve import records, schemas
from renderer.serve.callers import Caller
from renderer.serve.documents import job_document
from renderer.serve.events import Followers
from renderer.serve.metrics.counting import Metrics
from renderer.serve.outputs import OutputStore
from renderer.serve.problems import reword
from renderer.serve.service import Entry, Service
from renderer.serve.webhooks.delivering import Webhooks

THREADS = 16  # that one backend may keep waiting, so that the others are still answered
THREAD_TIMEOUT_S = 10.0  # how long a request waits for one of them
LIST_TIMEOUT_S = 10.0  # how long a list of the jobs of several backends waits for all of them


class Parts:
    """What all routes share."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.is_ending: Callable[[], bool] = lambda: False  # whether the server was told to stop
        self.metrics, self.webhooks = Metrics(), Webhooks(service)
        service.on_status = self.metrics.observe
        self.outputs = OutputStore(service, self.metrics.add_frames)
        self.followers = Followers(service, self.call)
        self._limiters: dict[str, anyio.CapacityLimiter] = {}
        self._late: dict[asyncio.Task[Any], str] = {}  # lists that are not waited for any more, by their backends

    async def call(self, backend: str, function: Callable[..., Any], *arguments: object) -> Any:
        """Call a function that may wait for a backend, in a thread of those for this backend.

        Raises TransientError if all of them stay busy: earlier requests wait for a backend that does not answer.
        """
        limiter, borrower = self._limiters.setdefault(backend, anyio.CapacityLimiter(THREADS)), object()
        with anyio.move_on_after(THREAD_TIMEOUT_S) as waiting:
            await limiter.acquire_on_behalf_of(borrower)
        if waiting.cancelled_caught:
            raise TransientError(
                f"{THREADS} earlier requests still wait for an answer of the backend ({backend})",
                hint="send the request again in a minute; `renderer doctor` checks a backend",
            )
        try:
            own = anyio.CapacityLimiter(1)
            return await anyio.to_thread.run_sync(lambda: function(*arguments), limiter=own)
        finally:
            limiter.release_on_behalf_of(borrower)

    async def call_listing(self, backend: str, function: Callable[[str], Any]) -> Any:
        """Call a function that lists the jobs of a backend."""
        return await self.call(f"list of {self._known_backend(backend)}", function, backend)

    async def call_listings(
        self, backends: Sequence[str], function: Callable[[str], list[Any]]
    ) -> tuple[list[list[Any]], list[str]]:
        """Call a function that lists the jobs of a backend for each of several, for LIST_TIMEOUT_S at most.

        Return the lists, and a sentence about each backend that failed or has not answered. Such a backend is not asked
        again before its answer has come.
        """

        async def ask(name: str) -> list[Any] | str:
            try:
                found: list[Any] = await self.call_listing(name, function)
            except RendererError as error:
                return f"the jobs at {name} are missing here: {reword(str(error))}"
            return found

        late = set(self._late.values())
        tasks = {name: asyncio.create_task(ask(name)) for name in backends if name not in late}
        if tasks:
            await asyncio.wait(tasks.values(), timeout=LIST_TIMEOUT_S)
        for name, task in tasks.items():
            if not task.done():
                self._late[task] = name
                task.add_done_callback(self._late.pop)
        silent = [name for name in backends if name not in tasks or not tasks[name].done()]
        found = [task.result() for task in tasks.values() if task.done()]
        notes = [answer for answer in found if isinstance(answer, str)]
        notes += [f"the jobs at {name} are missing here: it has not answered so far" for name in silent]
        return [answer for answer in found if not isinstance(answer, str)], notes

    async def call_submit(self, backend: object, function: Callable[..., Any], *arguments: object) -> Any:
        """Call a function that submits a job to a backend; None for the one of the server's settings."""
        return await self.call(f"submit to {self._known_backend(backend)}", function, *arguments)

    def _known_backend(self, name: object) -> str:
        """Return the name of a backend, and one name for all else: what callers write makes no more threads."""
        return str(name) if name in self.service.policy.backends else "any backend"

    async def find(self, request: Request, key: str) -> Entry:
        """Return the job that an address names. Raises JobNotFoundError."""
        find, caller = self.service.find, caller_of(request)
        if self.service.records.find(key) or not records.is_id(key):
            return find(caller, key)
        entry: Entry = await self.call("search", find, caller, key)  # it may be the job of another replica
        return entry

    async def status(self, entry: Entry) -> JobStatus:
        """Return the state of a job."""
        status: JobStatus = await self.call(entry.backend, self.service.status, entry)
        return status

    def describe(self, entry: Entry, status: JobStatus) -> schemas.Job:
        """Return the document of a job."""
        delivery = self.webhooks.find(entry)
        if delivery is None:
            return job_document(entry, status)
        is_delivered = delivery.is_done and delivery.fault is None
        webhook = schemas.WebhookState(delivered=is_delivered, attempts=delivery.attempts, error=delivery.fault)
        return job_document(entry, status, webhook)


def caller_of(request: Request) -> Caller:
    """Return who asks, as the guard has found out."""
    caller: Caller = request.state.caller
    return caller


def parts_of(request: Request) -> Parts:
    """Return what the routes share."""
    parts: Parts = request.app.state.parts
    return parts


Shared = Annotated[Parts, Depends(parts_of)]
Who = Annotated[Caller, Depends(caller_of)]
_Id = Annotated[
    str, PathParameter(alias="id", max_length=1000, pattern=r"^[A-Za-z0-9_-]+$", description="the job's `id`")
]


async def _find(request: Request, parts: Shared, key: _Id) -> Entry:
    return await parts.find(request, key)


Found = Annotated[Entry, Depends(_find)]
