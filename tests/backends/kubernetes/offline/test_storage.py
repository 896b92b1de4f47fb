from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from backends.chunk_store import FolderChunks, StoredChunks
from backends.errors import TransientError
from backends.storage import Storage

KEYS = {"AWS_ACCESS_KEY_ID": "the-key", "AWS_SECRET_ACCESS_KEY": "the-secret", "AWS_REGION": "us-east-1"}
ANSWER = b"<?xml version='1.0'?>\n<Error><Code>InternalError</Code><Message>the-key the-secret</Message></Error>"


class Failing(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        self.send_response(500)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def failing() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Failing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_error_of_the_store_is_named_without_what_the_store_echoes(
    failing: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "backends.storage")
    for endpoint, words in (
        (failing, "failed: GenericError: Server returned non-2xx status code: 500 Internal Server Error (InternalErr"),
        ("http://127.0.0.1:9", "did not answer: GenericError: HTTP error: error sending request (Connection refused)"),
    ):
        with pytest.raises(TransientError) as caught:
            Storage("s3://renders/x", {**KEYS, "AWS_ENDPOINT_URL": endpoint}, attempts=1).put_bytes("name", b"x")
        assert str(caught.value).startswith(f"the store s3://renders/x {words}")
        assert str(caught.value) in caplog.text
        assert "the-" not in str(caught.value).removeprefix("the store") + caplog.text.replace("the store", "")


def test_of_twenty_that_create_a_file_at_once_one_succeeds(tmp_path: Path) -> None:
    sources = [tmp_path / f"source-{number}" for number in range(20)]
    for number, source in enumerate(sources):
        source.write_bytes(b"%d" % number * 100_000)
    for store in (FolderChunks(tmp_path / "folder"), StoredChunks(Storage(f"file://{tmp_path}/stored"))):
        with ThreadPoolExecutor(20) as threads:
            created = list(threads.map(partial(store.create, "a b/chunk"), sources))
        assert created.count(True) == 1
        assert store.get("a b/chunk", tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == sources[created.index(True)].read_bytes()
        assert store.list("a b") == ["a b/chunk"]
        assert not store.get("a b/another", tmp_path / "nothing")
        assert not (tmp_path / "nothing").exists()
