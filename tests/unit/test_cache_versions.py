"""What the keys of the chunk cache contain of the versions that pixels and bytes depend on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from backends.image.worker_archive import build_worker_archive

DESCRIBE = """
import sys
from renderer.engine.cache.versions import describe_versions
print(describe_versions(with_ffmpeg=sys.argv[1] == "ffmpeg"))
"""


def describe(folder: Path, encoder: str, release: str) -> str:
    """Return the versions as a process sees them where an ffmpeg program of this release is installed."""
    program = folder / "ffmpeg"
    program.write_text(f"#!/bin/sh\necho run >> {folder}/runs\necho ffmpeg version {release}\n")
    program.chmod(0o755)
    env = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-c", DESCRIBE, encoder]
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout


def test_the_ffmpeg_program_counts_where_it_encodes(tmp_path: Path) -> None:
    old, new = (describe(tmp_path, "ffmpeg", release) for release in ("6.0", "7.1"))
    assert "ffmpeg version 6.0" in old
    assert "ffmpeg version 7.1" in new
    assert old.replace("version 6.0", "version 7.1") == new


def test_the_ffmpeg_program_is_not_run_where_pyav_encodes(tmp_path: Path) -> None:
    assert describe(tmp_path, "pyav", "6.0") == describe(tmp_path, "pyav", "7.1")
    assert not (tmp_path / "runs").exists()


def test_renderers_own_code_counts_in_the_workers_archive_too(tmp_path: Path) -> None:
    """An image of others has the archive alone."""
    code = "import sys; sys.path.insert(0, sys.argv.pop(1))\n" + DESCRIBE
    found = set()
    for number, prefix in enumerate([b"", b"# another version\n"]):
        archive = tmp_path / f"renderer-worker-{number}"
        archive.write_bytes(prefix + build_worker_archive(engine=True))
        command = [sys.executable, "-I", "-c", code, str(archive), "pyav"]
        found.add(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert len(found) == 2
