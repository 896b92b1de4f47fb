"""Voices that a job gives to the next job of its project: only sounds, and only of trusted jobs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from backends.files import state_folder
from renderer.bundle import pack
from renderer.engine.cache.voices import add_voice
from renderer.output_folder import Download
from renderer.voice_store import collect_garbage, find_kept_voices, keep_voices, remember_project

Keep = Callable[[str, dict[str, bytes]], None]
LIST = "media/voiceovers/cache.json"


def list_voices(*sounds: str) -> bytes:
    return json.dumps(
        [{"input_text": sound, "original_audio": sound, "final_audio": sound} for sound in sounds]
    ).encode()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "talk.py").write_text("")
    remember_project("local://trusted", tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def keep(tmp_path: Path) -> Keep:
    def keep_files(handle: str, files: dict[str, bytes]) -> None:
        downloads = []
        for name, content in files.items():
            path = tmp_path / hashlib.sha256(name.encode()).hexdigest()
            path.write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            downloads.append(Download(source="talk.py", unit="A", index=0, name=name, sha256=digest, path=path))
        keep_voices(handle, downloads)

    return keep_files


def test_a_voice_is_uploaded_with_the_projects_next_job(root: Path, keep: Keep) -> None:
    keep("local://trusted", {LIST: list_voices("a.mp3"), "media/voiceovers/a.mp3": b"A"})
    (root / "media" / "voiceovers").mkdir(parents=True)
    (root / LIST).write_bytes(list_voices("own.mp3"))
    (root / "media" / "voiceovers" / "own.mp3").write_bytes(b"own")
    packed = pack.pack(root, main=root / "talk.py", limit=2**20, voices=find_kept_voices(root))
    assert set(packed.files) == {"talk.py", LIST, "media/voiceovers/a.mp3", "media/voiceovers/own.mp3"}
    assert find_kept_voices(root.parent) == {}
    assert json.loads((root / LIST).read_bytes()) == json.loads(list_voices("own.mp3"))


@pytest.mark.parametrize("handle", ["local://untrusted", "local://of another machine"])
def test_other_jobs_give_no_voices(handle: str, root: Path, keep: Keep) -> None:
    keep(handle, {LIST: list_voices("a.mp3"), "media/voiceovers/a.mp3": b"A"})
    assert find_kept_voices(root) == {}


@pytest.mark.parametrize(
    "name", ["numpy.py", "sitecustomize.pth", "manim.cfg", "../../talk.py", "/etc/passwd", "a\n.mp3"]
)
def test_only_sounds_are_kept(name: str, root: Path, keep: Keep) -> None:
    keep("local://trusted", {LIST: list_voices(name), f"media/voiceovers/{name}": b"A"})
    assert find_kept_voices(root) == {}


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 10_000, b"[1]", b'[{"original_audio": 1}]', b"\xff"])
def test_a_list_that_is_none_gives_nothing(content: bytes, root: Path, keep: Keep) -> None:
    keep("local://trusted", {LIST: content, "media/voiceovers/a.mp3": b"A"})
    assert find_kept_voices(root) == {}


def test_a_sound_that_somebody_changed_is_not_used(root: Path, keep: Keep) -> None:
    keep("local://trusted", {LIST: list_voices("a.mp3"), "media/voiceovers/a.mp3": b"A"})
    (sound,) = state_folder("voices").rglob(hashlib.sha256(b"A").hexdigest())
    sound.write_bytes(b"B")
    assert find_kept_voices(root) == {}


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"[{}, {}]", b'[{"../x/cache.json": []}, {"../evil.py": "1"}]', b"[1, 2]"]
)
def test_a_damaged_store_gives_nothing(content: bytes, root: Path, keep: Keep) -> None:
    keep("local://trusted", {LIST: list_voices("a.mp3"), "media/voiceovers/a.mp3": b"A"})
    (store,) = state_folder("voices").rglob("voices.json")
    store.write_bytes(content)
    assert find_kept_voices(root) == {}


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"A",
        b"[]\nA",
        b"[" * 100_000 + b"\nA",
        *(list_voices(name)[1:-1] + b"\nA" for name in ("numpy.py", "../a.mp3", "/etc/a.mp3", "a\n.mp3")),
        list_voices("a.mp3", "b.mp3")[1:-1] + b"\nA",
        b'{"original_audio": "a.mp3", "final_audio": "b.mp3"}\nA',
    ],
    ids=range(10),
)
def test_what_a_shard_may_have_forged_is_no_voice(entry: bytes, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "voice").write_bytes(entry)
    assert not add_voice(tmp_path / "voice", tmp_path / "folder")
    assert list((tmp_path / "folder").iterdir()) == []
    assert not (tmp_path / "a.mp3").exists()


def test_a_voice_is_added_once_and_replaces_none(tmp_path: Path) -> None:
    (tmp_path / "voice").write_bytes(list_voices("a.mp3")[1:-1] + b"\nB")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.mp3").write_bytes(b"A")
    (folder / "cache.json").write_bytes(list_voices("own.mp3"))
    assert add_voice(tmp_path / "voice", folder)
    assert add_voice(tmp_path / "voice", folder)
    assert (folder / "a.mp3").read_bytes() == b"A"
    assert json.loads((folder / "cache.json").read_bytes()) == json.loads(list_voices("own.mp3", "a.mp3"))
    (folder / "cache.json").unlink()
    (folder / "cache.json").symlink_to("/etc/passwd")
    assert not add_voice(tmp_path / "voice", folder)


def test_voices_of_a_project_that_is_not_rendered_any_more_are_removed(root: Path, keep: Keep, tmp_path: Path) -> None:
    keep("local://trusted", {LIST: list_voices("a.mp3"), "media/voiceovers/a.mp3": b"A"})
    (folder,) = state_folder("voices").iterdir()
    kept, day = folder / "voices.json", timedelta(days=1)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "voices.json").write_text("")
    os.utime(outside / "voices.json", (0, 0))
    (folder.parent / "link").symlink_to(outside)
    os.utime(kept, (0, 0))
    assert set(find_kept_voices(root)) == {LIST, "media/voiceovers/a.mp3"}  # which is a use of them
    assert str(folder) not in [item.path for item in collect_garbage(older_than=day, dry_run=True)]
    os.utime(kept, (0, 0))
    (found,) = [item for item in collect_garbage(older_than=day, dry_run=True) if item.path == str(folder)]
    assert found.size > 0
    assert not found.removed
    assert kept.exists()
    assert all(item.removed for item in collect_garbage(older_than=day))
    assert not folder.exists()
    assert (outside / "voices.json").exists()
    assert find_kept_voices(root) == {}
