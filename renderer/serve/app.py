"""Puts the server together and runs it."""

from __future__ import annotations

import errno
import gc
import importlib.metadata
import logging
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import uvicorn
from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

from backends.errors import SpecError
from backends.files import state_folder
from renderer.serve import problems, replicas, schemas, tokens
from renderer.serve.api import routes
from renderer.serve.api.parts import Parts, Shared
from renderer.serve.callers import Policy
from renderer.serve.guard import METRICS, Guard, Protocol
from renderer.serve.metrics.sampling import sample
from renderer.serve.page import routes as page
from renderer.serve.records import Records
from renderer.serve.service import Service

_log = logging.getLogger(__name__)
RESTART_S = 2
GONE_S = 300  # after so long a client that takes nothing, or does not answer to the system, is gone
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
NO_NEWS = frozenset({  # lines for the log that uvicorn writes
    "ASGI callable returned without completing response.",  # events, when the server ends before the job
    "Invalid HTTP request received.",
})  # fmt: skip
DESCRIPTION = """Submit Manim scenes and Python scripts, follow them and get what they made.

Send a token as `Authorization: Bearer TOKEN`. Errors are `application/problem+json`: `detail` says what happened,
`hint` what to do about it."""


def make_app(service: Service, *, is_open: Callable[[], bool]) -> FastAPI:
    """Return the application. ``is_open`` says whether callers of this machine need no token."""
    parts = Parts(service)
    service.collects = not replicas.BACKENDS.isdisjoint(service.policy.backends)
    agents = None
    try:
        from renderer.serve.agents import served
    except ImportError as error:  # mcp is an extra of its own, and other programs need other versions of it
        _log.info("there are no tools for agents at /mcp: %s", error)
    else:
        agents = served.make_server(parts)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if agents:
                await stack.enter_async_context(agents.session_manager.run())
            tasks = await stack.enter_async_context(anyio.create_task_group())
            tasks.start_soon(keep_running, _recover, service)
            for name in service.policy.backends:
                tasks.start_soon(keep_running, sample, parts, name)
            tasks.start_soon(keep_running, parts.webhooks.run)
            tasks.start_soon(keep_running, parts.webhooks.look_elsewhere)
            if service.collects:
                tasks.start_soon(keep_running, replicas.OutputCollector().run)
            yield
            tasks.cancel_scope.cancel()

    version = importlib.metadata.version("manim-renderer")
    app = FastAPI(
        title="renderer",
        version=version,
        description=DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # it would load scripts of another site
        redoc_url=None,
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,  # generated clients name their functions by it
    )
    app.state.parts = parts
    app.state.error_page = page.error_page
    app.include_router(routes.router)
    app.include_router(page.router, include_in_schema=False)
    if agents:
        app.router.routes += served.routes(agents)
    app.mount("/static", StaticFiles(directory=Path(page.__file__).parent / "static"))
    app.add_api_route("/healthz", _health, include_in_schema=False)
    app.add_api_route(METRICS, _show_metrics, include_in_schema=False)
    app.openapi = lambda: _describe(app)  # type: ignore[method-assign]  # as FastAPI's documents say
    problems.install(app)
    app.add_middleware(Guard, is_open=is_open)
    return app


async def keep_running(task: Callable[..., Awaitable[object]], *args: object) -> None:
    """Run a task of the server; after an error that nobody expected, begin it again: the server needs all of them."""
    while True:
        try:
            await task(*args)
        except Exception:  # noqa: BLE001  # whatever it is, the server goes on, and its log has it
            _log.exception("a task of the server failed, and begins again in %d s", RESTART_S)
            await anyio.sleep(RESTART_S)
        else:
            return


async def _recover(service: Service) -> None:
    while True:
        if await anyio.to_thread.run_sync(service.recover, abandon_on_cancel=True):
            return
        await anyio.sleep(RESTART_S)


async def _health() -> PlainTextResponse:
    return PlainTextResponse("ok\n")


def _show_metrics(parts: Shared) -> Response:
    states = ((entry.backend, state) for entry, state in parts.service.known_states())
    return Response(parts.metrics.render(states), media_type=CONTENT_TYPE_LATEST)


def _describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with the form of errors and of tokens."""
    if app.openapi_schema is None:
        from fastapi.openapi.utils import get_openapi

        found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        parts = found["components"]
        for model in (schemas.ProblemDocument, schemas.Run):
            parts["schemas"][model.__name__] = model.model_json_schema(ref_template="#/components/schemas/{model}")
        for name in ("HTTPValidationError", "ValidationError"):
            parts["schemas"].pop(name, None)
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}, {}]
        app.openapi_schema = found
    return app.openapi_schema


def check_address(host: str) -> bool:
    """Return whether the server is open to this machine without tokens. Raises SpecError if it would be to others."""
    if tokens.exist():
        return False
    if host not in LOOPBACK:
        raise SpecError(
            f"without tokens the server listens on this machine alone, not on {host}",
            hint="make a token first: renderer serve token create --name me",
        )
    return True


def listen(host: str, port: int) -> socket.socket:
    """Return a socket for connections. On Linux each of them ends GONE_S after its client has gone without a word.

    Raises SpecError if the address cannot be used.
    """
    try:
        listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=1024
        )
    except OSError as error:
        reason, _, _ = str(error.strerror).partition(" (while")  # socket adds the address once more
        is_port = error.errno in {errno.EADDRINUSE, errno.EACCES}
        hint = "choose another: --port 8081" if is_port else "name an address of this machine: --host 0.0.0.0 for all"
        raise SpecError(f"cannot listen on {host}, port {port}: {reason}", hint=hint) from error
    if sys.platform == "linux":  # connections have these from the socket
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_S * 1000)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, GONE_S // 2)
    return listener


def run(host: str, port: int, *, announce: Callable[[str], None]) -> None:
    """Serve until the process is told to stop. ``announce`` gets the server's address once it listens."""
    policy = Policy.load()
    tokens.mount(policy.tokens)
    is_open = check_address(host)
    listener = listen(host, port)
    gc.set_threshold(10_000, 10, 10)  # the command line collects no garbage, and this process goes on for long
    store = Records(state_folder("serve"))
    with listener, store.lock():
        app = make_app(Service(store, policy), is_open=lambda: is_open)
        settings = uvicorn.Config(
            app,
            log_level=logging.WARNING,
            access_log=False,
            server_header=False,
            http=Protocol,
            h11_max_incomplete_event_size=2**16,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=5,
            ws="none",
        )
        logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of each damaged form
        logging.getLogger("uvicorn.error").addFilter(lambda line: line.msg not in NO_NEWS)
        name = f"[{host}]" if ":" in host else host
        announce(f"http://{name}:{listener.getsockname()[1]}")
        server = uvicorn.Server(settings)
        app.state.parts.is_ending = lambda: server.should_exit
        server.run(sockets=[listener])
