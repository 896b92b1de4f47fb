"""The HTTP server from which the client gets bytes, and to which it puts them."""

from __future__ import annotations

import asyncio
import hashlib

from aiohttp import web
from support.modal_server.api.volumes import BLOCK
from support.modal_server.state import State

BODY_TIMEOUT_S = 2.0  # real object stores, too, close a connection when the body does not come


def http_app(state: State) -> web.Application:
    """Return the web application."""
    storage = _Storage(state)
    app = web.Application(client_max_size=1 << 34)
    app.router.add_put("/blob/{name}", storage.put_blob)
    app.router.add_get("/blob/{name}", storage.get_blob)
    app.router.add_put("/block/{digest}", storage.put_block)
    app.router.add_get("/volume/{path:.+}", storage.get_volume_block)
    return app


class _Storage:
    def __init__(self, state: State) -> None:
        self.state = state

    async def put_blob(self, request: web.Request) -> web.Response:
        data = await request.read()
        self.state.path("blobs", request.match_info["name"]).write_bytes(data)
        tag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return web.Response(headers={"ETag": f'"{tag}"'})

    async def get_blob(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(self.state.path("blobs", request.match_info["name"]))

    async def put_block(self, request: web.Request) -> web.Response:
        if self.state.faults.take_cut_upload():
            await request.content.read(1)
            return _hang_up(request)
        try:
            data = await asyncio.wait_for(request.read(), BODY_TIMEOUT_S)
        except TimeoutError:
            return _hang_up(request)
        if hashlib.sha256(data).hexdigest() != request.match_info["digest"]:
            return web.Response(status=400, text="sha256 mismatch")
        self.state.path("blocks", request.match_info["digest"]).write_bytes(data)
        return web.Response(body=b"stored")

    async def get_volume_block(self, request: web.Request) -> web.Response:
        if self.state.faults.take_cut_download():
            return _hang_up(request)
        path = self.state.path("volumes", request.match_info["path"])
        with path.open("rb") as stream:
            stream.seek(int(request.query["block"]) * BLOCK)
            return web.Response(body=stream.read(BLOCK))


def _hang_up(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response(status=500)
