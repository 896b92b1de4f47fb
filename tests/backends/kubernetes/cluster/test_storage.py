"""Stores on a disk and on a real S3 server, with and without faults of the connection."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.rigs.flaky import Fault, flaky

from backends.errors import BackendError, OutputError, TransientError
from backends.storage import Storage


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.cluster)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "file":
        return Storage(f"file://{tmp_path}/some where")
    return Storage(f"{request.getfixturevalue('s3')}/{tmp_path.name}")


def test_files_go_there_and_come_back(store: Storage, tmp_path: Path) -> None:
    source = tmp_path / "big"
    source.write_bytes(os.urandom(20 * 2**20))
    store.put("units/0/é 🎬.bin", source)
    store.put_bytes("units/1/empty", b"")
    assert sorted(store.list("units")) == ["units/0/é 🎬.bin", "units/1/empty"]
    assert store.size("units/0/é 🎬.bin") == 20 * 2**20
    store.get("units/0/é 🎬.bin", tmp_path / "back" / "big")
    assert (tmp_path / "back" / "big").read_bytes() == source.read_bytes()
    store.get("units/1/empty", tmp_path / "empty")
    assert (tmp_path / "empty").read_bytes() == b""
    store.delete("units/0")
    assert list(store.list()) == ["units/1/empty"]
    store.delete()
    assert list(store.list()) == []
    store.delete()


def test_what_is_not_there_is_told(store: Storage, tmp_path: Path) -> None:
    assert store.size("nothing") is None
    with pytest.raises(OutputError, match="does not exist"):
        store.get("nothing", tmp_path / "x")


@pytest.mark.parametrize("faults", [["500", "500", "500"], ["cut"], ["cut", "500", "cut"]])
def test_faults_are_tried_again(s3: str, faults: list[Fault], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "big"
    source.write_bytes(os.urandom(9 * 2**20))
    with flaky(os.environ["S3_FOR_TESTS"], faults) as (endpoint, left):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        store = Storage(f"{s3}/{tmp_path.name}")
        store.put("big", source)
        assert left == []
        left.extend(faults)
        store = Storage(f"{s3}/{tmp_path.name}")  # connections of its own
        store.get("big", tmp_path / "back")
        assert left == []
    assert (tmp_path / "back").read_bytes() == source.read_bytes()


def test_a_store_that_only_fails_is_told(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faults: list[Fault] = ["500"] * 50
    with flaky(os.environ["S3_FOR_TESTS"], faults) as (endpoint, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(TransientError, match=r"renders/some where failed: .*500 Internal Server Error"):
            Storage(s3).put_bytes("x", b"x")


def test_wrong_keys_are_told_without_a_key(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-and-secret")
    with pytest.raises(BackendError, match="refused the credentials") as caught:
        Storage(s3).put_bytes("x", b"x")
    assert "secret" not in str(caught.value)


@pytest.mark.usefixtures("s3")
def test_a_missing_bucket_is_told() -> None:
    with pytest.raises(BackendError, match="does not exist"):
        Storage("s3://missing/prefix").put_bytes("x", b"x")
