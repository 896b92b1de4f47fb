"""Turns errors into answers as RFC 9457 describes them, with the sentence and the hint of the command line.

Callers of the API and of agents' tools may not have the command line: a flag becomes the name of its setting, as a
request has it, and a command what it does with a job. One that sets something up is for who runs the server, as are
variables.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import h11
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from backends import JobStatus, UnitStatus
from backends.errors import DiskError, RendererError, SpecError
from backends.exit_codes import MEANINGS, ExitCode
from backends.files import state_folder
from renderer import config

TYPE = "application/problem+json"
_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
_STATUS: Mapping[ExitCode, int] = {
    ExitCode.USAGE: 400,
    ExitCode.INPUT: 400,
    ExitCode.NOT_FOUND: 404,
    ExitCode.BACKEND: 502,
    ExitCode.TRANSIENT: 503,
    ExitCode.OUTPUT: 507,
}
ACTS: Mapping[str, str] = {
    "submit": "a new job",
    "map": "a new job with inputs",
    "preview": "a preview",
    "list": "the list of jobs",
    "status": "its state",
    "logs": "its log",
    "wait": "waiting for its end",
    "fetch": "downloading its outputs",
    "retry": "a retry",
    "cancel": "cancelling it",
    "delete": "deleting it",
}
SETUP = ("config", "doctor", "gc", "gpus", "image", "manifest", "mcp", "scenes", "serve", "setup", "watch")
_FIELDS = {"--all": "all", "--kind": "kind", "--max-failed": "max_failed", "--name": "name"}  # of a request
FREE_DISK = "free disk space on the server"
_SEE_API = "the API is described at /api/v1/openapi.json"
_SENTENCES: Mapping[int | str, str] = {
    404: "there is nothing at this address",
    405: "this address does not take this method",
    "There was an error parsing the body": "the body is not JSON in UTF-8, or is nested too deeply",  # of FastAPI
}
_HINTS = {408: "send it again, over a quicker connection", 413: "upload a large project: POST /api/v1/jobs/upload"}
_MESSAGES = {  # pydantic's type of an error: the message for the caller
    **config.MESSAGES,
    "dict_type": "a JSON object is needed",
    "enum": "it can be {expected}",
    "extra_forbidden": "there is no such field",
    "list_type": "a JSON array is needed",
    "missing": "it is missing",
    "model_attributes_type": "a JSON object is needed",
    "model_type": "a JSON object is needed",
    "string_pattern_mismatch": "it has characters that it cannot have, or none",
    "string_too_long": "it may have {max_length} characters, and has more",
    "string_unicode": "it is not Unicode text",
}
_COMMANDS = "|".join([*ACTS, *SETUP])
_WORDS = re.compile(
    rf"`renderer (?P<quoted>{_COMMANDS})\b(?P<options>[^`]*)`"
    rf"|\brenderer (?P<bare>{_COMMANDS})\b(?P<words>(?: [^\s,;()]+)*)"
    r"|(?P<left_out>, or leave --detach out|, or choose another --output| with --root| \(--root[^)]*\)|; --root [^;]*)"
    r"|(?P<after>\bafter --(?![\w-]))"
    r"|(?<![^\s(])(?P<flag>--[a-z-]+[a-z])"
    r"|\b(?P<variable>RENDERER_[A-Z_]+)(?P<value>=[^\s,;()]*)?"
)


class RefusedError(SpecError):
    """The caller may not do this, or not now. ``status`` is the answer's."""

    def __init__(self, status: int, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


def describe(error: RendererError) -> dict[str, Any]:
    """Return an error as a problem document."""
    status = error.status if isinstance(error, RefusedError) else _STATUS.get(error.exit_code, 500)
    message, hint = word_error(error)
    return _document(status, message, hint=hint, exit_code=error.exit_code)


def word_error(error: RendererError) -> tuple[str, str | None]:
    """Return the message and the hint of an error for a caller, who cannot choose another folder of the server."""
    if isinstance(error, DiskError):
        return error.brief, FREE_DISK
    return reword(str(error)), error.hint and reword(error.hint)


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
    hint = document["hint"] or (_SEE_API if document["exit_code"] == ExitCode.USAGE else None)
    return respond({**document, "hint": hint}, headers)


def _document(
    status: int, detail: str, *, hint: str | None = None, exit_code: ExitCode | None = None
) -> dict[str, Any]:
    title = reword(MEANINGS[exit_code]) if exit_code else HTTPStatus(status).phrase
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
    detail = _SENTENCES.get(error.status_code, _SENTENCES.get(error.detail, error.detail))
    hint = _HINTS.get(error.status_code, _SEE_API)
    document = _document(error.status_code, detail, hint=hint, exit_code=ExitCode.USAGE)
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_list_methods(request))  # Starlette names those of the first route alone
    return _answer(request, document, headers)


