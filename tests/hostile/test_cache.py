"""The chunk cache uses only what was written with its key, in a folder that nobody else can change."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import pytest
from engine.renders import SCENES
from support.commands import SMALL, environment, output, renderer

from backends.cache.entries import KEY_BYTES, MAC_BYTES
from backends.cache.key_file import read_or_create_key
from backends.chunk_store import FolderChunks
from renderer.engine.cache.chunk_key import ChunkKey
from renderer.engine.cache.store import ChunkCache, open_chunk_cache
from renderer.engine.request import ShardPlace
from renderer.engine.shards.formulas import MAX_BYTES, SharedFormulas

CHUNK = b"the frames of one chunk"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


def make_key(frame: bytes) -> ChunkKey:
    key = ChunkKey("settings")
    key.add_frame(frame, 1)
    return key


KEY = make_key(b"frame")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "chunk.mp4").write_bytes(CHUNK)
    return tmp_path


@pytest.fixture
def cache(work: Path) -> ChunkCache:
    opened = open_chunk_cache(work / "cache", 1, work / "state" / "key")
    opened.keep(KEY, work / "chunk.mp4")
    return opened


def entry(cache: ChunkCache, key: ChunkKey = KEY) -> Path:
    return cache.folder / key.first_frame / key.all_frames


def restore(cache: ChunkCache, work: Path, key: ChunkKey = KEY) -> bytes | None:
    """Return what the cache has for the key. What it refuses must leave no file."""
    target = work / "restored" / "chunk.mp4"
    if cache.restore(key, target):
        return target.read_bytes()
    assert not target.exists()
    return None


def test_what_was_kept_comes_back_and_only_its_owner_can_read_it(cache: ChunkCache, work: Path) -> None:
    assert restore(cache, work) == CHUNK
    assert restore(open_chunk_cache(work / "cache", 1, work / "state" / "key"), work) == CHUNK
    for path in (entry(cache), work / "state" / "key", cache.folder, work / "state"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    assert cache.secret.hex() not in repr(cache)
    assert repr(cache.secret) not in repr(cache)


def test_a_formula_of_another_shard_is_used_in_its_job_alone(cache: ChunkCache, work: Path) -> None:
    store, key = FolderChunks(work / "store"), make_key(b"formula")
    (work / "scratch").mkdir()
    others = open_chunk_cache(work / "others", 1, work / "state" / "key")
    SharedFormulas(others, ShardPlace(0, 2, store), work / "scratch").keep(key, work / "chunk.mp4")
    formulas = SharedFormulas(cache, ShardPlace(1, 2, store), work / "scratch")
    assert formulas.restore(key, work / "formula.svg")
    assert (work / "formula.svg").read_bytes() == CHUNK
    assert restore(cache, work, key) is None  # who may write to the job's store cannot write to the cache
    assert restore(others, work, key) == CHUNK


def test_a_large_formula_of_another_shard_is_not_read(cache: ChunkCache, work: Path) -> None:
    store, key = FolderChunks(work / "store"), make_key(b"formula")
    (work / "large").write_bytes(bytes(MAX_BYTES + 1))
    (work / "scratch").mkdir()
    SharedFormulas(cache, ShardPlace(0, 2, store), work / "scratch").keep(key, work / "large")
    formulas = SharedFormulas(
        open_chunk_cache(work / "own", 1, work / "key"), ShardPlace(1, 2, store), work / "scratch"
    )
    assert not formulas.restore(key, work / "formula.svg")


@pytest.mark.parametrize("at", [0, MAC_BYTES - 1, MAC_BYTES, -1])
def test_a_changed_byte_is_noticed(cache: ChunkCache, work: Path, at: int) -> None:
    data = bytearray(entry(cache).read_bytes())
    data[at] ^= 1
    entry(cache).write_bytes(data)
    assert restore(cache, work) is None


@pytest.mark.parametrize("data", [b"", bytes(MAC_BYTES - 1), bytes(MAC_BYTES), bytes(MAC_BYTES) + b"frames"])
def test_a_forged_entry_is_not_used(cache: ChunkCache, work: Path, data: bytes) -> None:
    entry(cache).write_bytes(data)
    assert restore(cache, work) is None


def test_cut_and_longer_entries_are_not_used(cache: ChunkCache, work: Path) -> None:
    data = entry(cache).read_bytes()
    for changed in (data[:-1], data + b"x", data[:MAC_BYTES]):
        entry(cache).write_bytes(changed)
        assert restore(cache, work) is None
    cache.keep(KEY, work / "chunk.mp4")
    assert restore(cache, work) == CHUNK


def test_an_entry_under_the_key_of_another_chunk_is_not_used(cache: ChunkCache, work: Path) -> None:
    other = make_key(b"another frame")
    (work / "other.mp4").write_bytes(b"other frames")
    cache.keep(other, work / "other.mp4")
    for source, key in ((entry(cache).read_bytes(), other), (entry(cache, other).read_bytes(), KEY)):
        entry(cache, key).write_bytes(source)
        assert restore(cache, work, key) is None


def test_an_entry_that_was_written_with_another_key_is_not_used(cache: ChunkCache, work: Path) -> None:
    (work / "bad.mp4").write_bytes(b"bad frames")
    for secret in (b"", bytes(KEY_BYTES), os.urandom(KEY_BYTES)):
        ChunkCache(cache.folder, 1, secret).keep(KEY, work / "bad.mp4")
        assert restore(cache, work) is None


def test_an_entry_with_a_digest_in_its_name_is_not_used_and_removed(cache: ChunkCache, work: Path) -> None:
    """Earlier versions had such entries: everybody can compute the digest."""
    entry(cache).unlink()
    old = entry(cache).with_name(f"{KEY.all_frames}.{blake2b(b'bad', digest_size=20).hexdigest()}")
    old.write_bytes(b"bad")
    assert restore(cache, work) is None
    cache.prune()
    assert not old.exists()


def _link(path: Path, good: Path) -> None:
    path.symlink_to(good)


def _hard_link(path: Path, good: Path) -> None:
    path.hardlink_to(good)


def _pipe(path: Path, _good: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path, _good: Path) -> None:
    parent = os.open(path.parent, os.O_RDONLY)  # a socket's path has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{parent}/{path.name}")
    os.close(parent)


def _folder(path: Path, _good: Path) -> None:
    path.mkdir()


def _endless(path: Path, _good: Path) -> None:
    path.symlink_to("/dev/zero")


def _sparse(path: Path, good: Path) -> None:
    shutil.copy(good, path)
    os.truncate(path, 2**40)


@pytest.mark.parametrize("plant", [_link, _hard_link, _pipe, _socket, _folder, _endless, _sparse])
def test_what_is_not_a_file_of_the_cache_alone_is_not_used(
    cache: ChunkCache, work: Path, plant: Callable[[Path, Path], None]
) -> None:
    good = work / "good"
    entry(cache).rename(good)
    plant(entry(cache), good)
    before = good.read_bytes()
    assert restore(cache, work) is None
    cache.keep(KEY, work / "chunk.mp4")
    cache.prune()
    assert good.read_bytes() == before
    if plant is not _folder:
        assert restore(cache, work) == CHUNK


@needs_root
def test_a_file_of_another_user_is_not_used(cache: ChunkCache, work: Path) -> None:
    os.chown(entry(cache), 12345, -1)
    assert restore(cache, work) is None


@needs_root
def test_a_device_is_not_used(cache: ChunkCache, work: Path) -> None:
    entry(cache).unlink()
    try:
        os.mknod(entry(cache), 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # as /dev/zero
    except PermissionError:
        pytest.skip("this machine does not let its root make devices")
    assert restore(cache, work) is None


def test_nothing_outside_the_cache_is_removed_or_written(cache: ChunkCache, work: Path) -> None:
    """The folder of a first frame is a link to a folder of the user's."""
    private = work / "private"
    private.mkdir()
    (private / "thesis.tex").write_text("years of work")
    first = cache.folder / make_key(b"link").first_frame
    first.symlink_to(private)
    (cache.folder / ("0" * 40)).symlink_to("/")
    cache.keep(make_key(b"link"), work / "chunk.mp4")
    ChunkCache(cache.folder, 0, cache.secret).prune()
    assert [path.name for path in private.iterdir()] == ["thesis.tex"]
    assert (private / "thesis.tex").read_text() == "years of work"
    assert not entry(cache).exists()


