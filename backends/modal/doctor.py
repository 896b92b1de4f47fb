"""Looks at the way to Modal: client, token, environment, app, volume, GPU. Changes nothing there."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator

from backends.diagnostics import Check
from backends.errors import RendererError
from backends.modal.backend import ModalBackend
from backends.modal.deploy import deployment
from backends.modal.deploy.image import content_hash
from backends.modal.options import ModalOptions
from backends.modal.request import GPU, VOLUME, Deployment, Recipe, app_name


def checks(options: ModalOptions | None = None) -> Iterator[Check]:
    """Give each line as soon as it is known; after a failure the rest cannot be looked at."""
    backend = ModalBackend(options)
    for name, look in (("client", _client), ("token", _token), ("app", _app), ("volume", _volume)):
        check = _guarded(name, look, backend)
        yield check
        if check.state == "failure":
            return
    yield Check("gpu", "ok", f"{GPU} unless --gpu names another")


def _guarded(name: str, look: Callable[[ModalBackend], Check], backend: ModalBackend) -> Check:
    try:
        return look(backend)
    except RendererError as error:
        return Check(name, "failure", str(error), error.hint)


def _client(backend: ModalBackend) -> Check:
    backend.session.modal  # noqa: B018  # the import is the check
    return Check("client", "ok", f"modal {importlib.metadata.version('modal')}")


def _token(backend: ModalBackend) -> Check:
    session = backend.session
    session.call(lambda: session.modal.Client.from_env().hello())
    settings = session.modal.config.config
    environment = session.environment or settings.get("environment") or "the default"
    return Check("token", "ok", f"accepted by {settings.get('server_url')}, environment: {environment}")


def _app(backend: ModalBackend) -> Check:
    wanted = Deployment(app=app_name(), recipe=Recipe(), gpus=(GPU,))
    if deployment.is_current(backend.session, wanted.app, content_hash(wanted, backend.files.find() or "")):
        return Check("app", "ok", f"{wanted.app} is deployed and current")
    todo = "the next submit deploys it, which takes minutes the first time"
    return Check("app", "warning", f"{wanted.app} is not deployed, or not this version of it", todo)


def _volume(backend: ModalBackend) -> Check:
    if backend.files.find() is None:
        return Check("volume", "warning", f"there is no volume {VOLUME!r}", "the next submit makes it")
    size = sum(entry.size for folder in ("jobs", "inputs") for entry in backend.files.list(folder))
    todo = "`renderer gc --backend modal` removes what is old" if size > 10 * 2**30 else None
    return Check("volume", "ok", f"{VOLUME!r} holds {size / 2**20:.1f} MiB", todo)
