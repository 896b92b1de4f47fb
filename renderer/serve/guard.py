"""Checks every request before a route sees it, and adds headers that keep pages and outputs from doing harm.

- Who asks: a token, or this machine's user. Nothing but the login page, its files and the API's description is public.
- Without tokens, the Host must be this machine: another site could make its own name lead here (DNS rebinding).
- A request that changes something must come from this server's own pages, or from a program: a browser says so in
  Origin and Sec-Fetch-Site, which other sites cannot change. Programs that send a token in a header are not asked:
  no site can make a browser send one, unlike the name and password of an address.
- A body has a limit, which is counted while it arrives. Neither it nor the headers may take too long.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

import anyio
import h11
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from renderer.serve import problems
from renderer.serve.callers import check_scope, identify
from renderer.serve.problems import RefusedError

COOKIE = "renderer_token"
SMALL_BODY = 8 * 2**20  # of every request but an upload
LIMIT = "renderer.body_limit"  # key of the scope: an upload raises it
HEAD_TIMEOUT_S = 30  # how long the first line and the headers of a request may take, and a connection without one
WAIT_S, BYTES_PER_S = 20.0, 8192  # how long a body may be waited for: so long, and a second more for so many bytes
_PUBLIC = ("/static/", "/login", "/healthz", "/api/v1/openapi.json")
METRICS = "/metrics"
_PROGRAMS = ("/api/", "/mcp", METRICS, "/.well-known/")  # not for people: these get no page to log in
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """The outermost layer of the application. ``is_open``: the server was started without tokens, for this machine."""

    def __init__(self, app: ASGIApp, is_open: Callable[[], bool]) -> None:
        self._app = app
        self._is_open = is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer to a request, or pass it on with its caller in the scope's state."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = self._check(scope)
        if refused is not None:
            await refused(scope, receive, _with_headers(send))
            return
        scope[LIMIT] = SMALL_BODY
        answer = self._answer_head if scope["method"] == "HEAD" else self._app
        await answer(scope, _count(scope, receive), _with_headers(send))

    async def _answer_head(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as to a GET, up to the first part of the body: what follows may be without end, as events are."""
        with anyio.CancelScope() as answering:

            async def send_head(message: Message) -> None:
                if message["type"] == "http.response.start":
                    await send(message)
                elif message["type"] == "http.response.body":
                    await send({"type": "http.response.body"})
                    answering.cancel()

            await self._app({**scope, "method": "GET"}, receive, send_head)

    def _check(self, scope: Scope) -> Response | None:
        """Return the answer to a request that goes no further."""
        headers, path = Headers(scope=scope), scope["path"]
        is_open = self._is_open()
        try:
            _check_site(headers, scope["method"], is_open=is_open)
            if not path.startswith(_PUBLIC):
                caller = identify(headers.get("authorization"), _cookie(headers), is_open=is_open)
                check_scope(caller, is_metrics=path == METRICS)
                scope.setdefault("state", {})["caller"] = caller
        except RefusedError as error:
            is_page = not path.startswith(_PROGRAMS) and scope["method"] == "GET"
            if error.status == 401 and is_page:  # noqa: PLR2004
                if "hx-request" in headers:  # of a part of a page: the whole page is to be another one
                    return Response(status_code=204, headers={"HX-Redirect": "/login"})
                return RedirectResponse("/login", 303)
            extra = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}  # noqa: PLR2004
            return problems.respond(problems.describe(error), extra)
        return None


def _check_site(headers: Headers, method: str, *, is_open: bool) -> None:
    """Raise RefusedError for a request that the page of another site made a browser send."""
    host = headers.get("host", "")
    if is_open and _name(host) not in _LOOPBACK:
        raise RefusedError(
            421,
            f"this server answers to localhost, not to {host[:100]!r}",
            hint="open it by its address, or use tokens",
        )
    if headers.get("authorization", "").lower().startswith("bearer "):  # no browser adds it by itself
        return
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if method in _SAFE:
        if site in {"cross-site", "same-site"} and headers.get("sec-fetch-mode") != "navigate":
            raise RefusedError(403, "pages of other sites cannot read from here")
        return
    if origin is not None and (origin == "null" or urlsplit(origin).netloc != host):
        raise RefusedError(
            403, f"the page of {origin[:100]} cannot change anything here", hint="use the server's own page"
        )
    if site not in {None, "same-origin", "none"}:
        raise RefusedError(403, "pages of other sites cannot change anything here", hint="use the server's own page")


def _name(host: str) -> str:
    name, separator, port = host.rpartition(":")
    return (name if separator and port.isdecimal() else host).lower()


def _cookie(headers: Headers) -> str | None:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return cookie.value if cookie else None


def _count(scope: Scope, receive: Receive) -> Receive:
    """Return a function that receives as the given one does, and refuses a body that is too large or too slow."""
    total, waited, is_whole = 0, 0.0, False

    async def count() -> Message:
        nonlocal total, waited, is_whole
        begun = time.monotonic()
        with anyio.move_on_after(None if is_whole else WAIT_S + total / BYTES_PER_S - waited) as waiting:
            message = await receive()
        if waiting.cancelled_caught:
            raise HTTPException(408, "the request did not arrive in time", {"Connection": "close"})
        waited += time.monotonic() - begun
        total += len(message.get("body", b""))
        is_whole = not message.get("more_body")
        if total > scope[LIMIT]:
            raise HTTPException(413, f"the request has more than {scope[LIMIT] >> 20} MiB")
        return message

    return count


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers


class Protocol(H11Protocol):
    """HTTP as uvicorn speaks it, which waits for the head of a request without end."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._limit_head()

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        super().data_received(data)
        self._limit_head()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's words are no sentence of ours
        """Answer to what cannot be read as a request, in the form of all errors."""
        answer = problems.describe_unreadable(sys.exception())
        start = h11.Response(status_code=answer.status_code, headers=[*answer.raw_headers, (b"connection", b"close")])
        for event in (start, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event))
        self.transport.close()

    def _should_upgrade(self) -> bool:
        """Return False: HTTP/2 and WebSockets are not spoken here. It is no news for the log, as Java always asks."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        self._stop_timer()

    def _limit_head(self) -> None:
        """Begin to measure the time where the head of a request is awaited, and stop where it has come."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_timer()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self.timeout_keep_alive_handler)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


def allow_body(request: Request, limit_mib: int) -> None:
    """Let a request have files of so many MiB. Raises RefusedError at once if it says that it has more."""
    request.scope[LIMIT] = limit = (limit_mib + 1) << 20  # with the text between the files
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > limit:
        raise RefusedError(413, f"the request has more than {limit_mib} MiB", hint="send less, or use another token")
