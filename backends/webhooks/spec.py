"""What a job's webhook is: where its message goes, and what signs it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from backends.errors import SpecError
from backends.webhooks.sending import SECRET_START, check_url, parse_networks

MAX_SECRET = 1000  # bytes
MAKE_SECRET = "make one: (umask 077; echo whsec_$(openssl rand -base64 32) > webhook-secret)"  # noqa: S105


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
        with path.open("rb") as file:
            text = file.read(MAX_SECRET).decode().strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SpecError(f"cannot read the webhook's secret in {path}: {reason}", hint=MAKE_SECRET) from error
    try:
        key = base64.b64decode(text.removeprefix(SECRET_START), validate=True)
    except ValueError:
        key = b""
    if not text.startswith(SECRET_START) or len(key) < 24:  # noqa: PLR2004  # as the standard says
        raise SpecError(f"{path} has no secret of a webhook: {SECRET_START} and 24 bytes as base64", hint=MAKE_SECRET)
    return text
