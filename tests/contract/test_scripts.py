"""What every backend promises for scripts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.processes import until
from support.rigs.base import Rig

from backends import JobHandle, JobState
from backends.errors import JobNotFoundError
from backends.exit_codes import ExitCode

HANGS = "import time\nprint('openjd_progress: 42.5', flush=True)\ntime.sleep(600)\n"


def script(folder: Path, text: str, name: str = "job.py") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_a_script_runs_in_its_folder_and_what_it_leaves_there_comes_back(
    rig: Rig, project: Path, tmp_path: Path
) -> None:
    (project / "data é.txt").write_text("data", "utf-8")
    (project / "sibling.py").write_text("WORD = 'sibling'\n")
    path = script(
        project,
        "import os, sys, pathlib, sibling\n"
        "assert __name__ == '__main__'\n"
        "assert not {'GLIBC_TUNABLES', 'PYTHONHASHSEED'} & set(os.environ)\n"  # those of the worker
        "pathlib.Path('sub').mkdir()\n"
        "words = [pathlib.Path('data é.txt').read_text('utf-8'), sibling.WORD, *sys.argv[1:], os.environ['GREETING']]\n"
        "pathlib.Path('sub/words ü.txt').write_text('|'.join(words), 'utf-8')\n"
        "pathlib.Path('data é.txt').write_text('changed')\n"
        "pathlib.Path(os.environ['RENDERER_OUTPUT_DIR'], 'more.txt').touch()\n",
    )
    greeting = "no: 'x' \"y\" $HOME $$ $(HOME)\n1e3"
    job = rig.submit(path, arguments=("--n", "a b"), env={"GREETING": greeting})
    status = job.wait(600)
    assert status.state is JobState.SUCCEEDED, status.units
    files = job.fetch(tmp_path / "out")
    assert files == [tmp_path / "out" / name for name in ("data é.txt", "more.txt", "sub/words ü.txt")]
    assert files[0].read_text() == "changed"
    assert files[2].read_text("utf-8") == f"data|sibling|--n|a b|{greeting}"


def test_a_script_in_a_folder_of_the_project_runs_in_the_root(
    rig: Rig, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tools", "my lib"):
        (project / name).mkdir()
    (project / "my lib" / "house_style.py").write_text("WORD = 'house'\n")
    (project / "data.txt").write_text("data")
    monkeypatch.setenv("PYTHONPATH", str(project / "my lib"))
    text = "import sys, house_style\nprint(sys.argv[0], open('data.txt').read(), house_style.WORD)\n"
    job = rig.submit(script(project / "tools", text), root=project)
    assert job.wait(600).state is JobState.SUCCEEDED
    assert [line.text for line in job.logs()] == ["tools/job.py data house"]


def test_log_lines_come_whole_and_in_order(rig: Rig, project: Path) -> None:
    path = script(project, "import sys\nfor i in range(300):\n  print('line', i)\nsys.stdout.write('no newline ✓')\n")
    job = rig.submit(path)
    followed = [line.text for line in job.logs(follow=True)]
    assert followed == [f"line {i}" for i in range(300)] + ["no newline ✓"]
    assert job.wait(600).state is JobState.SUCCEEDED
    assert [line.text for line in job.logs()] == followed


def test_progress_is_seen_and_cancel_ends_a_running_job(rig: Rig, project: Path) -> None:
    job = rig.submit(script(project, HANGS))
    until(lambda: job.status().units[0].progress == 42.5)
    assert job.status().state is JobState.RUNNING
    job.cancel()
    assert job.wait(600).state is JobState.CANCELLED
    job.cancel()
    assert job.status().exit_code == ExitCode.CANCELLED


def test_a_failing_script_is_failed_with_its_last_words(rig: Rig, project: Path) -> None:
    status = rig.submit(script(project, "def inner():\n    raise ValueError('boom')\ninner()\n")).wait(600)
    assert status.state is JobState.FAILED
    assert status.exit_code == status.units[0].exit_code == ExitCode.USER_CODE
    assert status.units[0].message == "job.py ended with exit code 1"


def test_cancelling_a_job_that_has_ended_changes_nothing(rig: Rig, project: Path) -> None:
    job = rig.submit(script(project, "print('done')\n"))
    job.wait(600)
    job.cancel()
    assert job.status().state is JobState.SUCCEEDED


def test_a_job_that_hangs_is_ended_at_its_time_limit(rig: Rig, project: Path) -> None:
    status = rig.submit(script(project, HANGS), timeout=3).wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.TIMEOUT)
    assert "time limit of 3 s" in (status.units[0].message or status.reason or "")


def test_a_job_is_found_by_its_handle_listed_and_deleted(rig: Rig, project: Path) -> None:
    job = rig.submit(script(project, "print(1)\n"), name="Namé of mine")
    again = rig.open(str(job.handle))
    status = again.wait(600)
    assert status.name == "name-of-mine"
    assert status.created is not None
    assert abs(datetime.now(UTC) - status.created) < timedelta(hours=1)
    for _ in range(2):  # what is read, and what a backend of this machine remembers
        assert (job.handle, JobState.SUCCEEDED) in [(found.handle, found.state) for found in again.backend.list()]
    again.delete()
    assert job.handle not in [found.handle for found in again.backend.list()]
    with pytest.raises(JobNotFoundError):
        job.status()


def test_an_unknown_handle_is_said_to_be_unknown(rig: Rig, project: Path) -> None:
    known = rig.submit(script(project, "print(1)\n"))
    unknown = JobHandle(known.handle.backend, (*known.handle.parts[:-1], known.handle.parts[-1] + "x"))
    for ask in (known.backend.status, known.backend.cancel, known.backend.delete):
        with pytest.raises(JobNotFoundError):
            ask(unknown)
    known.wait(600)


def test_the_doctor_finds_a_backend_that_works_without_a_failure(rig: Rig, project: Path) -> None:
    job = rig.submit(script(project, "print(1)\n"))
    assert job.wait(600).state is JobState.SUCCEEDED
    checks = list(job.backend.doctor(store=rig.loaded().store))
    assert checks
    assert [check for check in checks if check.state == "failure"] == []


def test_garbage_is_removed_by_age_and_a_dry_run_lists_it(rig: Rig, project: Path) -> None:
    job = rig.submit(script(project, "print(1)\n"))
    job.wait(600)
    assert list(job.backend.collect_garbage(older_than=timedelta(days=1))) == []
    listed = list(job.backend.collect_garbage(older_than=timedelta(0), dry_run=True))
    assert not any(item.removed for item in listed)
    assert job.status().state is JobState.SUCCEEDED
    removed = list(job.backend.collect_garbage(older_than=timedelta(0)))
    assert all(item.removed for item in removed)
    assert {item.path for item in removed} == {item.path for item in listed}
