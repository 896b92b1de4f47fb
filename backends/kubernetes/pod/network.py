"""Finds what this pod reaches over the network. Standard library only: the probe runs this file in a pod of any image.

Who answers is reached: by accepting a connection, or by resetting it, which takes a machine that the packets arrive at.
An ICMP error is not an answer. It may come from any router, and some network plugins refuse with it what a policy
denies. The kernel's queue of errors tells both apart, in Linux since 5.8 and in gVisor; where it cannot, a refused
connection counts as an answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

ANSWER_TIMEOUT_S = 2.0
POLL_INTERVAL_S = 0.2
METADATA = "169.254.169.254"  # of cloud providers: it gives out credentials
KUBELET_PORT = 10250  # unless the node says another
HOST_PORTS = (KUBELET_PORT, 53, 443)  # they answer or reset on any node
_RECVERR = ((socket.IPPROTO_IP, 11), (socket.IPPROTO_IPV6, 25))  # IP_RECVERR, IPV6_RECVERR: not in the socket module
_SOCKET_ERROR = "=IBBBBII"  # struct sock_extended_err
_ICMP_ORIGINS = (2, 3)  # SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6
_QUERY = b"RN\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01"  # which name servers the root has


class Target(NamedTuple):
    """What could answer; ``protocol`` is tcp or dns."""

    protocol: str
    host: str
    port: int


def find_targets(hosts: Iterable[str], ports: Iterable[int] = HOST_PORTS) -> list[Target]:
    """Return what a pod could reach: the addresses of its node, the API server, name servers, a cloud's metadata."""
    found = [Target("tcp", host, port) for host in hosts for port in ports]
    if service := os.environ.get("KUBERNETES_SERVICE_HOST"):  # the kubelet sets it in every pod
        found.append(Target("tcp", service, int(os.environ.get("KUBERNETES_SERVICE_PORT", "443"))))
    for server in _read_name_servers():
        found += [Target("tcp", server, 53), Target("dns", server, 53)]
    return [*found, Target("tcp", METADATA, 80)]


def wait_until_closed(targets: list[Target], timeout_s: float) -> list[str]:
    """Return an empty list once no target answers; after ``timeout_s`` the addresses that still do.

    A network plugin learns of a pod when it starts, and takes a moment to close its network.
    """
    end = time.monotonic() + timeout_s
    with ThreadPoolExecutor(len(targets)) as threads:
        while True:
            reached = set(threads.map(_find_answer, targets)) - {None}
            if not reached or time.monotonic() > end:
                return sorted(map(str, reached))
            time.sleep(POLL_INTERVAL_S)


def _read_name_servers() -> Iterator[str]:
    """Yield the addresses of name servers that are not in the pod itself."""
    with contextlib.suppress(OSError):
        for line in Path("/etc/resolv.conf").read_text("utf-8", "replace").splitlines():
            words = line.split()
            with contextlib.suppress(ValueError):
                if words[:1] == ["nameserver"] and not ip_address(words[1].partition("%")[0]).is_loopback:
                    yield words[1]


def _find_answer(target: Target) -> str | None:
    """Return the address of a target that answers."""
    protocol, host, port = target
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as connection:
            connection.settimeout(ANSWER_TIMEOUT_S)
            for level, option in _RECVERR:
                with contextlib.suppress(OSError):
                    connection.setsockopt(level, option, 1)
            try:
                connection.connect((host, port))
                if protocol == "dns":
                    connection.send(_QUERY)
                    connection.recv(1)
            except ConnectionRefusedError:
                return host if protocol == "tcp" and not _is_icmp_error(connection) else None
            return host
    except OSError:
        return None


def _is_icmp_error(connection: socket.socket) -> bool:
    """Return whether the kernel knows that the connection's error was a packet of ICMP."""
    try:
        _, ancillary, _, _ = connection.recvmsg(1, 512, socket.MSG_ERRQUEUE)
    except OSError:  # the queue is empty
        return False
    size = struct.calcsize(_SOCKET_ERROR)
    return any(
        (level, kind) in _RECVERR
        and len(data) >= size
        and struct.unpack(_SOCKET_ERROR, data[:size])[1] in _ICMP_ORIGINS
        for level, kind, data in ancillary
    )


if __name__ == "__main__":
    _hosts, _ports, _timeout_s = json.loads(sys.argv[1])
    _reached = wait_until_closed(find_targets(_hosts, _ports), _timeout_s)
    sys.stdout.write(json.dumps({"kernel": os.uname().release, "reached": _reached}))
