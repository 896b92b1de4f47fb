"""A refusal of the API server, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from backends.errors import BackendError, RendererError, SpecError, TransientError

_HINTS = (
    ("exceeded quota", "wait for other jobs, or ask for less: --memory, --cpu, --parallelism"),
    ("namespaces", "create the namespace: `renderer setup k8s --apply`, or name another with --namespace"),
)


class ApiError(Exception):
    """The API server's own refusal: ``code`` is HTTP's, ``reason`` a word of Kubernetes, ``message`` a sentence."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


def refusal(code: int, body: bytes) -> ApiError:
    """Read an answer that says no."""
    try:
        status = json.loads(body)
        return ApiError(code, str(status.get("reason") or ""), str(status.get("message") or f"HTTP {code}"))
    except (ValueError, AttributeError):
        return ApiError(code, "", f"HTTP {code}")


@contextmanager
def allowing(*reasons: str) -> Iterator[None]:
    """Go on after a refusal for one of these reasons, words of Kubernetes as ``AlreadyExists``."""
    try:
        yield
    except ApiError as error:
        if error.reason not in reasons:
            raise


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn an ApiError of the block into one of ours; ``doing`` completes "may not …"."""
    try:
        yield
    except ApiError as error:
        raise of(error, doing) from error


def of(error: ApiError, doing: str) -> RendererError:
    """Give the error that tells a user what the API server said."""
    text = str(error)
    hint = next((hint for words, hint in _HINTS if words in text), None)
    if error.code == 403 and "exceeded quota" not in text:  # noqa: PLR2004 - HTTP's number
        return BackendError(
            f"you may not {doing}: {text}", hint="`renderer doctor --backend k8s` lists what is missing"
        )
    if error.code in {400, 422}:
        return SpecError(f"the cluster does not accept the job: {text}", hint=hint or "what --patch adds may be wrong")
    if error.code >= 500:  # noqa: PLR2004 - HTTP's number
        return TransientError(f"the API server failed: {text}", hint="try again")
    return BackendError(text, hint=hint)
