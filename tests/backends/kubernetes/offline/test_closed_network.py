"""What counts as an answer from the network. That ICMP errors do not is tested on a cluster: kube-router sends them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backends.kubernetes.pod import network
from backends.kubernetes.pod.network import Target, wait_until_closed


@contextmanager
def listening(address: str) -> Iterator[int]:
    with socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET) as server:
        yield server.getsockname()[1]


def test_a_connection_and_a_reset_are_answers() -> None:
    with listening("127.0.0.1") as port:
        assert wait_until_closed([Target("tcp", "127.0.0.1", port)], 0) == ["127.0.0.1"]
    assert wait_until_closed([Target("tcp", "127.0.0.1", port)], 0) == ["127.0.0.1"]
    assert wait_until_closed([Target("tcp", "127.0.0.1", port)], 0.5) == ["127.0.0.1"]  # tried until the end


def test_addresses_of_ipv6_are_tried() -> None:
    try:
        with listening("::1") as port:
            assert wait_until_closed([Target("tcp", "::1", port)], 0) == ["::1"]
    except OSError:
        pytest.skip("this machine has no IPv6")


def test_a_name_server_that_answers_is_reached_and_an_error_of_icmp_is_not() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        target = Target("dns", *server.getsockname())

        def answer() -> None:
            query, client = server.recvfrom(100)
            server.sendto(query, client)

        thread = threading.Thread(target=answer)
        thread.start()
        assert wait_until_closed([target], 0) == ["127.0.0.1"]
        thread.join()
    assert wait_until_closed([target], 20) == []


def test_the_file_alone_is_the_program_of_the_probe() -> None:
    with listening("127.0.0.1") as port:
        program = Path(network.__file__).read_bytes()
        arguments = json.dumps([["127.0.0.1"], [port], 0])
        done = subprocess.run([sys.executable, "-I", "-", arguments], input=program, capture_output=True, check=True)
    answer = json.loads(done.stdout)
    assert "127.0.0.1" in answer["reached"]
    assert answer["kernel"] == os.uname().release
