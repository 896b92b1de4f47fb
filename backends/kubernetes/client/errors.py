"""Errors of the API server: a class for each kind of refusal, and their translation for the user."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from backends.errors import BackendError, RendererError, SpecError, TransientError


class ApiError(Exception):
    """A refusal of the API server: ``code`` is the HTTP status, ``reason`` one word of Kubernetes, such as NotFound."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class InvalidError(ApiError):
    """The object does not pass validation or admission."""


class UnauthorizedError(ApiError):
    """The credentials are not accepted."""


class ForbiddenError(ApiError):
    """The user may not do this, or a quota or policy of the namespace is against it."""


class NotFoundError(ApiError):
    """The object does not exist."""


class ConflictError(ApiError):
    """The object was changed meanwhile, or its fields belong to another manager."""


class AlreadyExistsError(ConflictError):
    """An object of that name exists."""


class TooManyRequestsError(ApiError):
    """The server is too busy."""


class ServerError(ApiError):
    """The server failed, or a proxy before it did not reach it."""


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
    """Return the error that an answer of the API server describes; ``body`` may be anything."""
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
    """Return whether the same request may succeed a moment later.

    A server that has just started does not know any roles yet, not even its own. And a quota's count can change while
    several clients create objects.
    """
    if isinstance(error, ForbiddenError):
        return 'clusterrole.rbac.authorization.k8s.io "system:' in str(error)
    if isinstance(error, ConflictError):
        return "cannot be fulfilled on resourcequotas" in str(error)
    return isinstance(error, TooManyRequestsError | ServerError) and error.reason not in {"InternalError", "Timeout"}


@contextmanager
def translating_errors(action: str) -> Iterator[None]:
    """Translate an ApiError of the block for the user; ``action`` completes the sentence "you may not …"."""
    try:
        yield
    except ApiError as error:
        raise translate_error(error, action) from error


def translate_error(error: ApiError, action: str) -> RendererError:
    """Return the error that explains a refusal to the user; ``action`` completes the sentence "you may not …"."""
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
