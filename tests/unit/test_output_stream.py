"""The stream of outputs: it continues after any cut, and no file leaves the folder."""

from __future__ import annotations

import io
import json
import os
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import output_stream as stream
from backends.errors import OutputError
from backends.untrusted import Limits

_NAMES = st.text() | st.sampled_from(["a", "a/b", "a/b/c", "../x", "/x", "b", "a//b", "."])
_SIZES = st.integers(-1, 3) | st.integers()
_ENTRIES = st.fixed_dictionaries(
    {"path": _NAMES, "size": _SIZES, "sha256": st.sampled_from(["", sha256().hexdigest()])}
)
_LINES = _ENTRIES.map(lambda entry: json.dumps(entry).encode() + b"\n") | st.sampled_from([b"\n", b"{}\n"])


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


def header(*entries: object) -> bytes:
    return b"".join(json.dumps(entry).encode() + b"\n" for entry in entries) + b"\n"


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "", "a\0b"])
def test_a_path_out_of_the_folder_is_refused(path: str, tmp_path: Path) -> None:
    sent = header({"path": path, "size": 1, "sha256": "0"}) + b"x"
    with pytest.raises(OutputError, match="the job names an output"):
        stream.unpack(io.BytesIO(sent), tmp_path / "into")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "head",
    [
        b"bash: python: not found\n", b"{}\n", b"[1]\n", b'{"path": "a"}\n', b"[" * 4000 + b"\n", b"x" * 10_000,
        header({"path": "a", "size": True, "sha256": ""}), header({"path": "a", "size": -1, "sha256": ""}),
        header({"path": "a", "size": "1", "sha256": ""}), header({"path": "a", "size": 2**40, "sha256": ""}),
        header(*[{"path": f"{n}", "size": 0, "sha256": ""} for n in range(10_001)]),
    ],
)  # fmt: skip
def test_something_else_than_a_stream_is_refused(head: bytes, tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        stream.read_length(io.BytesIO(head))
    with pytest.raises(OutputError):
        stream.unpack(io.BytesIO(head), tmp_path)


def test_a_file_is_not_replaced_by_another_of_its_name(tmp_path: Path) -> None:
    entry = {"path": "a", "size": 1, "sha256": sha256(b"x").hexdigest()}
    with pytest.raises(OutputError, match="a twice"):
        stream.unpack(io.BytesIO(header(entry, entry) + b"xx"), tmp_path)


def test_links_pipes_and_what_is_behind_them_are_not_sent(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    made = folder(tmp_path)
    (made / "link").symlink_to("../secret")
    (made / "up").symlink_to("..")
    os.mkfifo(made / "pipe")
    assert [name for name, _ in stream.list_files(made)] == ["a", "sub folder/é 🎬.bin", "z"]


def test_a_sparse_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(OutputError, match="larger than"):
        stream.build_header(tmp_path)


@pytest.mark.parametrize(("files", "folders", "depth"), [(11, 0, 0), (0, 11, 0), (0, 0, 70)])
def test_files_and_folders_are_bounded(files: int, folders: int, depth: int, tmp_path: Path) -> None:
    for number in range(files):
        (tmp_path / f"{number}").touch()
    for number in range(folders):
        (tmp_path / f"{number}").mkdir()
    (tmp_path / "/".join(["d"] * (depth + 1))).mkdir(parents=True)
    with pytest.raises(OutputError, match="more than"):
        stream.build_header(tmp_path, Limits(files=10 if not depth else 1000))


def test_what_a_file_grows_while_it_is_sent_is_left_out_and_a_shorter_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"first")
    head = stream.build_header(tmp_path)
    (tmp_path / "a").write_bytes(b"first and more")
    assert b"".join(stream.send(tmp_path, head, 0)) == head + b"first"
    (tmp_path / "a").write_bytes(b"f")
    with pytest.raises(OutputError, match="damaged"):
        list(stream.send(tmp_path, head, 0))


@given(st.binary() | st.builds(lambda parts, end: b"".join(parts) + end, st.lists(_LINES), st.binary()))
def test_no_bytes_raise_anything_else_or_write_outside(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as outer:
        into = Path(outer) / "into"
        into.mkdir()
        with suppress(OutputError):
            stream.read_length(io.BytesIO(data))
        with suppress(OutputError):
            stream.unpack(io.BytesIO(data), into)
        assert os.listdir(outer) == ["into"]  # noqa: PTH208
