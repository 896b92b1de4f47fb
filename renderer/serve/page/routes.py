"""The pages: rendered here, kept up to date by htmx and by the events of the API."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.templating import Jinja2Templates
from pydantic import ValidationError

from backends import JobState
from backends.errors import RendererError, ResultError, SpecError
from backends.option_types import format_duration
from backends.untrusted import show_text
from renderer.previews import previewing
from renderer.serve import schemas
from renderer.serve.api import routes as api
from renderer.serve.api.parts import Found, Parts, Shared, Who
from renderer.serve.callers import Caller, identify
from renderer.serve.documents import job_document, outputs_document, progress_of
from renderer.serve.guard import COOKIE, allow_body
from renderer.serve.outputs import OutputTable
from renderer.serve.planning import means_all_scenes
from renderer.serve.problems import describe, explain, word_error
from renderer.serve.service import Entry
from renderer.serve.uploads import Upload, read_form

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
PAGE = 25
_SETTINGS = ("quality", "backend", "gpu")
_SHOWN = ("video/", "image/")
MOST_PREVIEWS = 20  # whose warnings the page of a job shows
_COOKIE_S = 30 * 86400

_SIZES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "bytes"))

_templates = Jinja2Templates(directory=Path(__file__).parent / "templates")
_templates.env.filters |= {
    "show": lambda text: show_text(str(text)),
    "size": lambda size: next(f"{size / unit:.4g} {name}" for unit, name in _SIZES if size >= unit or unit == 1),
    "duration": lambda seconds: format_duration(round(seconds, 1)),
    "moment": lambda moment: moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if moment else "",
}


router = APIRouter()


def _render(request: Request, name: str, status: int = 200, **context: Any) -> HTMLResponse:
    caller = getattr(request.state, "caller", None)
    return _templates.TemplateResponse(request, name, {"caller": caller, **context}, status_code=status)


def error_page(request: Request, document: Mapping[str, Any]) -> Response:
    """Return a problem document as a page."""
    return _render(request, "error.html", document["status"], error=document)


async def _list(parts: Parts, who: Caller, state: str, cursor: str | None) -> dict[str, Any]:
    """Return what the list of jobs shows."""
    chosen = [JobState(state)] if state in set(JobState) else None
    page = await api.list_jobs(parts, who, state=chosen, limit=PAGE, cursor=cursor)
    given = {key: value for key, value in (("state", state), ("cursor", cursor)) if value}
    following = urlencode({**given, "cursor": page.next or ""})
    return {"page": page, "state": state, "query": urlencode(given), "next_query": following}


async def _front(
    request: Request, parts: Parts, who: Caller, listed: Mapping[str, Any], error: RendererError | None, form: Any
) -> HTMLResponse:
    policy, document = parts.service.policy, error and describe(error)
    return _render(
        request,
        "jobs.html",
        document["status"] if document else 200,
        **listed,
        error=document,
        form=form,
        allow=policy.allow,
        backends=policy.backends_of(who),
    )


@router.get("/")
async def show_jobs(request: Request, parts: Shared, who: Who, state: str = "", cursor: str | None = None) -> Response:
    """Show all jobs and the form for a new one."""
    return await _front(request, parts, who, await _list(parts, who, state, cursor), None, {})


@router.get("/jobs")
async def show_list(request: Request, parts: Shared, who: Who, state: str = "", cursor: str | None = None) -> Response:
    """Return the list alone."""
    return _render(request, "list.html", **await _list(parts, who, state, cursor))


@router.post("/jobs")
async def submit(request: Request, parts: Shared, who: Who) -> Response:
    """Submit what the form says, and go to the job."""
    allow_body(request, parts.service.bundle_limit(who))
    async with read_form(request) as form:
        texts = {key: value.strip() for key, value in form.items() if isinstance(value, str) and key != "code"}
        code = form.get("code")
        files = [item for item in form.getlist("files") if not isinstance(item, str) and item.filename]
        texts["code"] = code = code if isinstance(code, str) else ""
        try:
            submission = _read_form(texts, [item.filename or "" for item in files])
            submission = parts.service.policy.with_poster(submission)
            job = await api.start(parts, who, submission, lambda upload: _fill(upload, submission, files), None)
        except RendererError as error:
            return await _front(request, parts, who, await _list(parts, who, "", None), error, texts)
    return RedirectResponse(f"/jobs/{job.id}", 303)


def _read_form(texts: Mapping[str, str], files: list[str]) -> schemas.Submission:
    """Return the job that the form describes. Raises SpecError."""
    scenes = texts.get("scenes", "").replace(",", " ").split()
    settings = {key: texts[key] for key in _SETTINGS if texts.get(key)}
    code = texts["code"].replace("\r\n", "\n")
    file = texts.get("file") or ("scene.py" if code.strip() else _choose_file(files))
    try:
        return schemas.Submission(
            file=file,
            scenes=scenes,
            settings=settings,
            code=code if code.strip() else None,
            preview=schemas.Preview() if texts.get("preview") else None,
        )
    except ValidationError as error:
        raise SpecError(explain(error.errors())) from error


def _choose_file(files: list[str]) -> str:
    """Return the Python file that is to be run. Raises SpecError if that is not clear."""
    if not files:
        raise SpecError("there is no code", hint="paste a scene, or drop a file")
    programs = [name for name in files if name.endswith(".py")]
    if len(programs) == 1:
        return programs[0]
    for name in ("scene.py", "main.py"):
        if name in programs or not programs:
            return name
    raise SpecError(
        "it is not clear which file to run", hint=f"write one under “File to run”: {', '.join(programs[:5])}"
    )


def _fill(upload: Upload, submission: schemas.Submission, files: list[Any]) -> schemas.Run:
    """Write the files, and return the request: without names it is for all scenes, if there are any."""
    upload.add_submission(submission)
    for item in files:
        if item.filename.endswith(ARCHIVES):
            upload.add_tar(item.file)
        else:
            upload.add(item.filename, item.file)
    return submission.model_copy(update={"all": means_all_scenes(submission, upload.folder)})


async def _describe(parts: Parts, entry: Entry) -> dict[str, Any]:
    status = await parts.status(entry)
    shown: dict[str, Any] = {"outputs": None, "has_preview": False}
    if status.state.terminal:
        shown = await parts.call(entry.backend, _describe_outputs, parts, entry)
    return {"job": job_document(entry, status), "progress": progress_of(status), **shown}


def _describe_outputs(parts: Parts, entry: Entry) -> dict[str, Any]:
    """Return what a job made, films and images first, with sentences about its previews, and what may be made."""
    previews: list[tuple[str, list[str]]] = []
    captions: dict[str, str] = {}  # of contact sheets, by the path of the image
    posters: dict[str, str] = {}  # the address of a film's image, by the path of the film
    try:
        table = parts.outputs.find(entry)
        outputs = outputs_document(entry, table)
        outputs.outputs.sort(key=lambda file: not file.type.startswith(_SHOWN))
        images = {file.path: file.url for file in outputs.outputs}
        for file in outputs.outputs:
            image = PurePosixPath(file.path).with_suffix(".poster.png").as_posix()  # see the setting poster
            if file.type.startswith("video/") and image in images:
                posters[file.path] = images[image]
        with suppress(ResultError):  # its sentence names a file of the server
            for item in previewing.read_previews(_select_shown(table)):
                caption = previewing.summarize(item)
                previews.append((caption, previewing.describe_warnings(item)))
                captions |= {path.relative_to(table.folder).as_posix(): caption for path in item.images}
    except RendererError as error:
        outputs = schemas.Outputs(outputs=[], note=word_error(error)[0])
    has_preview = parts.service.has_preview(entry)
    shown = {"previews": previews, "captions": captions, "posters": posters}
    return {"outputs": outputs, "has_preview": has_preview, **shown}


def _select_shown(table: OutputTable) -> list[Path]:
    """Return the files of a job without the timelines that the page has no room for: a job may make thousands."""
    paths = [table.folder / file.path for file in table.files]
    timelines = [path for path in paths if path.name.endswith(previewing.TIMELINE)]
    left_out = set(timelines[MOST_PREVIEWS:])
    return [path for path in paths if path not in left_out]


@router.get("/jobs/{id}")
async def show_job(request: Request, parts: Shared, entry: Found) -> Response:
    """Show a job."""
    return _render(request, "job.html", **await _describe(parts, entry))


@router.get("/jobs/{id}/state")
async def show_state(request: Request, parts: Shared, entry: Found) -> Response:
    """Return the part of a job's page that changes."""
    return _render(request, "state.html", **await _describe(parts, entry))


