"""Errors of the API server: a class for each kind, and their translation into messages for the user."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from backends.errors import BackendError, RendererError, SpecError, TransientError


class ApiError(Exception):
    """An error that the API server returned: ``code`` is the HTTP status, ``reason`` Kubernetes' word (NotFound)."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class InvalidError(ApiError):
    """The server rejects the object: it does not pass validation or admission."""


class UnauthorizedError(ApiError):
    """The credentials are not accepted."""


class ForbiddenError(ApiError):
    """The user has no permission, or a quota or policy of the namespace forbids it."""


class NotFoundError(ApiError):
    """The object does not exist."""


class ConflictError(ApiError):
    """The object was changed in the meantime, or another manager owns its fields."""


class AlreadyExistsError(ConflictError):
    """An object of that name exists already."""


class TooManyRequestsError(ApiError):
    """The server is too busy."""


class ServerError(ApiError):
    """The server failed, or the proxy in front of it could not reach it."""


_CLASSES: Mapping[int, type[ApiError]] = {
    400: InvalidError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    422: InvalidError,
    429: TooManyRequestsError,
}
_QUOTA = "exceeded quota"
_HINTS = (
    (_QUOTA, "wait for other jobs, or ask for less: --memory, --cpu, --parallelism"),
    ("namespaces", "create the namespace: `renderer setup k8s --namespace NAME --apply`, or name another: --namespace"),
)


def read_error(code: int, body: bytes) -> ApiError:
    """Return the error that an answer of the API server describes. The ``body`` need not be JSON."""
    try:
        status = json.loads(body)
        reason, message = str(status.get("reason") or ""), str(status.get("message") or f"HTTP {code}")
    except (ValueError, AttributeError):
        reason, message = "", f"HTTP {code}"
    return make_error(code, reason, message)


def make_error(code: int, reason: str, message: str) -> ApiError:
    """Return the error of the class that belongs to the HTTP status ``code``."""
    if reason == "AlreadyExists":
        return AlreadyExistsError(code, reason, message)
    server_error = code >= 500  # noqa: PLR2004 - where HTTP's server errors begin
    return (ServerError if server_error else _CLASSES.get(code, ApiError))(code, reason, message)


def is_temporary(error: ApiError) -> bool:
    """Return whether the same request may succeed a moment later, so that it is worth repeating.

    Two cases are less obvious: a server that has just started does not know its own roles yet, and a quota's count can
    change while several clients create objects.
    """
    if isinstance(error, ForbiddenError):
        return 'clusterrole.rbac.authorization.k8s.io "system:' in str(error)
    if isinstance(error, ConflictError):
        return "cannot be fulfilled on resourcequotas" in str(error)
    return isinstance(error, TooManyRequestsError | ServerError) and error.reason not in {"InternalError", "Timeout"}


@contextmanager
def translating_errors(action: str) -> Iterator[None]:
    """Raise an ApiError of the block as a RendererError; ``action`` completes the sentence "you may not …"."""
    try:
        yield
    except ApiError as error:
        raise translate_error(error, action) from error


def translate_error(error: ApiError, action: str) -> RendererError:
    """Return the RendererError that explains an ApiError; ``action`` completes the sentence "you may not …"."""
    text = str(error)
    hint = next((hint for part, hint in _HINTS if part in text), None)
    if isinstance(error, ForbiddenError) and _QUOTA not in text:
        return BackendError(
            f"you may not {action}: {text}", hint="`renderer doctor --backend k8s` lists the missing permissions"
        )
    if isinstance(error, InvalidError):
        return SpecError(f"the cluster rejects the job: {text}", hint=hint or "check what --patch adds to the Job")
    if isinstance(error, ServerError):
        return TransientError(f"the API server failed: {text}", hint="try again")
    return BackendError(text, hint=hint)
