"""A client of one API server. It sends and receives JSON objects, and repeats requests while the server is down."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from backends.errors import BackendError, TransientError
from backends.kubernetes.client import kubeconfig
from backends.kubernetes.client.errors import ApiError, NotFoundError, UnauthorizedError, is_temporary
from backends.kubernetes.client.lines import split_lines
from backends.kubernetes.client.transport import READ_TIMEOUT_S, Body, Connection, Query

if TYPE_CHECKING:
    from websocket import WebSocket

JsonObject = dict[str, Any]
Answer = TypeVar("Answer")

OUTAGE_TIMEOUT_S = 60.0  # how long requests are repeated while an API server is down
FIRST_PAUSE_S, MAX_PAUSE_S = 0.1, 2.0
PAGE_SIZE = 200
STREAM_CHUNK = 65536


class Api:
    """Sends requests to the API server of one context. It connects at the first request. It is thread-safe."""

    def __init__(self, context: str | None) -> None:
        """Load the context from the kubeconfig, by default the current one. Raises SpecError, BackendError."""
        self.context = kubeconfig.load_context(context)
        self.calls = 0
        self._outage_timeout_s = OUTAGE_TIMEOUT_S
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    @contextmanager
    def without_retries(self) -> Iterator[None]:
        """Do not repeat requests within the block: the first failure raises TransientError."""
        self._outage_timeout_s = 0.0
        try:
            yield
        finally:
            self._outage_timeout_s = OUTAGE_TIMEOUT_S

    def get(self, path: str, **query: str | int) -> JsonObject:
        """Return one object."""
        return self._request("GET", path, query)

    def create(self, path: str, body: Body, **query: str | int) -> JsonObject:
        """Create one object; with ``dryRun="All"`` the server only validates it."""
        return self._request("POST", path, query, body)

    def patch(self, path: str, body: Body) -> JsonObject:
        """Merge ``body`` into one object."""
        return self._request("PATCH", path, {}, body, content_type="application/merge-patch+json")

    def apply(self, path: str, body: Body) -> JsonObject:
        """Create or update one object (server-side apply). Raises ConflictError if another manager owns a field."""
        query = {"fieldManager": "renderer"}
        return self._request("PATCH", path, query, body, content_type="application/apply-patch+yaml")

    def delete(self, path: str, **options: object) -> bool:
        """Delete one object and return whether it existed."""
        try:
            self._request("DELETE", path, {}, {"kind": "DeleteOptions", "apiVersion": "v1", **options})
        except NotFoundError:
            return False
        return True

    def list_items(self, path: str, **query: str | int) -> Iterator[JsonObject]:
        """Yield the objects of a list. Only one page of them is in memory at a time."""
        for page in self.list_pages(path, **query):
            yield from page.get("items") or []

    def list_pages(self, path: str, **query: str | int) -> Iterator[JsonObject]:
        """Yield the pages of a list; ``metadata.resourceVersion`` is the version to watch from."""
        query["limit"] = PAGE_SIZE
        while True:
            page = self._request("GET", path, query)
            yield page
            token = page["metadata"].get("continue")
            if not token:
                return
            query["continue"] = token

    def watch(self, path: str, version: str, seconds: int, **query: str | int) -> Iterator[JsonObject]:
        """Yield the changes after ``version``, for ``seconds``. Raises TransientError when the connection breaks."""
        query |= {"watch": "1", "resourceVersion": version, "timeoutSeconds": seconds, "allowWatchBookmarks": "true"}
        for line in self.stream_lines(path, query, read_timeout_s=seconds + READ_TIMEOUT_S):
            yield json.loads(line)

    def stream_lines(
        self, path: str, query: Query, *, read_timeout_s: float = READ_TIMEOUT_S, limit: int | None = None
    ) -> Iterator[bytes]:
        """Yield the lines of an answer as they arrive, each up to ``limit`` bytes, also a last one without newline.

        A last line without a newline is yielded as well; the official client's Watch loses it.
        """
        import urllib3

        response = self._retry(lambda to: to.send("GET", path, query, read_timeout_s=read_timeout_s, streamed=True))
        try:
            yield from split_lines(response.stream(STREAM_CHUNK, decode_content=True), limit)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise TransientError(f"the connection to {self.server} broke") from error
        finally:
            response.close()
            response.release_conn()

    def open_websocket(self, path: str, query: list[tuple[str, str]]) -> WebSocket:
        """Open a connection for exec, without retries. Raises ApiError, BackendError, TransientError."""
        return self._renew_credentials(lambda to: to.open_websocket(path, query))

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self._connect().server

    def _request(self, method: str, path: str, query: Query, body: Body | None = None, **options: Any) -> JsonObject:
        response = self._retry(lambda to: to.send(method, path, query, body, **options))
        answer: JsonObject = json.loads(response.data)
        return answer

    def _retry(self, send: Callable[[Connection], Answer]) -> Answer:
        """Send, and return the answer; repeat it while the server is down. Raises ApiError, TransientError."""
        until = time.monotonic() + self._outage_timeout_s
        pause = FIRST_PAUSE_S
        while True:
            try:
                return self._renew_credentials(send)
            except ApiError as error:
                if not is_temporary(error) or time.monotonic() > until:
                    raise
            except TransientError:
                if time.monotonic() > until:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, MAX_PAUSE_S)

    def _renew_credentials(self, send: Callable[[Connection], Answer]) -> Answer:
        """Send, and return the answer. If the server refuses the credentials, load them again and send once more."""
        for _ in range(2):
            connection = self._connect()
            self.calls += 1
            try:
                return send(connection)
            except UnauthorizedError:
                self._disconnect(connection)
        raise BackendError(
            f"the cluster of context {self.context.name!r} does not accept the credentials: they may have expired",
            hint="log in to the cluster again",
        )

    def _connect(self) -> Connection:
        with self._lock:
            if self._connection is None:
                self._connection = Connection(self.context)
            return self._connection

    def _disconnect(self, connection: Connection) -> None:
        with self._lock:
            if self._connection is connection:  # otherwise another thread has renewed it
                self._connection, self.context = None, kubeconfig.load_context(self.context.name)
