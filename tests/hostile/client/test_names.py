"""Names, links and files that a job chose: nothing outside the folder is read or written."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.errors import OutputError
from backends.untrusted import Limits, OutputCounter, check_relative_name, create_beneath, open_beneath, read_bounded

BAD = [
    "", ".", "..", "/", "/etc/passwd", "../x", "a/../../x", "a/..", "a//b", "a/", "/a", "./a", "a/.", "a\\b", "..\\x",
    "a\0b", "a\nb", "a\x1b[31m", "a\x7f", "a\x9b", "a\u202eb", "a\u2028b", "a\udcffb", "x" * 256, "é" * 128,
    "/".join(["x" * 100] * 11), "/".join(["x"] * 65), "~/x/..",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_a_name_that_may_leave_the_folder_is_refused_in_one_printable_sentence(name: str) -> None:
    with pytest.raises(OutputError) as caught:
        check_relative_name(name)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "name", ["a", "videos/480p15/A.mp4", "-rf", "~", "日本/é.png", "👨‍👩‍👧.png", "a b'c\"d", "x" * 255]
)
def test_usual_names_pass(name: str) -> None:
    assert str(check_relative_name(name)) == name


@given(st.text() | st.text(alphabet="./a\\~\0\n", max_size=20))
def test_whatever_passes_stays_beneath_its_folder(name: str) -> None:
    try:
        path = check_relative_name(name)
    except OutputError:
        return
    assert os.path.normpath(Path("/root") / path) == f"/root/{name}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("secret")
    inner = tmp_path / "job"
    inner.mkdir()
    (inner / "file").write_text("content")
    (inner / "link").symlink_to("../secret")
    (inner / "inside").symlink_to("file")
    (inner / "out").symlink_to("..")
    (inner / "self").symlink_to("/proc/self/root")
    os.mkfifo(inner / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{os.open(inner, os.O_RDONLY)}/socket")
    return inner


@pytest.mark.parametrize("name", ["link", "inside", "out/secret", "self/etc/passwd", "pipe", "socket", "file/x", "out"])
def test_only_regular_files_that_no_link_leads_to_are_opened(folder: Path, name: str) -> None:
    with pytest.raises(OutputError, match="not a regular file"):
        open_beneath(folder, name)


def test_a_regular_file_is_opened_by_path_or_descriptor(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    for where in (folder, descriptor):
        with open_beneath(where, "file") as file:
            assert file.read() == b"content"
    os.close(descriptor)
    with pytest.raises(FileNotFoundError):
        open_beneath(folder, "missing")


@pytest.mark.parametrize("name", ["out/new", "link/new", "pipe/new", "file/new"])
def test_nothing_is_created_through_a_link(folder: Path, name: str) -> None:
    with pytest.raises(OutputError):
        create_beneath(folder, name)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["job", "secret"]


@pytest.mark.parametrize("name", ["link", "inside", "file", "pipe"])
def test_nothing_that_exists_is_replaced(folder: Path, name: str) -> None:
    with pytest.raises(FileExistsError):
        create_beneath(folder, name)
    assert (folder.parent / "secret").read_text() == "secret"


def test_a_new_file_is_created_with_its_folders(folder: Path) -> None:
    with create_beneath(folder, "a/b/c") as file:
        file.write(b"x")
    assert (folder / "a/b/c").read_bytes() == b"x"


def test_reading_stops_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(2**40)
    with path.open("rb") as file, pytest.raises(OutputError, match="more than 1000 bytes"):
        read_bounded(file, 1000)
    (tmp_path / "short").write_bytes(b"x" * 1000)
    with (tmp_path / "short").open("rb") as file:
        assert read_bounded(file, 1000) == b"x" * 1000


def test_files_and_bytes_are_counted_over_the_whole_job() -> None:
    counter = OutputCounter(Limits(total=2**30, files=3))
    counter.add(2**29)
    counter.add(2**29)
    with pytest.raises(OutputError, match="larger than 1 GiB"):
        counter.add(1)
    with pytest.raises(OutputError, match="more than 3 files"):
        counter.add(0)


def test_a_file_that_the_disk_has_no_room_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"no space left .* GiB are free"):
        OutputCounter(Limits(total=2**60), tmp_path).add(2**55)
