"""Sends files that a job made, whole or in ranges, in such a way that they can run nothing in a browser."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from fastapi import Request
from starlette.responses import FileResponse, Response
from starlette.types import Message, Receive, Scope, Send

from renderer.serve import problems
from renderer.serve.problems import RefusedError


class _FileResponse(FileResponse):
    """A file, or ranges of it. A wrong range is a problem like all others; Starlette's answer would have no words."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = 0

        async def send_allowed(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] in {400, 416}:
                refused = message["status"]
            if not refused:
                await send(message)

        await super().__call__(scope, receive, send_allowed)
        if refused:
            size = self.headers["content-length"]
            error = RefusedError(
                refused,
                f"the file has {size} bytes, and not this range" if refused == 416 else "the range cannot be read",  # noqa: PLR2004
                hint="the first 100 bytes are Range: bytes=0-99",
            )
            answer = problems.respond(problems.describe(error), {"Content-Range": f"bytes */{size}"})
            await answer(scope, receive, send)


def send_file(request: Request, kind: str, etag: str, place: Path, *, as_file: bool) -> Response:
    """Return a file that a job made, in such a way that it can run nothing in a browser."""
    headers = {
        "ETag": etag,
        "Cache-Control": "private, no-cache",
        "Content-Security-Policy": "default-src 'none'; media-src 'self'; img-src 'self'; style-src 'none'; sandbox",
        "Content-Disposition": "inline",
    }
    if as_file:
        headers["Content-Disposition"] = f"attachment; filename*=utf-8''{quote(place.name)}"
    known = request.headers.get("if-none-match", "")
    if etag in [word.strip().removeprefix("W/") for word in known.split(",")] or known.strip() == "*":
        return Response(status_code=304, headers=headers)
    return _FileResponse(place, headers=headers, media_type=kind)