def _list_methods(request: Request) -> list[str]:
    """Return the methods that an address takes."""
    scope = {**request.scope, "path_params": {}}
    found = [
        method
        for method in _METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in request.app.routes)
    ]
    if not found:  # a static file
        found = ["GET"]
    return sorted({*found, "HEAD"}) if "GET" in found else found  # see Guard


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # see above
    found, kind = error.errors(), request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found[0]["loc"][:1] == ("body",) and kind != "application/json":
        hint = "send it with Content-Type: application/json"
        return _answer(request, _document(415, "the body is not sent as JSON", hint=hint, exit_code=ExitCode.USAGE))
    return _answer(request, _document(422, explain(found), exit_code=ExitCode.USAGE))


def describe_unreadable(error: BaseException | None) -> Response:
    """Return the answer to what is no request of HTTP, or has too long a head."""
    if (
        isinstance(error, h11.RemoteProtocolError)
        and error.error_status_hint == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    ):
        document = _document(431, "the headers are too long", hint="send shorter ones", exit_code=ExitCode.USAGE)
    else:
        document = _document(400, "this is not a request of HTTP/1.1", hint=_SEE_API, exit_code=ExitCode.USAGE)
    return respond(document)


def explain(errors: Sequence[Any]) -> str:
    """Return the first of pydantic's errors in one sentence."""
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"] if part not in {"body", "query", "path", "header"})
    if first["type"] == "json_invalid":
        where = f" (character {place})" if place else ""
        return f"the request is not JSON: {first['ctx']['error']}{where}"
    template = _MESSAGES.get(first["type"])
    message = template.format_map(first.get("ctx", {})) if template else first["msg"]  # which may have braces
    return f"{place or 'the request'}: {message}"


async def _on_broken_off(_: Request, __: Exception) -> Response:
    """Return what nobody reads: the client has gone in the middle of its request."""
    return Response(status_code=400)


async def _on_defect(request: Request, _: Exception) -> Response:
    """Return the answer for a defect, which uvicorn logs."""
    hint = "the server's log has the traceback; please report it"
    return _answer(request, _document(500, "the server has a defect", hint=hint, exit_code=ExitCode.INTERNAL))


@functools.lru_cache(maxsize=10_000)  # the units of a large map say the same again and again
def reword(text: str) -> str:
    """Return a message or hint of ours without commands and flags, and without the paths of the server's own files."""
    text = re.sub(rf"{re.escape(str(state_folder('')))}[^\s:,]*", "the server's disk", text)
    whole = _WORDS.fullmatch(text)
    changed = _WORDS.sub(_replace, text)
    return f"see {changed}" if whole and (whole["quoted"] or whole["bare"]) in ACTS else changed


def message_of(item: JobStatus | UnitStatus) -> str | None:
    """Return why a job or a unit failed or waits. What the job itself wrote stays as it is."""
    text = item.reason if isinstance(item, JobStatus) else item.message
    is_ours = item.problem is not None and not item.problem.from_job
    return reword(text) if text and is_ours else text


def hint_of(item: JobStatus | UnitStatus) -> str | None:
    """Return what to do about it."""
    return item.hint and reword(item.hint)


def _replace(found: re.Match[str]) -> str:
    if found["left_out"]:
        return ""
    if found["after"]:
        return "in `arguments`"
    if flag := found["flag"]:
        name = _names().get(flag)
        return f"`{name}`" if name else flag
    if variable := found["variable"]:
        return found[0] if variable in config.NOT_SETTINGS else f"{found[0]} on the server"
    name = found["quoted"] or found["bare"]
    rest = found["options"] if found["quoted"] else found["words"]
    return ACTS.get(name) or f"`renderer {name}{rest}` on the server"


@functools.cache
def _names() -> Mapping[str, str]:
    """Return the name in a request by the flag."""
    return {**config.name_flags(), **_FIELDS}
