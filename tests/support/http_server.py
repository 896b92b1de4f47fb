"""`renderer serve` as a process of a user of its own, and requests to it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from support.commands import BIN, environment, renderer

END_S = 600
Answer = requests.Response


class Server:
    """A server with a state folder of its own. ``start`` again after ``kill`` to see what is left."""

    def __init__(self, home: Path, **variables: str) -> None:
        self.home = home
        self.env = environment(home, **variables)
        self.url = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        port = str(urlsplit(self.url).port or 0)
        self._process = subprocess.Popen(
            [BIN / "renderer", "serve", "--port", port], cwd=self.home, env=self.env, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1:"), self._process.wait(END_S)

    def end(self, *, kill: bool = False) -> None:
        if self._process:
            self._process.kill() if kill else self._process.terminate()
            self._process.wait(END_S)
            self._process.stdout.close()  # type: ignore[union-attr]  # it is a pipe
            self._process = None

    def wait_killed(self) -> None:
        """Wait until somebody has killed the server."""
        assert self._process
        assert self._process.wait(END_S) == -signal.SIGKILL
        self.end()

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def token(self, *options: str) -> str:
        done = renderer("serve", "token", "create", "--json", *options, cwd=self.home, env=self.env)
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["token"])

    def call(self, method: str, path: str, *, token: str | None = None, **more: Any) -> Answer:
        headers = {**more.pop("headers", {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        address = path if path.startswith("http") else f"{self.url}{path}"
        return requests.request(method, address, headers=headers, timeout=END_S, allow_redirects=False, **more)

    def submit(self, code: str, *, token: str | None = None, key: str | None = None, **run: Any) -> Answer:
        headers = {"Idempotency-Key": key} if key else {}
        body = {"code": code, "file": "job.py", **run}
        return self.call("POST", "/api/v1/jobs", token=token, json=body, headers=headers)

    def events(self, key: str, *, token: str | None = None, after: str | None = None) -> Iterator[tuple[str, Any, str]]:
        """Yield name, data and id of the events, until the server ends the stream."""
        headers = {"Last-Event-ID": after} if after else {}
        with self.call("GET", f"/api/v1/jobs/{key}/events", token=token, headers=headers, stream=True) as answer:
            fields: dict[str, str] = {}
            for raw in answer.iter_lines(chunk_size=1):
                if line := raw.decode():
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "event" in fields:
                    yield fields["event"], json.loads(fields["data"]), fields.get("id", "")
                    fields = {}

    def wait(self, key: str, *, token: str | None = None) -> Mapping[str, Any]:
        """Return the job after its end."""
        for _ in self.events(key, token=token):
            pass
        return dict(self.call("GET", f"/api/v1/jobs/{key}", token=token).json())


@contextmanager
def serving(home: Path, **variables: str) -> Iterator[Server]:
    home.mkdir(exist_ok=True)
    server = Server(home, **variables)
    server.start()
    try:
        yield server
    finally:
        server.end()