def test_files_that_cannot_be_used_do_not_push_out_those_that_can(cache: ChunkCache, work: Path) -> None:
    for number in range(5):
        planted = cache.folder / KEY.first_frame / f"{number:040x}"
        planted.touch()
        os.truncate(planted, 2**40)
        os.utime(planted, (2**33, 2**33))  # long after today
    cache.prune()
    assert [path.name for path in (cache.folder / KEY.first_frame).iterdir()] == [KEY.all_frames]
    assert restore(cache, work) == CHUNK


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702, 0o770], ids=oct)
@pytest.mark.parametrize("what", ["cache", "state"])
def test_a_folder_that_others_can_write_is_refused(work: Path, what: str, mode: int) -> None:
    (work / what).mkdir()
    if os.geteuid() == 0:
        os.chown(work / what, -1, 54321)
    (work / what).chmod(mode)
    if os.geteuid() and mode == 0o770:
        pytest.skip("the group may be the user's own")
    with pytest.raises(PermissionError, match=r"can write to .*" + what):
        open_chunk_cache(work / "cache", 1, work / "state" / "key")


def test_a_folder_below_one_that_others_can_write_is_refused(work: Path) -> None:
    (work / "shared").mkdir()
    (work / "shared").chmod(0o777)
    (work / "link").symlink_to("shared")
    for folder in (work / "shared" / "cache", work / "link" / "deep" / "cache"):
        with pytest.raises(PermissionError, match=r"every user can write to .*shared$"):
            open_chunk_cache(folder, 1, work / "state" / "key")
    (work / "shared").chmod(0o1777)  # as /tmp: nobody else can rename or remove what is there
    open_chunk_cache(work / "shared" / "cache", 1, work / "state" / "key")


