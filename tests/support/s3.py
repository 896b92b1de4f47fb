"""A real S3 server of this test run alone, whose buckets are folders."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.processes import listening_ports, until

HOME = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "manim-renderer/cluster/bin"
PROGRAM = shutil.which("versitygw", path=f"{HOME}:{os.environ.get('PATH', '')}")  # tests/support/cluster/build
SECRET = "the-secret-of-the-store"  # noqa: S105  # of this server alone
START_TIMEOUT_S = 300.0
TRIES = 5  # somebody else may take a port before the server does


@dataclass(frozen=True)
class Place:
    """A shared cache: its URI, and the folder of this machine in which its files lie in the end."""

    uri: str
    folder: Path

    def entries(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("*/*/*/*") if path.is_file() and path.name[0] != ".")


@contextmanager
def s3_server(folder: Path) -> Iterator[dict[str, str]]:
    """Start the server with the bucket ``frames`` in the folder; yield the variables with which a client reaches it."""
    if PROGRAM is None:
        pytest.skip("no S3 server: tests/support/cluster/build makes versitygw")
    (folder / "frames").mkdir(parents=True)
    for _ in range(TRIES):
        port, server = _start(PROGRAM, folder)
        if _has_started(port, server):
            break
    else:
        raise AssertionError("the S3 server did not start")
    with server:
        try:
            yield {
                "AWS_ACCESS_KEY_ID": "the-user",
                "AWS_SECRET_ACCESS_KEY": SECRET,
                "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            }
        finally:
            server.terminate()


def _start(program: str, folder: Path) -> tuple[int, subprocess.Popen[bytes]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    keys = {"ROOT_ACCESS_KEY": "the-user", "ROOT_SECRET_KEY": SECRET}
    command = [program, "--port", f"127.0.0.1:{port}", "--quiet", "posix", str(folder)]
    return port, subprocess.Popen(command, env={**os.environ, **keys}, stdout=subprocess.DEVNULL)


def _has_started(port: int, server: subprocess.Popen[bytes]) -> bool:
    """Wait until the server listens; return False if it has ended."""
    until(
        lambda: server.poll() is not None or port in listening_ports(server.pid),
        within=START_TIMEOUT_S,
        describe=lambda: "the S3 server does not listen",
    )
    return server.poll() is None
