"""A real S3 server of this test run alone, whose buckets are folders."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

HOME = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "manim-renderer/cluster/bin"
PROGRAM = shutil.which("versitygw", path=f"{HOME}:{os.environ.get('PATH', '')}")  # tests/support/cluster/build
SECRET = "the-secret-of-the-store"  # noqa: S105  # of this server alone
START_TIMEOUT_S = 30.0


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
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    keys = {"ROOT_ACCESS_KEY": "the-user", "ROOT_SECRET_KEY": SECRET}
    command = [PROGRAM, "--port", f"127.0.0.1:{port}", "--quiet", "posix", str(folder)]
    with subprocess.Popen(command, env={**os.environ, **keys}, stdout=subprocess.DEVNULL) as server:
        try:
            _wait_for(port, server)
            yield {
                "AWS_ACCESS_KEY_ID": "the-user",
                "AWS_SECRET_ACCESS_KEY": SECRET,
                "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            }
        finally:
            server.terminate()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("the S3 server did not start")
