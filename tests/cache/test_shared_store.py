"""The store behind a cache: whole entries of its owner or nothing, with many writers, and without a working store."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.caches import CONTENT, FIRST, GROUP, NAME, SECRET, machine, name
from support.s3 import Place

from backends.cache.entries import MAC_BYTES, MAX_ENTRY_BYTES
from backends.cache.shared_store import LIST_TIMEOUT_S, open_shared_store


def keep(uri: str, content: bytes = CONTENT, secret: bytes = SECRET, entry: str = NAME) -> None:
    with machine(uri, secret) as client, tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(content)
        client.put(entry, Path(file.name))
        assert client.finish() is None


def restore(uri: str, work: Path, secret: bytes = SECRET, entry: str = NAME) -> bytes | None:
    """Return what another machine gets. What it refuses leaves no file."""
    with machine(uri, secret) as client:
        found = client.get(entry, work / "restored")
        assert client.find_problem() is None
    content = (work / "restored").read_bytes() if found else None
    (work / "restored").unlink(missing_ok=True)
    assert not list(work.glob("restored*"))
    return content


def test_what_one_machine_keeps_another_one_gets(place: Place, tmp_path: Path) -> None:
    assert restore(place.uri, tmp_path) is None
    keep(place.uri)
    assert restore(place.uri, tmp_path) == CONTENT
    assert len(place.entries()) == 1
    with machine(place.uri) as client:
        assert client.has(f"{GROUP}/{FIRST}")
        assert client.has(NAME)
        assert not client.has(f"{GROUP}/{'2' * 40}")
        assert not client.has(name(2))


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


DAMAGE: list[Callable[[Path], object]] = [
    lambda path: _flip(path, 0),
    lambda path: _flip(path, MAC_BYTES),
    lambda path: _flip(path, -1),
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(bytes(MAC_BYTES)),
    lambda path: os.truncate(path, MAC_BYTES + len(CONTENT) - 1),
    lambda path: os.truncate(path, MAC_BYTES + len(CONTENT) + 1),
    lambda path: os.truncate(path, MAX_ENTRY_BYTES + MAC_BYTES + 1),
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_not_used_and_is_replaced(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    place = Place(f"file://{tmp_path}/shared", tmp_path / "shared")
    keep(place.uri)
    damage(place.entries()[0])
    (tmp_path / "chunk").write_bytes(CONTENT)
    with machine(place.uri) as client:
        assert not client.get(NAME, tmp_path / "restored")
        client.put(NAME, tmp_path / "chunk")
        assert client.finish() is None
    assert restore(place.uri, tmp_path) == CONTENT


def test_an_entry_of_another_owner_or_under_another_name_is_not_used(place: Place, tmp_path: Path) -> None:
    keep(place.uri)
    mine = place.entries()[0]
    keep(place.uri, b"bad frames", secret=bytes(32))
    (foreign,) = set(place.entries()) - {mine}
    assert restore(place.uri, tmp_path, secret=os.urandom(32)) is None
    assert restore(place.uri, tmp_path) == CONTENT
    shutil.copy(foreign, mine)  # as somebody who can write to the store, but does not have the key
    assert restore(place.uri, tmp_path) is None
    keep(place.uri)
    keep(place.uri, b"other frames", entry=name(2))
    shutil.copy(mine.with_name(name(2)[-40:]), mine.with_name(name(3)[-40:]))
    assert restore(place.uri, tmp_path, entry=name(3)) is None


WRITER = """
import itertools, sys, tempfile
from pathlib import Path
sys.path[:0] = sys.argv[1:2]
from support.caches import CONTENT, machine, name
with machine(sys.argv[2]) as client, tempfile.NamedTemporaryFile() as file:
    own = 100 + int(sys.argv[3])
    numbers = (*range(8), own)
    for number in itertools.cycle(numbers) if "until killed" in sys.argv else numbers:
        Path(file.name).write_bytes(CONTENT * (number + 1))
        client.put(name(number), Path(file.name))
        print(number, flush=True)
    print(client.finish(), flush=True)
