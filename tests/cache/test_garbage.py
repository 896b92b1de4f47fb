"""`renderer gc --cache` bounds a shared cache by age and size, and removes nothing but its entries."""

from __future__ import annotations

import os
import time
from pathlib import Path

from support.commands import environment, output, renderer
from support.s3 import Place

DAY_S = 86400


def write(place: Place, name: str, *, days: float, size: int = 1000) -> Path:
    path = place.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    os.utime(path, (time.time() - days * DAY_S,) * 2)
    return path


def entry(number: int, group: str = "b" * 16) -> str:
    return f"{'a' * 16}/{group}/{number:040x}/{number:040x}"


def test_old_entries_and_then_the_oldest_are_removed(place: Place, tmp_path: Path) -> None:
    old = [write(place, entry(1), days=31), write(place, entry(2, "tex"), days=400)]
    big = write(place, entry(3), days=3, size=2**20 + 1)
    new = [write(place, entry(4), days=0), write(place, entry(5), days=2)]
    abandoned = write(place, f"{'a' * 16}/tex/{6:040x}/.new-{'0' * 16}", days=1)
    begun = write(place, f"{'a' * 16}/tex/{6:040x}/.new-{'1' * 16}", days=0)
    others = [write(place, name, days=400) for name in ("thesis.tex", "jobs/film-1a2b3c/bundle.tar.gz")]
    env = environment(tmp_path)
    arguments = ["gc", "--cache", place.uri, "--json"]
    done = renderer(*arguments, "--dry-run", cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert len(output(done)["old"]) == 3
    assert all(path.exists() for path in (*old, abandoned))
    assert len(output(renderer(*arguments, cwd=tmp_path, env=env))["removed"]) == 3
    assert not any(path.exists() for path in (*old, abandoned))
    done = renderer("gc", "--cache", place.uri, "--cache-size", "1Mi", cwd=tmp_path, env=env)
    assert done.stdout == "1 old, 1.0 MiB removed\n"
    assert not big.exists()
    assert all(path.exists() for path in (*new, begun, *others))


def test_what_is_not_a_cache_is_refused(tmp_path: Path) -> None:
    for arguments, words in (
        ([], "needs either --backend or --cache"),
        (["--cache", f"file://{tmp_path}", "--backend", "local"], "needs either --backend or --cache"),
        (["--cache", f"file://{tmp_path}/missing"], "there is no folder"),
        (["--cache", "pvc://claim/x"], "this machine does not reach pvc://claim/x"),
        (["--cache", f"file://{tmp_path}", "--cache-size", "much"], "--cache-size cannot be 'much'"),
    ):
        done = renderer("gc", *arguments, cwd=tmp_path, env=environment(tmp_path))
        assert done.returncode != 0, arguments
        assert words in done.stderr
        assert "→" in done.stderr
    assert not (tmp_path / "missing").exists()
