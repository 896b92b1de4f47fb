"""Tokens: who may use the server, and how much. Only the hash of a token is kept.

The secret that signs the webhooks of a token is kept itself, in a file that only the user can read.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backends.errors import DiskError, JobNotFoundError, SpecError
from backends.files import state_folder
from backends.untrusted.state_files import read_state, write_state

ANY_GPU = "any"
_FORM = re.compile(r"rdr_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_ID = re.compile(r"[0-9a-f]{12}")
_MAX_BYTES = 2**16
_mounted: list[Path] = []  # at most one folder


@dataclass(frozen=True, kw_only=True)
class Token:
    """What the holder of one token may do.

    ``backends`` and ``gpus`` are names; no backends stand for those of the server, ``any`` for every GPU. ``jobs`` may
    run at once, each attempt for ``seconds``, and a scene in so many ``shards``; the files of a job have at most
    ``bundle_mib`` MiB. With ``metrics`` it can read the server's figures, and nothing else. ``webhook`` is a URL that
    is told when its jobs end; the messages are signed with ``webhook_secret``.
    """

    id: str
    name: str
    created: str
    backends: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    jobs: int = 10
    seconds: float = 3600.0
    shards: int | None = None  # no limit, as for tokens of earlier versions
    bundle_mib: int = 64
    untrusted: bool = True
    metrics: bool = False
    webhook: str | None = None
    webhook_secret: str = field(default="", repr=False)
    digest: str = field(repr=False)


def create(name: str, **limits: Any) -> tuple[str, Token]:
    """Store a new token. Return its text, which is nowhere else, and what it may do. Raises SpecError, DiskError."""
    if not re.fullmatch(r"[\w.@ -]{1,60}", name):
        raise SpecError(f"the name {name!r} must have 1 to 60 letters, digits, blanks or .-_@")
    key, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    created = datetime.now(UTC).isoformat(timespec="microseconds")
    token = Token(id=key, name=name, created=created, digest=_digest(secret), **limits)
    try:
        write_state(_file(key), json.dumps(asdict(token)).encode())
    except OSError as error:
        raise DiskError("the token", _file(key).parent, error, hint="free disk space") from error
    return f"rdr_{key}_{secret}", token


def find(text: str) -> Token | None:
    """Return the token that a caller sent; None for one that does not exist or was revoked."""
    match = _FORM.fullmatch(text)
    token = match and (_read(match[1]) or _read_mounted(match[1]))
    if not match or not token or not hmac.compare_digest(token.digest, _digest(match[2])):
        return None
    return token


def find_by_id(key: str) -> Token | None:
    """Return the token with this id; None if it was revoked."""
    return (_read(key) or _read_mounted(key)) if _ID.fullmatch(key) else None


def list_tokens() -> Iterator[Token]:
    """Yield all tokens, oldest first."""
    folder = _file("").parent
    names = [path.stem for path in folder.iterdir() if _ID.fullmatch(path.stem)] if folder.is_dir() else []
    yield from sorted(filter(None, map(_read, names)), key=lambda token: (token.created, token.id))


def mount(folder: Path | None) -> None:
    """Read tokens from this folder as well. It is not written to, and may be a Secret that changes as it is read."""
    _mounted[:] = [folder] if folder else []


def exist() -> bool:
    """Return whether there is a token, also a damaged one. A mounted folder counts: its tokens may come later."""
    folder = _file("").parent
    return bool(_mounted) or (folder.is_dir() and any(path.suffix == ".json" for path in folder.iterdir()))


def revoke(key: str) -> None:
    """Remove a token; who holds it is refused from now on. Raises JobNotFoundError if there is none with this id."""
    try:
        _file(key if _ID.fullmatch(key) else "-").unlink()
    except FileNotFoundError as error:
        raise JobNotFoundError(
            f"there is no token {key!r}", hint="`renderer serve token list` shows the ids"
        ) from error


def _read(key: str) -> Token | None:
    with suppress(OSError, ValueError, TypeError, KeyError):
        return _parse(read_state(_file(key), _MAX_BYTES))
    return None


def _read_mounted(key: str) -> Token | None:
    for folder in _mounted:
        with suppress(OSError, ValueError, TypeError, KeyError):  # the files of a mounted Secret are links
            return _parse((folder / f"{key}.json").read_bytes())
    return None


def _parse(data: bytes) -> Token:
    content = json.loads(data)
    return Token(**content | {name: tuple(content[name]) for name in ("backends", "gpus")})


def _digest(secret: str) -> str:
    """Return the hash that is kept. The secret is random, so that a quick hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _file(key: str) -> Path:
    return state_folder("serve-tokens") / f"{key}.json"
