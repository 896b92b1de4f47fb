"""Measures what a shared cache saves: one of sixty plays has changed, and another machine drew the others.

    .venv/bin/python benchmarks/cache.py [--size 1920x1080] [--fps 30]

CPU seconds are those of all processes of a job, from `renderer submit` to its end. The cache is in S3, on a server of
this machine, if tests/support/cluster/build has made one, and in a folder otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cpu_time import read_cpu

from backends.cache.launch import KEY_FILE
from backends.processes import adopt_orphans

SCENES = Path(__file__).parent / "scenes"
LIMIT = 0.08


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--fps", default="30")
    options = parser.parse_args()
    adopt_orphans()  # the supervisors of jobs, so that their CPU time is counted
    with tempfile.TemporaryDirectory() as name, _store(Path(name)) as (uri, variables):
        work = Path(name)
        arguments = ["--resolution", options.size, "--fps", options.fps, "--cache", uri]
        cold, _ = _render(work / "first", arguments, variables)
        key = Path("state/manim-renderer") / KEY_FILE
        (work / "second" / key).parent.mkdir(parents=True, mode=0o700)
        (work / "second" / "state").chmod(0o700)
        shutil.copy(work / "first" / key, work / "second" / key)
        changed, cached = _render(work / "second", [*arguments, "--env", "CHANGED=1"], variables)
    print(f"sixty plays, {options.size} at {options.fps} frames per second, cache in {uri.partition(':')[0]}")
    print(f"{'what':<60} {'CPU s':>8} {'of cold':>8} {'limit':>8}")
    print(f"{'cold: the first machine, which fills the cache':<60} {cold:8.1f}")
    what = f"another machine, one play changed ({cached} frames cached)"
    print(f"{what:<60} {changed:8.1f} {changed / cold:8.1%} {LIMIT:8.0%}")
    sys.exit(changed > LIMIT * cold)


def _render(home: Path, arguments: list[str], variables: Mapping[str, str]) -> tuple[float, int]:
    """Render on the machine whose folders are in ``home``; return its CPU seconds and the frames from the cache."""
    home.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(SCENES / "sixty.py", home)
    folders = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "XDG_STATE_HOME": str(home / "state")}
    command = [Path(sys.executable).parent / "renderer", "submit", "sixty.py", "Sixty", *arguments]
    before, others = read_cpu(), _children()
    subprocess.run(command, cwd=home, env={**os.environ, **folders, **variables}, check=True, capture_output=True)
    while supervisors := _children() - others:
        os.waitpid(min(supervisors), 0)
    (result,) = home.glob("state/manim-renderer/jobs/*/work/units/0/result.json")
    return read_cpu() - before, json.loads(result.read_text())["render"]["cached"]


def _children() -> set[int]:
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))


@contextmanager
def _store(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from support import s3

    if s3.PROGRAM is None:
        yield f"file://{folder}/shared", {}
        return
    with s3.s3_server(folder / "s3") as variables:
        yield "s3://frames/cache", variables


if __name__ == "__main__":
    main()
