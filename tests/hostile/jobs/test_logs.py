"""Logs of hostile jobs: bounded in bytes and in the length of a line, and never read through a link or a pipe."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.processes import until

from backends import JobState
from backends.untrusted import Limits, LineCutter
from backends.untrusted.logs import CUT_MARK
from backends.worker_protocol import directive, last_progress, last_status
from renderer.api import Job

Submit = Callable[..., Job]


def test_a_log_is_kept_up_to_its_limit_and_the_job_goes_on(
    submit_script: Submit, job_folder: Callable[[Job], Path]
) -> None:
    beside = submit_script("print('beside')")
    job = submit_script("for n in range(100): os.write(1, b'x' * 99 + b'\\n' + b'y' * (2**20 - 100))\nsys.exit(3)\n")
    status = job.wait(600)
    assert status.units[0].message == "job.py ended with exit code 3"
    assert beside.wait(600).state is JobState.SUCCEEDED
    assert [line.text for line in beside.logs()] == ["beside"]
    folder = job_folder(job)
    assert (folder / "work" / "units" / "0" / "log.txt").stat().st_size < Limits().log + 1000
    assert (folder / "worker.log").stat().st_size < Limits().log + 1000
    lines = [line.text for line in job.logs()]
    dropped = 100 * 2**20 - Limits().log
    assert lines[-2:] == [
        f"-- {dropped} bytes more were printed; they are not kept --",
        "openjd_fail: job.py ended with exit code 3",
    ]
    assert max(map(len, lines)) <= Limits().line + len(CUT_MARK)


def test_a_line_without_end_is_cut(submit_script: Submit) -> None:
    job = submit_script("for n in range(300): os.write(1, b'x' * 2**15)\nprint(); print('end')\n")
    assert job.wait(600).state is JobState.SUCCEEDED
    first, *rest = [line.text for line in job.logs()]
    assert first == "x" * Limits().line + CUT_MARK.decode()
    assert rest == ["end"]


@given(st.lists(st.binary(max_size=9) | st.sampled_from([b"\n", b"abc\n", b"abcd", b"\n\n"])), st.integers(1, 5))
def test_lines_are_cut_alike_however_the_bytes_arrive(pieces: list[bytes], limit: int) -> None:
    whole = b"".join(pieces)
    lines = [line if len(line) <= limit else line[:limit] + CUT_MARK for line in whole.split(b"\n")]
    cutter = LineCutter(limit)
    assert [line for piece in pieces for line in cutter.split(piece)] == lines[:-1]
    assert cutter.finish() == lines[-1]


REPLACED = {
    "link": "log.symlink_to(sys.argv[1])",
    "pipe": "os.mkfifo(log)",
    "folder": "log.mkdir()",
    "link above": "log.parent.rename(log.parents[1] / 'old'); log.parent.symlink_to(os.path.dirname(sys.argv[1]))",
    "huge": "open(log, 'w').truncate(2**40)",
}


@pytest.mark.parametrize("replace", REPLACED.values(), ids=REPLACED)
def test_a_log_that_is_not_the_workers_shows_nothing_of_the_user(
    replace: str, submit_script: Submit, tmp_path: Path
) -> None:
    secret = tmp_path / "secret" / "log.txt"
    secret.parent.mkdir()
    secret.write_text("secret\n")
    text = f"log = out.parent / 'log.txt'\nlog.unlink()\n{replace}\n"
    job = submit_script(text, arguments=(str(secret),))
    followed = [line.text for line in job.logs(follow=True)]
    job.wait(600)
    assert "secret" not in "".join(followed + [line.text for line in job.logs()])
    assert secret.read_text() == "secret\n"
    assert [path.name for path in secret.parent.iterdir()] == ["log.txt"]
    job.delete()
    assert secret.read_text() == "secret\n"


_VALUES = st.text() | st.sampled_from(["nan", "inf", "-inf", "1e999", "-1", "1_0", "5" * 10_000, "42.5", " 7 "])


@given(st.lists(st.builds("openjd_{}:{}".format, st.sampled_from(["progress", "status", "fail", "x"]), _VALUES)))
def test_progress_is_a_percentage_or_none(lines: list[str]) -> None:
    progress = last_progress(lines)
    assert progress is None or (0 <= progress <= 100 and not math.isnan(progress))
    assert len(last_status(lines) or "") <= 1000
    for line in lines:
        directive(line)


def test_a_running_jobs_status_is_short(submit_script: Submit) -> None:
    lines = "openjd_progress: 42.5\nopenjd_progress: nan\nopenjd_status: " + "x" * 5000
    job = submit_script(f"print({lines!r}, flush=True)\nsignal.pause()\n")
    until(lambda: job.status().units[0].activity is not None)
    (unit,) = job.status().units
    assert (unit.progress, unit.activity) == (42.5, "x" * 1000)
    job.cancel()
