"""The API: the routes below /api/v1."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Query, Request
from fastapi import Path as PathParameter
from fastapi.dependencies.models import Dependant
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.datastructures import UploadFile
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from backends import JobState, JobStatus, LogLine
from backends.errors import SpecError
from backends.untrusted import show_line
from renderer.serve import schemas
from renderer.serve.api.files import send_file
from renderer.serve.api.parts import Found, Parts, Shared, Who
from renderer.serve.callers import Caller
from renderer.serve.documents import outputs_document, summary_document
from renderer.serve.events import is_ended
from renderer.serve.guard import allow_body
from renderer.serve.outputs import OTHER, TYPES
from renderer.serve.planning import hide_folder
from renderer.serve.problems import TYPE, RefusedError, explain
from renderer.serve.service import LATEST, Entry, name_of, place_of
from renderer.serve.uploads import Upload, read_form

LOG_BYTES = 2**16
RIGHT_S = 1.0  # so long a client that follows a job gets events after its token was revoked
_REQUEST = "request"

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="any text that is new for each job: the same request sent again then returns the same job",
    ),
]


def _problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    content = {TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    return {
        code: {"description": "see RFC 9457", "content": content} for code in (*codes, 401, 403, 421, 422, 502, 503)
    }


async def _check_parameters(request: Request) -> None:
    """Refuse a parameter that the address does not have: spelled wrongly, it would choose all jobs instead of some."""
    known = sorted(_list_parameters(request.scope["route"].dependant))
    for name in request.query_params:
        if name not in known:
            hint = f"there are: {', '.join(known)}" if known else "this address has none"
            raise RefusedError(422, f"there is no parameter '{show_line(name[:100])}'", hint=hint)


def _list_parameters(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for other in dependant.dependencies:
        yield from _list_parameters(other)


router = APIRouter(prefix="/api/v1", dependencies=[Depends(_check_parameters)])
_JOB = _problems(404, 409)
_SUBMIT = _problems(400, 408, 413, 415, 429, 507)


@router.get("/settings", responses=_problems(), tags=["server"])
async def get_rights(parts: Shared, who: Who) -> schemas.Rights:
    """Return what the caller may do, and the settings that may be changed."""
    policy, token = parts.service.policy, who.token
    found = [setting for setting in parts.service.load_config() if setting.key in policy.allow]
    return schemas.Rights(
        backends=list(policy.backends_of(who)),
        gpus=list(token.gpus) if token else None,
        jobs=token.jobs if token else None,
        seconds=token.seconds if token else None,
        shards=token.shards if token else None,
        bundle_mib=parts.service.bundle_limit(who),
        untrusted=token.untrusted if token else False,
        settings=[
            schemas.Setting(name=item.key, description=item.description, default=to_jsonable_python(item.value))
            for item in found
        ],
    )


@router.post("/jobs", status_code=201, responses={**_SUBMIT, 200: {"model": schemas.Job}}, tags=["jobs"])
async def submit(
    body: schemas.Submission, response: Response, parts: Shared, who: Who, idempotency_key: Key = None
) -> schemas.Job:
    """Submit a job, or a map if there are `inputs`, with the files in the request itself.

    The answer is 201 for a new job, and 200 for one that was submitted before with the same Idempotency-Key.
    """

    def fill(upload: Upload) -> schemas.Run:
        upload.add_submission(body)
        return body

    return await start(parts, who, body, fill, idempotency_key, response)


@router.post(
    "/jobs/upload",
    status_code=201,
    responses={**_SUBMIT, 200: {"model": schemas.Job}},
    tags=["jobs"],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["request"],
                        "additionalProperties": False,
                        "properties": {
                            "request": {
                                "$ref": "#/components/schemas/Run",
                            },
                            "files": {
                                "type": "array",
                                "items": {"type": "string", "format": "binary"},
                                "description": "the files of the project; the name of each is its path there",
                            },
                            "archive": {
                                "type": "string",
                                "format": "binary",
                                "description": "the files of the project as a tar archive, plain or compressed",
                            },
                        },
                    },
                    "encoding": {"request": {"contentType": "application/json"}},
                }
            },
        }
    },
)
async def submit_upload(
    request: Request, response: Response, parts: Shared, who: Who, idempotency_key: Key = None
) -> schemas.Job:
    """Submit a job whose files are uploaded: each as `files`, or all in one `archive`. `request` says what to run."""
    allow_body(request, parts.service.bundle_limit(who))
    async with read_form(request) as form:
        run = await _read_run(form.get(_REQUEST))
        files = [item for item in form.getlist("files") if not isinstance(item, str)]
        archives = [item for item in form.getlist("archive") if not isinstance(item, str)]
        if unknown := sorted(set(form) - {_REQUEST, "files", "archive"}):
            raise SpecError(f"there is no part {unknown[0][:100]!r}", hint="parts are request, files and archive")
        if len(files) + len(archives) < len(form.multi_items()) - len(form.getlist(_REQUEST)):
            raise SpecError("files and archive must be files", hint="with curl: --form files=@scene.py")

        def fill(upload: Upload) -> schemas.Run:
            for item in files:
                upload.add(item.filename or "", item.file)
            for item in archives:
                upload.add_tar(item.file)
            return run

        return await start(parts, who, run, fill, idempotency_key, response)


async def _read_run(part: UploadFile | str | None) -> schemas.Run:
    """Return what the part ``request`` says. Raises SpecError."""
    if part is None:
        raise SpecError('the part "request" is missing', hint='send {"file": "scene.py"} as the part request')
    text = part if isinstance(part, str) else await part.read(schemas.MAX_CODE)
    try:
        return TypeAdapter(schemas.Run).validate_json(text)
    except ValidationError as error:
        raise SpecError(f"request: {explain(error.errors())}") from error


async def start(
    parts: Parts,
    who: Caller,
    run: schemas.Run,
    fill: Callable[[Upload], schemas.Run],
    key: str | None,
    response: Response | None = None,
) -> schemas.Job:
    """Submit the job and return it. ``fill`` writes its files, and returns what is to run of them."""

    def work() -> tuple[Entry, bool, JobStatus]:
        with parts.service.records.upload() as folder:
            upload = Upload(folder / "project", parts.service.bundle_limit(who))
            try:
                wanted = fill(upload)
            except SpecError as error:
                raise hide_folder(error, upload.folder) from error
            entry, is_new = parts.service.submit(who, wanted, folder, upload.digest, key)
        return entry, is_new, parts.service.status(entry)

    entry, is_new, status = await parts.call_submit(run.settings.get("backend"), work)
    if response is not None:
        response.status_code = 201 if is_new else 200
        response.headers["Location"] = f"/api/v1/jobs/{entry.id}"
    return parts.describe(entry, status)


@router.get("/jobs", responses=_problems(400), tags=["jobs"])
async def list_jobs(  # each is a parameter of the address
    parts: Shared,
    who: Who,
    *,
    state: Annotated[list[JobState] | None, Query(description="only jobs in one of these states")] = None,
    backend: Annotated[str | None, Query(max_length=20)] = None,
    name: Annotated[str | None, Query(max_length=200, description="only jobs whose name contains this")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(max_length=1000, description="`next` of the part before")] = None,
) -> schemas.JobPage:
    """List the caller's jobs, newest first, in parts."""
    before = None if cursor is None else _read_cursor(cursor)
    known = parts.service.policy.backends
    if backend and backend not in known:
        raise SpecError(f"this server has no backend {backend!r}", hint=f"backends are {', '.join(known)}")

    def is_wanted(entry: Entry, status: JobStatus) -> bool:
        return (
            (not state or status.state in state)
            and (name is None or name.lower() in name_of(entry, status))
            and (before is None or place_of(entry, status) < before)
        )

    def work(backend: str) -> list[schemas.JobSummary]:
        found = itertools.islice(parts.service.list(who, backend, is_wanted), limit + 1)
        return [summary_document(entry, status) for entry, status in found]

    names = [backend] if backend else known
    if len(names) == 1:
        lists, notes = [await parts.call_listing(names[0], work)], list[str]()
    else:
        lists, notes = await parts.call_listings(names, work)
    page = list(itertools.islice(heapq.merge(*lists, key=_place, reverse=True), limit + 1))
    more = _write_cursor(page[limit - 1]) if len(page) > limit else None
    return schemas.JobPage(jobs=page[:limit], next=more, notes=notes)