"""


def test_twenty_writers_at_once_some_of_which_die_leave_whole_entries_alone(place: Place, tmp_path: Path) -> None:
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", WRITER, tests, place.uri]
    writers = [
        subprocess.Popen([*command, str(at), *["until killed"] * (at < 4)], stdout=subprocess.PIPE, text=True)
        for at in range(20)
    ]
    for writer in writers[:4]:
        assert writer.stdout
        assert writer.stdout.readline() == "0\n"
        writer.kill()
    ended = [(writer.communicate()[0].splitlines()[-1:], writer.returncode) for writer in writers]
    assert ended[4:] == [(["None"], 0)] * 16
    assert {code for _, code in ended[:4]} == {-signal.SIGKILL}
    stored = {path.name for path in place.entries()}
    assert {name(number)[-40:] for number in (*range(8), *range(104, 120))} <= stored
    with machine(place.uri) as client:
        for number in range(120):
            entry = name(number)
            if entry[-40:] in stored:
                assert client.get(entry, tmp_path / "restored")
                assert (tmp_path / "restored").read_bytes() == CONTENT * (number + 1)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A store that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        _use(monkeypatch, f"http://127.0.0.1:{server.getsockname()[1]}")
        yield


def _use(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-user")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")


def test_a_store_that_is_away_costs_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _use(monkeypatch, "http://127.0.0.1:9")
    (tmp_path / "chunk").write_bytes(CONTENT)
    with machine("s3://frames/cache") as client:
        assert not client.has(NAME)
        client.put(NAME, tmp_path / "chunk")
        problem = client.finish()
    assert problem
    assert problem.startswith("the store s3://frames/cache did not answer")
    assert "the-" not in problem


@pytest.mark.usefixtures("silent")
def test_a_store_that_does_not_answer_does_not_hold_a_render_up(tmp_path: Path) -> None:
    (tmp_path / "chunk").write_bytes(CONTENT)
    with tempfile.TemporaryDirectory() as folder:
        store = open_shared_store("s3://frames/cache", lambda: SECRET, Path(folder))
        started = time.monotonic()
        for number in range(50):
            assert not store.has(GROUP, FIRST, f"{number:040x}")
        with (tmp_path / "chunk").open("rb") as file:
            assert store.put(NAME, file, len(CONTENT))
        assert time.monotonic() - started < 15 * LIST_TIMEOUT_S  # not for each
        assert store.finish(0.1) == "s3://frames/cache did not take all chunks within 0.1 s"


@pytest.mark.parametrize(
    ("uri", "secret", "words"),
    [
        ("file:///does/not/exist", SECRET, "there is no folder /does/not"),
        ("file:///tmp/x", b"short", "does not hold a key"),
    ],
)
def test_a_cache_that_cannot_be_opened_says_why(uri: str, secret: bytes, words: str, tmp_path: Path) -> None:
    def read() -> bytes:
        if len(secret) != len(SECRET):
            raise ValueError("the file does not hold a key")
        return secret

    store = open_shared_store(uri, read, tmp_path)
    assert not store.has(GROUP, FIRST)
    assert words in str(store.problem)


def test_what_is_not_a_request_is_refused(tmp_path: Path) -> None:
    keep(f"file://{tmp_path}/shared")
    lines = [b"", b"\n", b"[]\n", b"{}\n", b"x" * 10_000 + b"\n", b'{"do": "finish"', b'{"do": "get", "name": 1}\n']
    bad = ["../../secret", f"{GROUP}/{FIRST}/../x", f"{GROUP}/{FIRST}", f"{GROUP}/{FIRST}/{'A' * 40}", "/etc/passwd"]
    lines += [b'{"do": "get", "name": "%s"}\n' % each.encode() for each in bad]
    lines += [b'{"do": "put", "name": "%s", "size": %d}\n' % (NAME.encode(), size) for size in (-1, 2**40)]
    with machine(f"file://{tmp_path}/shared") as client:
        for line in lines:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(client.path))
                connection.sendall(line)
                connection.shutdown(socket.SHUT_WR)
                with suppress(ConnectionResetError):
                    assert b'"ok": true' not in connection.recv(1000)
        assert client.get(NAME, tmp_path / "restored")
    assert (tmp_path / "restored").read_bytes() == CONTENT
