"""The API server: requests as plain dictionaries, retries, and every failure in words."""

from __future__ import annotations

import json
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from backends.errors import BackendError, TransientError
from backends.kubernetes import kubeconfig

Object = dict[str, Any]

PATIENCE_S = 60.0  # how long an API server may be away
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
TIMEOUT_S = 30.0
PAGE = 200
_AWAY = frozenset({429, 500, 502, 503, 504})
_DENIED = 401


class ApiError(Exception):
    """The API server's own refusal: ``code`` is HTTP's, ``reason`` a word of Kubernetes, ``message`` a sentence."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class Api:
    """One context's API server. Connections are made when first needed and may be used from many threads."""

    def __init__(self, context: kubeconfig.Context) -> None:
        self.patience_s = PATIENCE_S
        self.context = context
        self.calls = 0
        self._lock = threading.Lock()
        self._connected: tuple[Any, kubeconfig.Identity, ssl.SSLContext] | None = None

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
        query["limit"] = PAGE
        while True:
            page = self._json("GET", path, query)
            yield from page.get("items") or []
            token = page["metadata"].get("continue")
            if not token:
                return
            query["continue"] = token

    def watch(self, path: str, version: str, seconds: int, **query: Any) -> Iterator[Object]:
        """Give the events after ``version`` until the server ends the watch. Raises TransientError when it is cut."""
        query |= {"watch": "1", "resourceVersion": version, "timeoutSeconds": seconds, "allowWatchBookmarks": "true"}
        for line in self.lines(path, query, read_timeout=seconds + TIMEOUT_S):
            yield json.loads(line)

    def lines(self, path: str, query: Mapping[str, Any], *, read_timeout: float = TIMEOUT_S) -> Iterator[bytes]:
        """Give whole lines of an answer as they come; a last one without newline too. TransientError when it is cut."""
        import urllib3

        response = self._request("GET", path, query, timeout=urllib3.Timeout(connect=5, read=read_timeout), stream=True)
        rest = b""
        try:
            for chunk in response.stream(65536, decode_content=True):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from whole
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise TransientError(f"the connection to {self.context.server} broke") from error
        finally:
            response.close()
            response.release_conn()
        if rest:
            yield rest

    def websocket(self, path: str, query: list[tuple[str, str]]) -> Any:
        """Open a connection that carries exec's streams. Raises ApiError, TransientError."""
        import websocket

        _, who, tls = self._connect()
        url = f"{self.context.server.replace('http', 'ws', 1)}{path}?{urlencode(query)}"
        headers = [f"Authorization: {who.authorization}"] if who.authorization else []
        self.calls += 1
        try:
            return websocket.create_connection(
                url, header=headers, subprotocols=["v5.channel.k8s.io", "v4.channel.k8s.io"],
                sslopt={"context": tls}, timeout=TIMEOUT_S, enable_multithread=False, skip_utf8_validation=True,
            )  # fmt: skip
        except websocket.WebSocketBadStatusException as error:
            body = error.resp_body or b""
            raise _api_error(error.status_code, body if isinstance(body, bytes) else body.encode()) from error
        except (websocket.WebSocketException, OSError) as error:
            raise self._away(error) from error

    def _json(
        self, method: str, path: str, query: Mapping[str, Any], body: Mapping[str, Any] | None = None, **options: Any
    ) -> Object:
        answer: Object = json.loads(self._request(method, path, query, body, **options).data)
        return answer

    def _request(
        self, method: str, path: str, query: Mapping[str, Any], body: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """Send one request, again while the server is away. Raises ApiError, TransientError, BackendError."""
        streamed = options.pop("stream", False)
        return self._patiently(lambda: self._once(method, path, query, body, streamed=streamed, **options))

    def _patiently(self, action: Callable[[], Any]) -> Any:
        until = time.monotonic() + self.patience_s
        pause, renewed = FIRST_PAUSE_S, False
        while True:
            try:
                return action()
            except ApiError as error:
                if error.code == _DENIED and not renewed:
                    renewed, self._connected = True, None  # a token's file or a plugin may have a new one
                    continue
                if error.code not in _AWAY or error.reason in {"InternalError", "Timeout"} or time.monotonic() > until:
                    raise self._in_words(error) from error
            except TransientError:
                if time.monotonic() > until:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    def _once(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Mapping[str, Any] | None,
        *,
        streamed: bool,
        kind: str = "application/json",
        **options: Any,
    ) -> Any:
        import urllib3

        pool, who, _ = self._connect()
        headers = {"Accept": "application/json", "Content-Type": kind, "User-Agent": "manim-renderer"}
        if who.authorization:
            headers["Authorization"] = who.authorization
        url = f"{self.context.server}{path}" + (f"?{urlencode(query)}" if query else "")
        self.calls += 1
        try:
            response = pool.request(
                method,
                url,
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                retries=False,
                preload_content=not streamed,
                **({"timeout": urllib3.Timeout(connect=5, read=TIMEOUT_S)} | options),
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._away(error) from error
        if response.status >= 400:  # noqa: PLR2004 - HTTP's number
            raise _api_error(response.status, response.data)
        return response

    def _away(self, error: Exception) -> BackendError:
        """Tell a server that is away from one that is not who it should be."""
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return BackendError(
                f"the certificate of {self.context.server} is not signed by the authority of the kubeconfig",
                hint="get a new kubeconfig from the cluster",
            )
        where = urlsplit(self.context.server).netloc
        return TransientError(
            f"the Kubernetes API server {where} does not answer", hint="is the cluster up, and reachable from here?"
        )

    def _in_words(self, error: ApiError) -> Exception:
        if error.code == _DENIED:
            return BackendError(
                f"the cluster of context {self.context.name!r} does not accept the credentials: they may have expired",
                hint="log in to the cluster again",
            )
        return error

    def _connect(self) -> tuple[Any, kubeconfig.Identity, ssl.SSLContext]:
        with self._lock:
            if self._connected is None:
                who = kubeconfig.identity(self.context)
                tls = _tls(self.context, who)
                self._connected = (_pool(self.context, tls), who, tls)
            return self._connected


def _tls(context: kubeconfig.Context, who: kubeconfig.Identity) -> ssl.SSLContext:
    tls = ssl.create_default_context(cadata=kubeconfig.pem(context.cluster, "certificate-authority"))
    if context.cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if who.certificate and who.key:
        path = kubeconfig.as_file(f"{who.certificate}\n{who.key}\n")
        try:
            tls.load_cert_chain(path)
        except ssl.SSLError as error:
            raise BackendError(f"the client certificate of context {context.name!r} is damaged") from error
        finally:
            path.unlink()
    return tls


def _pool(context: kubeconfig.Context, tls: ssl.SSLContext) -> Any:
    try:
        import urllib3
        import websocket  # noqa: F401 - what else is needed is said at once
    except ModuleNotFoundError as error:
        raise BackendError(
            f"the backend 'k8s' needs the Python package {error.name!r}", hint="pip install 'manim-renderer[k8s]'"
        ) from error
    options: Any = {"ssl_context": tls, "maxsize": 32, "block": False}
    if name := context.cluster.get("tls-server-name"):
        options |= {"server_hostname": name, "assert_hostname": name}
    parts = urlsplit(context.server)
    proxy = context.cluster.get("proxy-url") or urllib.request.getproxies_environment().get(parts.scheme)
    if proxy and not (context.cluster.get("proxy-url") is None and urllib.request.proxy_bypass(parts.hostname or "")):
        return urllib3.ProxyManager(proxy, **options)
    return urllib3.PoolManager(**options)


def _api_error(code: int, body: bytes) -> ApiError:
    try:
        status = json.loads(body)
        return ApiError(code, str(status.get("reason") or ""), str(status.get("message") or f"HTTP {code}"))
    except (ValueError, AttributeError):
        return ApiError(code, "", f"HTTP {code}")


def jobs(namespace: str, name: str = "") -> str:
    """Give the path of a namespace's Jobs, or of one."""
    return f"/apis/batch/v1/namespaces/{quote(namespace)}/jobs" + (f"/{quote(name)}" if name else "")


def core(namespace: str, kind: str, name: str = "", part: str = "") -> str:
    """Give the path of a namespace's pods, configmaps, events …, of one, or of a part of one: log, exec."""
    path = f"/api/v1/namespaces/{quote(namespace)}/{kind}" + (f"/{quote(name)}" if name else "")
    return f"{path}/{part}" if part else path