def _place(job: schemas.JobSummary) -> tuple[datetime, str]:
    return job.created or LATEST, job.id


def _write_cursor(job: schemas.JobSummary) -> str:
    moment, key = _place(job)
    return f"{moment.isoformat()}~{key}"


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    text, _, key = cursor.partition("~")
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        if moment.tzinfo is None:
            raise ValueError  # noqa: TRY301
    except ValueError as error:
        raise SpecError("the cursor is not one of this server", hint="take `next` of the part before") from error
    return moment, key


@router.get("/jobs/{id}", responses=_JOB, tags=["jobs"])
async def get_job(parts: Shared, entry: Found) -> schemas.Job:
    """Return a job with its units."""
    return parts.describe(entry, await parts.status(entry))


@router.delete("/jobs/{id}", status_code=204, responses=_JOB, tags=["jobs"])
async def delete_job(parts: Shared, entry: Found) -> None:
    """Stop the job if it runs, and remove it with all that it stored."""
    await parts.call(entry.backend, parts.service.delete, entry)
    parts.outputs.forget(entry)


@router.post("/jobs/{id}/cancel", responses=_JOB, tags=["jobs"])
async def cancel_job(parts: Shared, entry: Found) -> schemas.Job:
    """Stop a job; one that has ended stays as it is."""
    return parts.describe(entry, await parts.call(entry.backend, parts.service.cancel, entry))


