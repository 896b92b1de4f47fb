"""What a local job may put into renderer's own folders: links, pipes, sockets, folders and locks that are never freed.

Commands neither follow them nor wait for them, and files of the user stay as they are.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import math
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import pytest

from backends.errors import RendererError
from backends.local.webhooks import Deliveries, Delivery
from backends.untrusted import state_files
from backends.webhooks.spec import Webhook
from renderer import config, config_files
from renderer.api import Job, jobs, open_job, submit

SCRIPT = "import os\nopen(os.environ['RENDERER_OUTPUT_DIR'] + '/a.csv', 'w').write('1')\n"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder of a user with one job, whose outputs were downloaded."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "job.py").write_text(SCRIPT)
    (tmp_path / "project" / "renderer.toml").write_text("quality = 'l'\n")
    monkeypatch.chdir(tmp_path / "project")
    config_files.trust(Path.cwd())
    run_all(start())
    return tmp_path / "state" / "manim-renderer"


def start() -> Job:
    return submit("job.py", backend="local")


def run_all(job: Job) -> None:
    job.wait(600)
    job.fetch("out")


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def plant(make: Callable[[Path], object], path: Path) -> Iterator[None]:
    kept = path.with_name(f"{path.name}-kept")
    path.rename(kept)
    made = make(path)
    yield
    if isinstance(made, socket.socket):
        made.close()
    with suppress(FileNotFoundError):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    kept.rename(path)


def make_socket(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    folder = os.open(path.parent, os.O_RDONLY)
    made.bind(f"/proc/self/fd/{folder}/{path.name}")  # a socket's own path has at most 107 bytes
    os.close(folder)
    return made


def make_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


KINDS: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "socket": make_socket,
    "link": lambda path: path.symlink_to(Path.cwd().parent / "secret"),
    "new link": lambda path: path.symlink_to(Path.cwd().parent / "planted"),
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "folder": os.mkdir,
    "large": make_large,
}


def is_read(path: Path) -> bool:
    """Return whether it is a file whose content commands read."""
    return path.suffix not in {".log", ".zst"} and path.name not in {"pid", "task.json", "scratch"}


def test_what_a_job_puts_in_place_of_a_file_is_not_followed_and_not_waited_for(state: Path) -> None:
    (job,) = [status.handle for status in jobs("local")]
    files = [path for path in state.rglob("*") if path.is_file() and is_read(path)]
    assert len({path.relative_to(state).parts[0] for path in files}) >= 3
    for make, file in itertools.product(KINDS.values(), files):
        with limit_time(300), plant(make, file):
            run_commands(str(job))
    secret = Path.cwd().parent
    assert (secret / "secret").read_text() == "secret"
    assert not (secret / "planted").exists()


def run_commands(handle: str) -> None:
    settings = config.load({"backend": "local"}).settings
    list(jobs("local", settings))
    for run in (Job.status, lambda job: list(job.logs()), lambda job: job.fetch("out")):
        with suppress(RendererError):  # one sentence
            run(open_job(handle, settings))


def test_a_new_job_is_not_disturbed_by_what_lies_in_the_folders(state: Path) -> None:
    for name in ("downloads", "sources", "trusted"):
        folder = state / name
        folder.rename(state / f"{name}-kept")
        folder.symlink_to(Path.cwd().parent)
    for name, make in KINDS.items():
        if name != "socket":
            make(state / "jobs" / f"planted-{name.replace(' ', '-')}")
    (Path.cwd().parent / "of-the-user.json").write_text("{}")
    (state / "jobs" / ".webhooks").symlink_to(Path.cwd().parent)
    before = {path.name for path in Path.cwd().parent.iterdir()}
    with limit_time(600):
        job = start()
        run_all(job)
        assert next(status.handle for status in jobs("local")) == job.handle
        job.delete()
    assert {path.name for path in Path.cwd().parent.iterdir()} == before


def test_damaged_files_of_webhooks_send_nothing_and_stop_no_command(state: Path) -> None:
    (job,) = [status.handle for status in jobs("local")]
    deliveries = Deliveries(state / "jobs")
    key = job.parts[0]
    deliveries.create(key, str(job), Webhook("https://example.org/", "secret"))
    good = json.loads((state / "jobs" / ".webhooks" / f"{key}.json").read_text())
    assert deliveries.read(key) == Delivery(**{**good, "networks": ()})
    changes = ({"at": None}, {"at": math.nan}, {"attempts": -100}, {"networks": 1}, {"url": 1}, {"more": 1})
    for content in ("", "{}", "[]", "[" * 60_000, *(json.dumps({**good, **change}) for change in changes)):
        (state / "jobs" / ".webhooks" / f"{key}.json").write_text(content)
        assert list(deliveries.find_due()) == []
        assert open_job(str(job)).status().notes == ()
    for make in KINDS.values():
        with limit_time(300), plant(make, state / "jobs" / ".webhooks" / f"{key}.json"):
            assert open_job(str(job)).status().notes == ()


def test_locks_that_are_never_freed_end_commands_with_a_sentence(state: Path) -> None:
    assert state_files.LOCK_TIMEOUT_S < 20
    (job,) = [status.handle for status in jobs("local")]
    (lock,) = (state / "downloads").glob("*.lock")
    with limit_time(300), hold_lock(lock), pytest.raises(RendererError, match="another process holds the lock"):
        open_job(str(job)).fetch("out")
    with limit_time(300), hold_lock(state / "jobs" / job.parts[0] / "lock"):
        assert list(jobs("local"))
        open_job(str(job)).fetch("out")


@contextmanager
def limit_time(seconds: int) -> Iterator[None]:
    def fail(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"a command waited for more than {seconds} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
