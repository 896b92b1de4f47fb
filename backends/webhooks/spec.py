"""What a job's webhook is: where its message goes, and what signs it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from backends.errors import SpecError
from backends.webhooks.sending import SECRET_START, check_url, parse_networks

MAX_SECRET = 1000  # bytes
MAKE_SECRET = "make one: (umask 077; echo whsec_$(openssl rand -base64 32) > ~/.config/webhook-secret)"  # noqa: S105


@dataclass(frozen=True)
class Webhook:
    """The URL that gets a message when a job ends, the file with the secret, and networks that it may lead to."""

    url: str
    secret_file: str
    networks: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise SpecError if no message could be sent: a bad URL, or a file without a secret."""
        check_url(self.url, parse_networks(self.networks))
        read_secret(Path(self.secret_file))


def read_secret(path: Path) -> str:
    """Return the secret that signs messages. Raises SpecError for a file that has none."""
    try:
        is_special = path.exists() and not path.is_file()  # a pipe can be read only once, and is waited for
        text = "" if is_special else _read(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text"
        raise SpecError(f"cannot read the webhook's secret in {path}: {reason}", hint=MAKE_SECRET) from error
    try:
        key = base64.b64decode(text.removeprefix(SECRET_START), validate=True)
    except ValueError:
        key = b""
    if not text.startswith(SECRET_START) or len(key) < 24:  # noqa: PLR2004  # as the standard says
        raise SpecError(
            f"{path} is not a file with a webhook secret: {SECRET_START} and at least 24 bytes as base64",
            hint=MAKE_SECRET,
        )
    return text


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MAX_SECRET).decode().strip()