@router.post("/jobs/{id}/retry", status_code=201, responses={**_JOB, **_problems(400, 429, 507)}, tags=["jobs"])
async def retry_job(
    parts: Shared,
    who: Who,
    entry: Found,
    body: Annotated[schemas.Retry, Body(default_factory=schemas.Retry)],
) -> schemas.Job:
    """Run the units that failed or were cancelled again, as a new job with the same files."""
    new = await parts.call(entry.backend, parts.service.retry, who, entry, body.settings)
    return parts.describe(new, await parts.status(new))


@router.post("/jobs/{id}/preview", status_code=201, responses={**_JOB, **_problems(400, 429, 507)}, tags=["jobs"])
async def preview_job(parts: Shared, who: Who, entry: Found) -> schemas.Job:
    """Make a preview of the scenes of a job (images and JSON, no film), as a new job with the same files."""
    new = await parts.call_submit(entry.backend, parts.service.preview, who, entry)
    return parts.describe(new, await parts.status(new))


@router.get(
    "/jobs/{id}/logs",
    responses={**_JOB, 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    response_class=StreamingResponse,
    tags=["jobs"],
)
async def get_logs(
    parts: Shared,
    entry: Found,
    unit: Annotated[int | None, Query(ge=0, le=2**31, description="only the lines of this unit")] = None,
) -> StreamingResponse:
    """Return what the job has printed so far. `events` goes on from there."""
    log = _join_lines(await parts.call(entry.backend, parts.service.open(entry).logs), unit)

    async def stream() -> AsyncIterator[bytes]:
        data = first
        while data:
            yield data
            data = await parts.call(entry.backend, next, log, b"")

    first = await parts.call(entry.backend, next, log, b"")
    return _LogResponse(stream(), log)


def _join_lines(lines: Iterator[LogLine], unit: int | None) -> Generator[bytes]:
    data = bytearray()
    for line in lines:
        if unit in {None, line.unit}:
            data += line.text.encode("utf-8", "replace") + b"\n"
        if len(data) > LOG_BYTES:
            yield bytes(data)
            data.clear()
    yield bytes(data)


class _LogResponse(StreamingResponse):
    """A log. Its file or connection is closed at the end, also if the client goes before."""

    def __init__(self, content: AsyncIterator[bytes], log: Generator[bytes]) -> None:
        super().__init__(content, media_type="text/plain; charset=utf-8")
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._log.close()


_EVENT = {
    "type": ["object", "string"],  # each of the events, or all of them for a client that reads the answer as one text
    "required": ["event", "data"],
    "properties": {
        "event": {"type": "string", "enum": ["job", "units", "log", "gap", "reset", "end"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "id": {"type": "string"},
    },
}


@router.get(
    "/jobs/{id}/events",
    responses={
        **_JOB,
        200: {
            "description": "Server-sent events: `job` (a JobSummary), `units` (units that changed, with their index), "
            "`log` (a list of lines), `gap` (so many lines were left out), `reset` (everything comes again), `end`.",
            "content": {"text/event-stream": {"schema": _EVENT}},
        },
        204: {"description": "The client has seen everything."},
    },
    response_class=EventSourceResponse,
    tags=["jobs"],
)
async def get_events(
    parts: Shared,
    who: Who,
    entry: Found,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID", max_length=100)] = None,
) -> Response:
    """Follow a job: its state, progress and log lines as they come, until it has ended."""
    if is_ended(last_event_id):
        return Response(status_code=204)
    await parts.status(entry)

    async def events() -> AsyncIterator[ServerSentEvent]:
        checked = time.monotonic()
        async for event in parts.followers.follow(entry, last_event_id):
            if time.monotonic() - checked > RIGHT_S:
                try:
                    who.check_known()
                except RefusedError:
                    return  # the client asks again, and learns why
                checked = time.monotonic()
            yield ServerSentEvent(event.to_json(), event=event.name, id=event.id or None, sep="\n")

    return EventSourceResponse(events())


@router.get("/jobs/{id}/outputs", responses={**_JOB, **_problems(507)}, tags=["outputs"])
async def list_outputs(parts: Shared, entry: Found) -> schemas.Outputs:
    """List the files that the job made. There are none before it has ended."""
    return outputs_document(entry, await parts.call(entry.backend, parts.outputs.find, entry))


_FILE_HEADERS = {
    "Range": "only these bytes, such as bytes=0-99",
    "If-None-Match": "the ETag of the file that the client has",
    "If-Range": "the ETag of the file of which the client has a part",
}


def _header(name: str, description: str) -> dict[str, Any]:
    """Return the description of a header that FileResponse reads."""
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


_FILE: dict[str, Any] = {
    "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in sorted({OTHER, *TYPES.values()})}
}


@router.get(
    "/jobs/{id}/outputs/{path:path}",
    responses={
        **_JOB,
        **_problems(400, 416, 507),
        200: _FILE,
        206: {"description": "The ranges that were asked for.", **_FILE},
        304: {"description": "The client has the file already."},
    },
    openapi_extra={"parameters": [_header(name, text) for name, text in _FILE_HEADERS.items()]},
    response_class=FileResponse,
    tags=["outputs"],
)
async def get_output(
    request: Request,
    path: Annotated[str, PathParameter(max_length=2000)],
    parts: Shared,
    entry: Found,
    download: Annotated[bool, Query(description="as a file to save, also if a browser could show it")] = False,
) -> Response:
    """Return a file that the job made, or ranges of it. Its ETag is the file's SHA-256."""
    file, place = await parts.call(entry.backend, parts.outputs.find_file, entry, path)
    return send_file(request, file.type, f'"{file.sha256}"', place, as_file=download or file.type == OTHER)
