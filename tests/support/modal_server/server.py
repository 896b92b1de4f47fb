"""Starts and stops the fake Modal server, in a thread of the test's process."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from aiohttp import web
from google.protobuf.message import Message
from grpclib.server import Server
from modal_proto import api_pb2 as pb
from support.modal_server.api.apps import AppHandlers
from support.modal_server.api.blob_storage import http_app
from support.modal_server.api.calls import CallHandlers
from support.modal_server.api.container_calls import ContainerHandlers
from support.modal_server.api.functions import FunctionHandlers
from support.modal_server.api.images import ImageHandlers
from support.modal_server.api.logs import LogHandlers
from support.modal_server.api.service import Handlers, Service
from support.modal_server.api.volumes import VolumeHandlers
from support.modal_server.containers.scheduler import Scheduler
from support.modal_server.faults import Faults
from support.modal_server.state import State, Task

TOKEN_ID, TOKEN_SECRET = "ak-fake", "as-fake"  # of no account at Modal
MessageT = TypeVar("MessageT", bound=Message)
ResultT = TypeVar("ResultT")


class FakeModal:
    """The server, which runs in a ``with`` block. Everything it stores is in a temporary folder."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fake-modal-", ignore_cleanup_errors=True)
        self.state = State(Path(self._folder.name), {TOKEN_ID: TOKEN_SECRET})
        self._scheduler = Scheduler(self.state)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake-modal")

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(self, *_exception: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._folder.cleanup()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make a client use this server, and nothing of its user's configuration."""
        return {
            "MODAL_SERVER_URL": self.state.grpc_url,
            "MODAL_TOKEN_ID": TOKEN_ID,
            "MODAL_TOKEN_SECRET": TOKEN_SECRET,
            "MODAL_CONFIG_PATH": str(self.state.folder / "no-such.toml"),
            "MODAL_DISABLE_API_PROXY": "1",
        }

    def sent(self, kind: type[MessageT]) -> list[MessageT]:
        """Return every request of one kind that clients sent, oldest first."""
        return [message for _, message in self.state.requests if isinstance(message, kind)]

    def rpcs(self) -> list[str]:
        """Return the name of every RPC that clients sent, oldest first."""
        return [name for name, _ in self.state.requests]

    @contextmanager
    def faults(self, **changes: Any) -> Iterator[Faults]:
        """Apply faults in a ``with`` block."""
        before = self.state.faults
        self.state.faults = Faults(**changes)
        try:
            yield self.state.faults
        finally:
            self.state.faults = before
            self._run(self._start_containers)

    def running(self, call_id: str) -> list[Task]:
        """Return the containers that work on a call."""
        return [
            task for task in list(self.state.tasks.values()) if task.current and task.current.call.call_id == call_id
        ]

    def lose(self, call_id: str, result: pb.GenericResult | None = None) -> None:
        """Kill the containers of a call; ``result`` becomes the output of their inputs."""
        for task in self.running(call_id):
            self._run(partial(self._scheduler.lose, task, result))

    def preempt(self, call_id: str) -> None:
        """Preempt the containers of a call; its inputs start again elsewhere."""
        for task in self.running(call_id):
            self._run(partial(self._scheduler.preempt, task))

    def expire(self, call_id: str) -> None:
        """Forget the outputs of a call, as Modal does after a week."""
        self.state.calls[call_id].expired = True

    def volume(self, name: str) -> Path:
        """Return the folder of a volume."""
        return self.state.path("volumes", self.state.volumes[name])

    def mounted(self, call_id: str, path: str) -> Path:
        """Return the folder that the containers of a call have at a path."""
        mounts = self.state.calls[call_id].function.definition.volume_mounts
        (mount,) = [mount for mount in mounts if mount.mount_path == path]
        return self.state.path("volumes", mount.volume_id) / mount.sub_path.lstrip("/")

    def _run(self, action: Callable[[], ResultT]) -> ResultT:
        async def act() -> ResultT:
            return action()

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result()

    def _start_containers(self) -> None:
        for function in self.state.functions.values():
            self._scheduler.scale(function)

    async def _start(self) -> None:
        self._runner = web.AppRunner(http_app(self.state), access_log=None)
        await self._runner.setup()
        self._listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        http, grpc = self._listeners
        await web.SockSite(self._runner, http).start()
        self.state.http_url = f"http://127.0.0.1:{http.getsockname()[1]}"
        state, scheduler = self.state, self._scheduler
        groups: list[Handlers] = [AppHandlers(state), FunctionHandlers(state), ImageHandlers(state)]
        groups += [VolumeHandlers(state), LogHandlers(state)]
        groups += [CallHandlers(state, scheduler), ContainerHandlers(state, scheduler)]
        self._server = Server([Service(state, groups)])
        await self._server.start(sock=grpc)
        self.state.grpc_url = f"http://127.0.0.1:{grpc.getsockname()[1]}"

    async def _stop(self) -> None:
        await self._scheduler.close()
        # Python 3.11 forgets a connection that was accepted just before its server closes: accept no more, and let
        # those that were accepted begin.
        for listener in self._listeners:
            self._loop.remove_reader(listener)
        await asyncio.sleep(0)
        self._server.close()
        await self._server.wait_closed()
        await self._runner.cleanup()
        # A connection that is only closed would stay until a client, which may not read any more, has read everything.
        # Connections and tasks can make new ones as they end: repeat it until there are none.
        deadline = time.monotonic() + 300
        while (tasks := asyncio.all_tasks() - {asyncio.current_task()}) or self._open_transports():
            for task in tasks:
                task.cancel()
            for transport in self._open_transports():
                transport.abort()
            if time.monotonic() > deadline:
                raise TimeoutError(f"the fake Modal server cannot stop: {tasks}")
            await asyncio.sleep(0)

    def _open_transports(self) -> list[asyncio.Transport]:
        transports: list[asyncio.Transport] = list(self._loop._transports.values())  # type: ignore[attr-defined]
        return [transport for transport in transports if transport.get_extra_info("socket").fileno() >= 0]