@needs_root
def test_a_folder_of_another_user_is_refused(work: Path) -> None:
    (work / "other" / "cache").mkdir(parents=True)
    os.chown(work / "other", 12345, -1)
    with pytest.raises(PermissionError, match=r"other belongs to another user"):
        open_chunk_cache(work / "other" / "cache", 1, work / "state" / "key")


def test_a_key_that_others_can_read_is_refused(work: Path) -> None:
    path = work / "key"
    read_or_create_key(path)
    path.chmod(0o640)
    with pytest.raises(PermissionError, match="others can read"):
        read_or_create_key(path)


@pytest.mark.parametrize("size", [0, KEY_BYTES - 1, KEY_BYTES + 1])
def test_a_key_of_another_size_is_refused(work: Path, size: int) -> None:
    (work / "key").write_bytes(bytes(size))
    (work / "key").chmod(0o600)
    with pytest.raises(ValueError, match="does not hold a key"):
        read_or_create_key(work / "key")


@pytest.mark.parametrize("plant", [_link, _pipe, _socket, _endless, _folder])
def test_a_key_that_is_not_a_plain_file_is_refused(work: Path, plant: Callable[[Path, Path], None]) -> None:
    read_or_create_key(work / "good")
    plant(work / "key", work / "good")
    with pytest.raises(OSError, match="key"):
        read_or_create_key(work / "key")


def test_processes_that_start_at_once_agree_on_one_key(work: Path) -> None:
    code = "import sys; from pathlib import Path; from backends.cache.key_file import read_or_create_key\n"
    code += "sys.stdin.read(); print(read_or_create_key(Path(sys.argv[1])).hex())"
    command = [sys.executable, "-c", code, str(work / "state" / "key")]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    for process in started:
        assert process.stdin
        process.stdin.close()
        process.stdin = None
    assert len({process.communicate()[0] for process in started}) == 1
    assert os.listdir(work / "state") == ["key"]  # noqa: PTH208  # the temporary files, too


VANDAL = """
import itertools, os, pathlib
from hashlib import blake2b
assert not [name for name in os.environ if name.startswith("RENDERER_SEGMENT_CACHE")]
paths = [path for path in pathlib.Path(os.environ["XDG_CACHE_HOME"]).rglob("*") if path.is_file()]
contents = [path.read_bytes() for path in paths]
for path, data in zip(paths, contents[1:] + contents[:1]):
    path.write_bytes(data)
    path.with_name(f"{path.name}.{blake2b(data[32:], digest_size=20).hexdigest()}").write_bytes(data[32:])
print(len(paths), "entries swapped")
"""


@pytest.mark.slow
def test_a_job_that_swaps_entries_does_not_change_the_video_of_another_job(tmp_path: Path) -> None:
    shutil.copy(SCENES / "cached.py", tmp_path)
    (tmp_path / "vandal.py").write_text(VANDAL)
    env = environment(tmp_path)

    def submit(*arguments: str) -> dict[str, object]:
        done = renderer("submit", *arguments, "--output", "out", "--json", cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stderr
        (result,) = sorted((tmp_path / "state").glob("**/result.json"), key=lambda path: path.stat().st_mtime)[-1:]
        assert output(done)
        return {"result": result.read_text(), "log": result.with_name("log.txt").read_text()}

    def render() -> tuple[bytes, str, str]:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        found = submit("cached.py", "Twelve", *SMALL)
        (video,) = (tmp_path / "out").rglob("Twelve.mp4")
        return video.read_bytes(), str(found["result"]), str(found["log"])

    first, _, _ = render()
    assert "entries swapped" in str(submit("vandal.py")["log"])
    second, result, _ = render()
    assert second == first
    assert '"cached": 0' in result
    third, result, _ = render()
    assert third == first
    assert '"cached": 60' in result
    (tmp_path / "cache").chmod(0o777)
    fourth, result, log = render()
    assert fourth == first
    assert '"cached": 0' in result
    assert f"the chunk cache is not used: every user can write to {tmp_path / 'cache'}" in log
