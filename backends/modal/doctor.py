"""Checks what a job at Modal needs: client, token, environment, app, volume, GPU. Changes nothing there."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator

from backends.diagnostics import Check
from backends.errors import RendererError
from backends.modal.deploy import deployment
from backends.modal.deploy.image import content_hash
from backends.modal.request import GPU, VOLUME, Deployment, Recipe, app_name
from backends.modal.session import Session
from backends.modal.volume import Files

LARGE_VOLUME = 10 * 2**30  # bytes from which the user is pointed to `renderer gc`


def run_checks(session: Session, outputs: Files, inputs: Files) -> Iterator[Check]:
    """Yield each check as soon as its result is known. After a failure, the later checks are left out."""
    checks: dict[str, Callable[[], Check]] = {
        "client": lambda: _check_client(session),
        "token": lambda: _check_token(session),
        "app": lambda: _check_app(session),
        "volume": lambda: _check_volume(outputs, inputs),
    }
    for name, run in checks.items():
        try:
            check = run()
        except RendererError as error:
            check = Check(name, "failure", str(error), error.hint)
        yield check
        if check.state == "failure":
            return
    yield Check("gpu", "ok", f"{GPU} unless --gpu names another")


def _check_client(session: Session) -> Check:
    session.modal  # noqa: B018  # the import is the check
    return Check("client", "ok", f"modal {importlib.metadata.version('modal')}")


def _check_token(session: Session) -> Check:
    session.call(lambda: session.modal.Client.from_env().hello())
    settings = session.modal.config.config
    environment = session.environment or settings.get("environment") or "the default"
    return Check("token", "ok", f"accepted by {settings.get('server_url')}, environment: {environment}")


def _check_app(session: Session) -> Check:
    wanted = Deployment(app=app_name(), recipe=Recipe(), gpus=(GPU,))
    if deployment.is_current(session, wanted.app, content_hash(wanted)):
        return Check("app", "ok", f"{wanted.app} is deployed and current")
    todo = "the next submit deploys it, which takes minutes the first time"
    return Check("app", "warning", f"{wanted.app} is not deployed, or not this version of it", todo)


def _check_volume(outputs: Files, inputs: Files) -> Check:
    if not outputs.exists():
        return Check("volume", "warning", f"there is no volume {VOLUME!r}", "the next submit creates it")
    size = sum(entry.size for files in (outputs, inputs) for entry in files.list("/") if entry.type.name == "FILE")
    todo = "`renderer gc --backend modal` removes what is old" if size > LARGE_VOLUME else None
    return Check("volume", "ok", f"the jobs have {size / 2**20:.1f} MiB there", todo)
