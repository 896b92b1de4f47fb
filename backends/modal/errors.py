"""Translates errors of Modal's client: what they mean, and what to do about them."""

from __future__ import annotations

from collections.abc import Mapping

from backends.errors import BackendError, RendererError, TransientError

TOKEN_HINT = "run `modal token new`, or set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET"  # noqa: S105  # no token itself
_OTHER_GPU = "choose another: `renderer gpus` lists them, and --gpu A10G,L4,T4 takes the first free"
_TRY_AGAIN = "try again; https://status.modal.com shows whether Modal has a problem"

# Class name of the client's error: our class, message, hint. {error} is Modal's own text.
_TRANSLATIONS: Mapping[str, tuple[type[RendererError], str, str]] = {
    "AuthError": (BackendError, "Modal does not accept the token", TOKEN_HINT),
    "PermissionDeniedError": (
        BackendError,
        "the Modal token may not do this: {error}",
        "ask the workspace's owner, or choose another profile",
    ),
    "NotFoundError": (BackendError, "Modal does not find it: {error}", "`renderer doctor --backend modal` checks"),
    "VersionError": (
        BackendError,
        "Modal no longer works with this version of its client",
        "pip install -U 'manim-renderer[modal]'",
    ),
    "ConnectionError": (TransientError, "Modal cannot be reached", _TRY_AGAIN),
    "ServiceError": (TransientError, "Modal did not answer: {error}", _TRY_AGAIN),
    "InternalError": (TransientError, "Modal had an internal error: {error}", _TRY_AGAIN),
    "ClientClosed": (TransientError, "the connection to Modal was closed", _TRY_AGAIN),
    "ResourceExhaustedError": (
        TransientError,
        "Modal's limits are reached: {error}",
        "wait, or raise the plan's limits",
    ),
    "VolumeUploadTimeoutError": (TransientError, "the upload of the inputs to Modal took too long", _TRY_AGAIN),
    "UnimplementedError": (BackendError, "Modal does not offer this (any more): {error}", "update renderer"),
    "InvalidError": (BackendError, "Modal refuses: {error}", "`renderer doctor --backend modal` checks the set-up"),
    "ClientConnectorError": (TransientError, "Modal's storage cannot be reached", _TRY_AGAIN),
    "ClientOSError": (TransientError, "the transfer to or from Modal broke off", _TRY_AGAIN),
    "ServerDisconnectedError": (TransientError, "the transfer to or from Modal broke off", _TRY_AGAIN),
    "ClientPayloadError": (TransientError, "the transfer to or from Modal broke off", _TRY_AGAIN),
}


def make_timeout_error(seconds: float) -> TransientError:
    """Return the error for a call that Modal did not answer in time."""
    return TransientError(f"Modal did not answer within {seconds:g} s", hint=_TRY_AGAIN)


def translate_error(error: BaseException) -> RendererError:
    """Return the RendererError for an error that Modal's client raised."""
    return translate_error_names([kind.__name__ for kind in type(error).__mro__], str(error))


def translate_error_names(names: list[str], text: str) -> RendererError:
    """Return the RendererError for an error of Modal's client, of which only class names and text are known.

    ``names`` are those of its class and of the base classes, in the order of Python's ``__mro__``.
    """
    said = text.strip().partition("\n")[0].rstrip(".")
    if names[0] == "AuthError" and ("missing" in said or "profile" in said):
        message = "Modal has no token" if "missing" in said else said.partition(". ")[0]
        hint = TOKEN_HINT if "missing" in said else "`modal profile list` shows the profiles"
        return BackendError(message, hint=hint)
    if "ConflictError" in names and "client" in said.lower() and "version" in said.lower():
        names = ["VersionError"]
    if "GPU" in said and "InvalidError" in names:
        return BackendError(f"Modal refuses: {said}", hint=_OTHER_GPU)
    for name in names:
        if name in _TRANSLATIONS:
            kind, sentence, hint = _TRANSLATIONS[name]
            return kind(sentence.format(error=said), hint=hint)
    return BackendError(f"Modal's client failed: {names[0]}: {said}", hint="run it again with --debug and report it")
