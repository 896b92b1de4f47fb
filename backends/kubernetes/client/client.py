"""The API server: plain dictionaries, patience while it is away, and every failure in words."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from backends.errors import BackendError, TransientError
from backends.kubernetes.client import kubeconfig
from backends.kubernetes.client.errors import ApiError
from backends.kubernetes.client.transport import READ_S, Connection

Object = dict[str, Any]
Answer = TypeVar("Answer")

PATIENCE_S = 60.0  # how long an API server may be away
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
PAGE = 200
_AWAY = frozenset({429, 500, 502, 503, 504})
_DENIED, _FORBIDDEN, _CONFLICT = 401, 403, 409


class Api:
    """One context's API server. Connections are made when first needed and may be used from many threads."""

    def __init__(self, context: str | None) -> None:
        """Find the context, the current one by default. Raises SpecError, BackendError."""
        self.context = kubeconfig.load(context)
        self.patience_s = PATIENCE_S
        self.calls = 0
        self._lock = threading.Lock()
        self._connected: Connection | None = None

    @contextmanager
    def impatient(self) -> Iterator[None]:
        """Within the block a server that is away is told at once."""
        self.patience_s = 0.0
        try:
            yield
        finally:
            self.patience_s = PATIENCE_S

    def get(self, path: str, **query: Any) -> Object:
        """Read one object."""
        return self._json("GET", path, query)

    def create(self, path: str, body: Mapping[str, Any], **query: Any) -> Object:
        """Create one object; with ``dryRun="All"`` only ask whether it would be taken."""
        return self._json("POST", path, query, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Object:
        """Lay ``body`` over one object."""
        return self._json("PATCH", path, {}, body, kind="application/merge-patch+json")

    def apply(self, path: str, body: Mapping[str, Any]) -> Object:
        """Create one object, or bring its fields to these. A conflict with another's fields is an ApiError."""
        return self._json("PATCH", path, {"fieldManager": "renderer"}, body, kind="application/apply-patch+yaml")

    def delete(self, path: str, **options: Any) -> bool:
        """Delete one object; false when it was not there."""
        try:
            self._json("DELETE", path, {}, {"kind": "DeleteOptions", "apiVersion": "v1", **options})
        except ApiError as error:
            if error.code != 404:  # noqa: PLR2004 - HTTP's number
                raise
            return False
        return True

    def items(self, path: str, **query: Any) -> Iterator[Object]:
        """Give objects page by page, so that a thousand are never in memory at once."""
        for page in self.pages(path, **query):
            yield from page.get("items") or []

    def pages(self, path: str, **query: Any) -> Iterator[Object]:
        """Give the pages themselves, which know the version of what they hold."""
        query["limit"] = PAGE
        while True:
            page = self._json("GET", path, query)
            yield page
            token = page["metadata"].get("continue")
            if not token:
                return
            query["continue"] = token

    def watch(self, path: str, version: str, seconds: int, **query: Any) -> Iterator[Object]:
        """Give the events after ``version`` until the server ends the watch. Raises TransientError when it is cut."""
        query |= {"watch": "1", "resourceVersion": version, "timeoutSeconds": seconds, "allowWatchBookmarks": "true"}
        for line in self.lines(path, query, read_s=seconds + READ_S):
            yield json.loads(line)

    def lines(self, path: str, query: Mapping[str, Any], *, read_s: float = READ_S) -> Iterator[bytes]:
        """Give whole lines of an answer as they come; a last one without newline, which the client's Watch drops, too.

        Raises TransientError when it is cut.
        """
        import urllib3

        response = self._patiently(lambda way: way.send("GET", path, query, read_s=read_s, streamed=True))
        rest = b""
        try:
            for chunk in response.stream(65536, decode_content=True):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from whole
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise TransientError(f"the connection to {self.server} broke") from error
        finally:
            response.close()
            response.release_conn()
        if rest:
            yield rest

    def websocket(self, path: str, query: list[tuple[str, str]]) -> Any:
        """Open a connection that carries exec's streams. Raises ApiError, BackendError; TransientError at once."""
        return self._renewing(lambda way: way.websocket(path, query))

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self._connect().server

    def _json(
        self, method: str, path: str, query: Mapping[str, Any], body: Mapping[str, Any] | None = None, **options: Any
    ) -> Object:
        response = self._patiently(lambda way: way.send(method, path, query, body, **options))
        answer: Object = json.loads(response.data)
        return answer

    def _patiently(self, action: Callable[[Connection], Answer]) -> Answer:
        """Do it, again while the server is away. Raises ApiError, TransientError, BackendError."""
        until = time.monotonic() + self.patience_s
        pause = FIRST_PAUSE_S
        while True:
            try:
                return self._renewing(action)
            except ApiError as error:
                if not passes(error) or time.monotonic() > until:
                    raise
            except TransientError:
                if time.monotonic() > until:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    def _renewing(self, action: Callable[[Connection], Answer]) -> Answer:
        """Do it, once more with new credentials: a token's file or a plugin may have some."""
        for _ in range(2):
            way = self._connect()
            self.calls += 1
            try:
                return action(way)
            except ApiError as error:
                if error.code != _DENIED:
                    raise
                self._forget(way)
        raise BackendError(
            f"the cluster of context {self.context.name!r} does not accept the credentials: they may have expired",
            hint="log in to the cluster again",
        )

    def _connect(self) -> Connection:
        with self._lock:
            if self._connected is None:
                self._connected = Connection(self.context)
            return self._connected

    def _forget(self, way: Connection) -> None:
        with self._lock:
            if self._connected is way:  # no other thread was quicker
                self._connected, self.context = None, kubeconfig.load(self.context.name)


def passes(error: ApiError) -> bool:
    """Tell a refusal that will pass.

    A server that has just started knows no roles yet, not even its own; and when many create at once, a quota's count
    may change under the hands of one.
    """
    if error.code == _FORBIDDEN:
        return 'clusterrole.rbac.authorization.k8s.io "system:' in str(error)
    if error.code == _CONFLICT:
        return "cannot be fulfilled on resourcequotas" in str(error)
    return error.code in _AWAY and error.reason not in {"InternalError", "Timeout"}
