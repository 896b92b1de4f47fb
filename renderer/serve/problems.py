"""Turns errors into answers as RFC 9457 describes them, with the sentence and the hint of the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from backends.errors import RendererError, SpecError
from backends.exit_codes import MEANINGS, ExitCode

TYPE = "application/problem+json"
_STATUS: Mapping[ExitCode, int] = {
    ExitCode.USAGE: 400,
    ExitCode.INPUT: 400,
    ExitCode.NOT_FOUND: 404,
    ExitCode.BACKEND: 502,
    ExitCode.TRANSIENT: 503,
    ExitCode.OUTPUT: 507,
}


class RefusedError(SpecError):
    """The caller may not do this, or not now. ``status`` is the answer's."""

    def __init__(self, status: int, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


def describe(error: RendererError) -> dict[str, Any]:
    """Return an error as a problem document."""
    status = error.status if isinstance(error, RefusedError) else _STATUS.get(error.exit_code, 500)
    return _document(status, str(error), hint=error.hint, exit_code=error.exit_code)


def install(app: FastAPI) -> None:
    """Answer with a problem document to every error of an application."""
    app.add_exception_handler(RendererError, _on_own)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(ClientDisconnect, _on_broken_off)
    app.add_exception_handler(Exception, _on_defect)


def respond(document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer for a problem document."""
    return JSONResponse(document, document["status"], headers, media_type=TYPE)


def _answer(request: Request, document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem document, or a page for a browser that asked for one."""
    if not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", ""):
        page: Response = request.app.state.error_page(request, document)
        return page
    return respond(document, headers)


def _document(
    status: int, detail: str, *, hint: str | None = None, exit_code: ExitCode | None = None
) -> dict[str, Any]:
    title = MEANINGS[exit_code] if exit_code else HTTPStatus(status).phrase
    kind = f"urn:renderer:exit-code:{int(exit_code)}" if exit_code else "about:blank"
    code = None if exit_code is None else int(exit_code)
    detail, hint = _clean(detail), hint and _clean(hint)
    return {"type": kind, "title": title, "status": status, "detail": detail, "hint": hint, "exit_code": code}


def _clean(text: str) -> str:
    """Return the text without lone surrogates, which JSON in UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()


async def _on_own(request: Request, error: Exception) -> Response:
    assert isinstance(error, RendererError)  # noqa: S101  # Starlette calls it for these alone
    document = describe(error)
    headers = {"Retry-After": "5"} if document["status"] in {429, 503} else {}
    if document["status"] == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return _answer(request, document, headers)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # see above
    sentences = {404: "there is nothing at this address", 405: "this address does not take this method"}
    hint = {404: "the API is described at /api/v1/openapi.json"}.get(error.status_code)
    document = _document(error.status_code, sentences.get(error.status_code, error.detail), hint=hint)
    return _answer(request, document, error.headers)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # see above
    return _answer(request, _document(422, explain(error.errors()), exit_code=ExitCode.USAGE))


def explain(errors: Sequence[Any]) -> str:
    """Return the first of pydantic's errors in one sentence."""
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"] if part not in {"body", "query", "path", "header"})
    message = str(first["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else f"the request cannot be read: {message}"


async def _on_broken_off(_: Request, __: Exception) -> Response:
    """Return what nobody reads: the client has gone in the middle of its request."""
    return Response(status_code=400)


async def _on_defect(request: Request, _: Exception) -> Response:
    """Return the answer for a defect, which uvicorn logs."""
    hint = "the server's log has the traceback; please report it"
    return _answer(request, _document(500, "the server has a defect", hint=hint, exit_code=ExitCode.INTERNAL))
