"""Signs a message and sends it, only to addresses that are allowed: the network of the server is not the caller's.

The address is checked that is connected to, so that a name cannot lead elsewhere a moment later (DNS rebinding).
Redirects are answers like any other, and no proxy is used.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import ipaddress
import queue
import random
import re
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit

from backends.errors import SpecError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Networks = tuple[Network, ...]

STEP_TIMEOUT_S = 10.0  # for a connection, an answer
TOTAL_TIMEOUT_S = 30.0  # for all together: an answer may come byte by byte
# pauses before the next attempt, as the standard recommends them: for about three days
RETRY_S = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
MAX_URL = 2000
MAX_ADDRESSES = 3  # of a host: each that does not answer keeps a thread
SECRET_START = "whsec_"  # noqa: S105  # how the standard marks them
_UNICAST = ipaddress.ip_network("2000::/3")  # IPv6 in use; the rest of it may lead to IPv4 addresses of any kind
_EXCEPTIONS = (ipaddress.ip_network("2002::/16"), ipaddress.ip_network("192.0.0.0/24"))
_SCHEMES = {"https": 443, "http": 80}


class NotDeliveredError(Exception):
    """The receiver did not take the message. The text is a sentence without the URL, which may contain a secret."""


def make_secret() -> str:
    """Return a new secret to sign with."""
    return SECRET_START + base64.b64encode(secrets.token_bytes(32)).decode()


def sign(secret: str, message: str, timestamp: int, body: bytes) -> str:
    """Return the header webhook-signature."""
    key = base64.b64decode(secret.removeprefix(SECRET_START))
    digest = hmac.digest(key, f"{message}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def parse_networks(names: Iterable[str]) -> Networks:
    """Return the networks of the setting serve.webhook_networks. Raises SpecError for what is none."""
    found = []
    for name in names:
        try:
            found.append(ipaddress.ip_network(name))
        except ValueError as error:
            raise SpecError(
                f"serve.webhook_networks cannot have {name!r}: {error}", hint="write networks as 10.0.0.0/8"
            ) from error
    return tuple(found)


def check_url(url: str, networks: Networks) -> SplitResult:
    """Return the parts of a URL. Raises SpecError for one that messages are not sent to."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SpecError("the webhook is not a URL", hint="write it as https://example.org/path") from error
    if (
        not re.fullmatch(r"[\x21-\x7e]+", url)
        or len(url) > MAX_URL
        or parts.scheme not in _SCHEMES
        or not parts.hostname
    ):
        raise SpecError("the webhook is not a URL", hint="write it as https://example.org/path")
    if parts.username is not None or parts.fragment or port == 0:
        raise SpecError("the webhook cannot have a user, a fragment or port 0", hint="leave it out")
    if parts.scheme == "http" and not networks:
        raise SpecError("the webhook must begin with https://", hint="http is for networks of serve.webhook_networks")
    try:
        literal = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return parts
    if not is_allowed(literal, networks):
        raise SpecError(f"the webhook leads to {literal}, an address inside a network", hint=_describe_networks())
    return parts


def _describe_networks() -> str:
    return "the setting serve.webhook_networks lists those that are allowed"


def is_allowed(address: Address, networks: Networks) -> bool:
    """Return whether messages may be sent to the address: to all of the internet, and to the networks."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if _is_in(address, networks):
        return True
    is_unicast = address.version == 4 or address in _UNICAST  # noqa: PLR2004
    return address.is_global and not address.is_multicast and is_unicast and not _is_in(address, _EXCEPTIONS)


def _is_in(address: Address, networks: Networks) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def choose_pause(attempts: int) -> float | None:
    """Return how many seconds to wait after so many attempts have failed; None to give up."""
    if attempts > len(RETRY_S):
        return None
    return RETRY_S[attempts - 1] * random.uniform(1, 1.2)  # noqa: S311  # so that not all come at once


def post_signed(url: str, body: bytes, message: str, secret: str, networks: Networks) -> None:
    """Send a message with its signature; ``message`` is its id. Raises as ``post``."""
    timestamp = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "manim-renderer",
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secret, message, timestamp, body),
    }
    post(url, body, headers, networks)


def post(url: str, body: bytes, headers: dict[str, str], networks: Networks) -> None:
    """Send a message. Raises NotDeliveredError unless the answer is 2xx, and SpecError as ``check_url``."""
    parts = check_url(url, networks)
    try:
        with _connected(parts, networks) as connection:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", path, body, headers)
            status = connection.getresponse().status
    except ssl.SSLError as error:
        raise NotDeliveredError(f"TLS failed: {error.reason or 'no answer'}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotDeliveredError(f"no answer: {getattr(error, 'strerror', None) or type(error).__name__}") from error
    if not 200 <= status < 300:  # noqa: PLR2004
        raise NotDeliveredError(f"the answer was {status}")


@contextmanager
def _connected(parts: SplitResult, networks: Networks) -> Iterator[http.client.HTTPConnection]:
    host, port = parts.hostname or "", parts.port or _SCHEMES[parts.scheme]
    sock = _open(host, port, networks, is_plain=parts.scheme == "http")
    other = sock.dup()  # TLS takes the first one over
    abort = threading.Timer(TOTAL_TIMEOUT_S, _stop, (other,))
    abort.daemon = True
    abort.start()
    try:
        connection = http.client.HTTPConnection(host, port, timeout=STEP_TIMEOUT_S)
        connection.default_port = _SCHEMES[parts.scheme]
        context = ssl.create_default_context()
        connection.sock = sock if parts.scheme == "http" else context.wrap_socket(sock, server_hostname=host)
        with closing(connection):
            yield connection
    finally:
        abort.cancel()
        other.close()
        sock.close()


def _stop(sock: socket.socket) -> None:
    with suppress(OSError):  # it has just ended
        sock.shutdown(socket.SHUT_RDWR)


def _open(host: str, port: int, networks: Networks, *, is_plain: bool) -> socket.socket:
    """Return a connection to the first address of the host that answers. Raises NotDeliveredError and OSError."""
    last: OSError | None = None
    for *_, place in _resolve(host, port)[:MAX_ADDRESSES]:
        address = ipaddress.ip_address(str(place[0]).partition("%")[0])
        if not is_allowed(address, networks) or (is_plain and not _is_in(address, networks)):
            continue
        try:
            return socket.create_connection((str(place[0]), port), timeout=STEP_TIMEOUT_S)
        except OSError as error:
            last = error
    if last:
        raise last
    # which address stays unsaid: a caller of the server could look up names of its network
    raise NotDeliveredError(f"its name leads to an address where nothing is sent: {_describe_networks()}")


def _resolve(host: str, port: int) -> list[Any]:
    """Return what ``getaddrinfo`` does, which has no limit of time of its own. Raises OSError."""
    answers: queue.SimpleQueue[list[Any] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:  # UnicodeError: a part of the name is too long
            answers.put(error if isinstance(error, OSError) else OSError(0, "its name is not a host name"))

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=STEP_TIMEOUT_S)
    except queue.Empty as error:
        raise TimeoutError(0, "its name was not found in time") from error
    if isinstance(answer, OSError):
        raise answer
    return answer