@router.post("/jobs/{id}/cancel")
async def cancel(parts: Shared, entry: Found) -> Response:
    """Stop a job."""
    await parts.call(entry.backend, parts.service.cancel, entry)
    return RedirectResponse(f"/jobs/{entry.id}", 303)


@router.post("/jobs/{id}/retry")
async def retry(parts: Shared, who: Who, entry: Found) -> Response:
    """Run what failed again."""
    new = await parts.call(entry.backend, parts.service.retry, who, entry, {})
    return RedirectResponse(f"/jobs/{new.id}", 303)


@router.post("/jobs/{id}/preview")
async def preview(parts: Shared, who: Who, entry: Found) -> Response:
    """Make a contact sheet of the job's scenes, by a job of its own."""
    new = await parts.call_submit(entry.backend, parts.service.preview, who, entry)
    return RedirectResponse(f"/jobs/{new.id}", 303)


@router.post("/jobs/{id}/delete")
async def delete(parts: Shared, entry: Found) -> Response:
    """Remove a job."""
    await parts.call(entry.backend, parts.service.delete, entry)
    parts.outputs.forget(entry)
    return RedirectResponse("/", 303)


@router.get("/login")
async def show_login(request: Request) -> Response:
    """Show the form for a token."""
    return _render(request, "login.html")


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Keep the token in a cookie that no script and no other site can use."""
    form = await request.form(max_files=0, max_fields=2, max_part_size=4096)
    try:
        identify(None, str(form.get("token", "")).strip() or "-", is_open=False)
    except RendererError as error:
        return _render(request, "login.html", 401, error=describe(error))
    response = RedirectResponse("/", 303)
    response.set_cookie(
        COOKIE,
        str(form["token"]).strip(),
        max_age=_COOKIE_S,
        httponly=True,
        samesite="strict",
        secure="https" in {request.url.scheme, urlsplit(request.headers.get("origin", "")).scheme},  # of a proxy
    )
    return response


@router.post("/logout")
async def log_out() -> Response:
    """Forget the token."""
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response
