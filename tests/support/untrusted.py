"""Users of this machine who submit untrusted jobs, and what hostile jobs look for on it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from support.commands import BIN, environment

SECRET = "a-secret-of-the-host"  # noqa: S105  # what no job may see
PROBE = Path(__file__).parents[1] / "hostile" / "scenes" / "probe.py"
FILL_DISK = """
import os, pathlib
size = 0
try:
    for number in range(1000):
        with open(f"/tmp/{number}", "wb") as file:
            for _ in range(16):
                size += file.write(bytes(2**20))
except OSError as error:
    print(error.strerror)
for number in range(1000):
    pathlib.Path(f"/tmp/{number}").unlink(missing_ok=True)
pathlib.Path(os.environ["RENDERER_OUTPUT_DIR"], "size.txt").write_text(str(size))
"""  # writes what fits into /tmp, and says in size.txt how many bytes it was
ORDINARY = 12345  # a user id that nobody has
USERS = ("root", "ordinary") if os.getuid() == 0 else ("ordinary",)


@dataclass(frozen=True)
class User:
    """A user with a home folder; ``become`` is the command that becomes this user."""

    home: Path
    become: Sequence[str]
    settings: Mapping[str, str]

    @property
    def jobs(self) -> Path:
        """The folder of this user's local jobs."""
        return self.home / "state" / "manim-renderer" / "jobs"

    def start(self, *words: str | Path, **env: str) -> subprocess.Popen[str]:
        """Start `renderer` in the user's project."""
        return subprocess.Popen(
            [*self.become, BIN / "renderer", *words],
            cwd=self.home / "project",
            env=environment(self.home, **{"HOST_SECRET": SECRET, **self.settings, **env}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `renderer` to its end."""
        process = self.start(*words, **env)
        out, err = process.communicate(timeout=600)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def write(self, name: str, text: str) -> Path:
        """Write a file in the project."""
        path = self.home / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def submit(self, script: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run an untrusted script to its end."""
        self.write("job.py", script)
        return self.run("submit", "job.py", "--untrusted", *words, **env)


@contextmanager
def user(kind: str, settings: Mapping[str, str]) -> Iterator[User]:
    """Yield a user, who has a secret and a project."""
    home = Path(tempfile.mkdtemp(prefix="renderer-user-"))
    try:
        for name in (".ssh/id_ed25519", "beside/notes.txt"):
            (home / name).parent.mkdir()
            (home / name).write_text(SECRET)
        (home / "project").mkdir()
        become: list[str] = []
        if kind == "ordinary" and os.getuid() == 0:
            become = ["/usr/bin/setpriv", "--reuid", str(ORDINARY), "--regid", str(ORDINARY), "--clear-groups"]
            for path in (home, *home.rglob("*")):
                os.chown(path, ORDINARY, ORDINARY)
        yield User(home, become, settings)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@dataclass
class Services:
    """Services of the host; ``visits`` counts who has connected."""

    port: int
    abstract: str
    path: str
    visits: int = 0
    port6: int | None = None  # of the loopback interface of IPv6; None where there is none


@contextmanager
def services(folder: Path) -> Iterator[Services]:
    """Serve on a port of each loopback interface, on an abstract socket and on one in a folder."""
    tcp = socket.create_server(("127.0.0.1", 0))
    name = f"\0renderer-test-{os.getpid()}"
    found = Services(tcp.getsockname()[1], name, str(folder / "service"))
    listeners = [tcp]
    with suppress(OSError):
        listeners.append(socket.create_server(("::1", 0), family=socket.AF_INET6))
        found.port6 = listeners[1].getsockname()[1]
    for address in (found.abstract, found.path):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(address)
        listener.listen()
        listeners.append(listener)

    def serve(listener: socket.socket) -> None:
        try:
            while True:
                listener.accept()[0].close()
                found.visits += 1
        except OSError:  # closed
            return

    threads = [threading.Thread(target=serve, args=(listener,)) for listener in listeners]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        for listener in listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for thread in threads:
            thread.join()
