"""The stream of outputs: it continues after any cut, and no file leaves the folder."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.errors import OutputError
from backends.kubernetes.transfer import stream


def folder(at: Path) -> Path:
    made = at / "outputs"
    (made / "sub folder").mkdir(parents=True)
    (made / "a").write_bytes(b"")
    (made / "sub folder" / "é 🎬.bin").write_bytes(bytes(range(256)) * 9000)
    (made / "z").write_bytes(b"z")
    return made


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, bytes]:
    made = folder(tmp_path_factory.mktemp("sent"))
    head = stream.build_header(made)
    return made, head, b"".join(stream.send(made, head, 0))


@given(st.data())
def test_a_stream_goes_on_at_any_byte(sent: tuple[Path, bytes, bytes], data: st.DataObject) -> None:
    made, head, whole = sent
    cut = data.draw(st.integers(0, len(whole)))
    assert b"".join(stream.send(made, head, cut)) == whole[cut:]


def test_a_stream_becomes_the_same_files(sent: tuple[Path, bytes, bytes], tmp_path: Path) -> None:
    made, _, whole = sent
    assert stream.read_length(io.BytesIO(whole)) == len(whole)
    assert stream.read_length(io.BytesIO(whole[:10])) is None
    stream.unpack(io.BytesIO(whole), tmp_path)
    files = {path.relative_to(made): path.read_bytes() for path in made.rglob("*") if path.is_file()}
    assert {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files


def test_a_changed_byte_is_noticed(sent: tuple[Path, bytes, bytes], tmp_path: Path) -> None:
    _, _, whole = sent
    with pytest.raises(OutputError, match="damaged"):
        stream.unpack(io.BytesIO(whole[:-1] + b"y"), tmp_path)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "", "a\0b"])
def test_a_path_out_of_the_folder_is_refused(path: str, tmp_path: Path) -> None:
    head = json.dumps([{"path": path, "size": 1, "sha256": "0"}]).encode() + b"\n"
    with pytest.raises(OutputError, match="out of the folder"):
        stream.unpack(io.BytesIO(head + b"x"), tmp_path / "into")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("head", [b"bash: python: not found\n", b"{}\n", b"[1]\n", b'[{"path": "a"}]\n'])
def test_something_else_than_a_stream_is_refused(head: bytes, tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        stream.unpack(io.BytesIO(head), tmp_path)
