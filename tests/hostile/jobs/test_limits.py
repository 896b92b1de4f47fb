"""Limits that a job tries to escape: its time, its processes, the size of its outputs, the removal of its folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from support.processes import alive, until

from backends import JobState
from backends.exit_codes import ExitCode
from backends.untrusted.trees import remove_tree, tree_size
from renderer.api import Job

Submit = Callable[..., Job]


@pytest.mark.slow
def test_a_stopped_worker_does_not_outlive_the_time_limit(submit_script: Submit) -> None:
    job = submit_script("os.kill(os.getppid(), signal.SIGSTOP)\ntime.sleep(600)\n", timeout=1)
    status = job.wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.TIMEOUT)
    assert status.units[0].message == "job.py took longer than the time limit of 1 s"


def test_a_stopped_worker_can_be_cancelled(submit_script: Submit, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    note = f"pathlib.Path({str(pid)!r}).write_text(f'{{os.getpid()}}\\n')\n"
    job = submit_script(f"os.kill(os.getppid(), signal.SIGSTOP)\n{note}time.sleep(600)\n")
    until(lambda: pid.exists() and pid.read_text().endswith("\n"))
    job.cancel()
    assert job.status().state is JobState.CANCELLED
    assert not alive(int(pid.read_text()))


# Programs that note the ids of their processes, and that do not end as others do.
FORKS = "def again(*_):\n  os.fork(); note()\nsignal.signal(signal.SIGTERM, again)\nwhile True: time.sleep(0.01)\n"
DAEMONS = {
    "forks on SIGTERM": FORKS,
    "forks and exits": "while True:\n  if os.fork(): os._exit(0)\n  note()\n",
    "ignores SIGTERM": "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1)\n",
    "stops itself": "os.kill(os.getpid(), signal.SIGSTOP)\n",
}


@pytest.mark.parametrize("end", ["ends", "cancelled", "killed"])
@pytest.mark.parametrize("daemon", DAEMONS.values(), ids=DAEMONS)
def test_no_process_outlives_its_job(daemon: str, end: str, submit_script: Submit, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    note = f"def note():\n  with open({str(pids)!r}, 'a') as file: file.write(f'{{os.getpid()}}\\n')\n"
    twice = "if os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\n"
    start = f"import os, signal, time\n{twice}{note}note()\n{daemon}"
    last = {"ends": "", "cancelled": "time.sleep(600)\n", "killed": "os.kill(os.getppid(), signal.SIGKILL)\n"}[end]
    text = f"subprocess.run([sys.executable, '-c', {start!r}], stdout=-3, stderr=-3)\n"
    text += f"while not os.path.exists({str(pids)!r}): time.sleep(0.01)\n{last}"
    job = submit_script(text)
    until(pids.exists)
    if end == "cancelled":
        job.cancel()
    assert job.wait(600).state.terminal
    assert not [pid for pid in pids.read_text().split() if belongs_to(int(pid), pids)]


def belongs_to(pid: int, pids: Path) -> bool:
    """Return whether it is a process of the daemon that writes to the file: the number may be another one's by now."""
    try:
        return alive(pid) and any(str(pids) in word for word in psutil.Process(pid).cmdline())
    except psutil.NoSuchProcess:
        return False


DEEP = "os.chdir(out)\nfor n in range(2000): os.mkdir('d'); os.chdir('d')"
COPIES = "open(out / 'a', 'w').truncate(2**33)\nfor n in range(9): (out / str(n)).symlink_to('a')"
BOUNDED = {
    "sparse": ("open(out / 'huge', 'w').truncate(2**40)", "larger than 20 GiB"),
    "many": ("for n in range(10_001): (out / str(n)).touch()", "more than 10000 files"),
    "links": ("for n in range(10_001): (out / str(n)).symlink_to('x')", "more than 10000 files"),
    "folders": ("for n in range(10_001): (out / str(n)).mkdir()", "more than 10000 folders"),
    "deep": (DEEP, "64 in each other"),
    "copies": (COPIES, "larger than 20 GiB"),
    "control": ("(out / 'a\\x1b[2J').touch()", "has control characters"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BOUNDED.values(), ids=BOUNDED)
def test_outputs_are_bounded_before_they_are_read(
    text: str, message: str, submit_script: Submit, job_folder: Callable[[Job], Path]
) -> None:
    began = time.monotonic()
    job = submit_script(text)
    status = job.wait(600)
    assert time.monotonic() - began < 150
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.OUTPUT)
    assert message in str(status.units[0].message)
    assert str(status.units[0].message).isprintable()
    job.delete()
    assert not job_folder(job).exists()


def test_reading_the_outputs_is_part_of_the_time_limit(submit_script: Submit) -> None:
    status = submit_script("open(out / 'a', 'w').truncate(15 * 2**30)\ntime.sleep(0.5)\n", timeout=1).wait(600)
    assert status.exit_code in {ExitCode.TIMEOUT, ExitCode.OK}  # a machine may read so much in time
    if status.exit_code:
        assert status.units[0].message == "job.py took longer than the time limit of 1 s"


def test_outputs_that_a_daemon_would_change_are_as_the_result_says(submit_script: Submit, tmp_path: Path) -> None:
    daemon = "import time\nwhile True:\n  open('changing', 'a').write('x'); time.sleep(0.001)\n"
    text = f"subprocess.Popen([sys.executable, '-c', {daemon!r}], cwd=out, start_new_session=True)\n"
    job = submit_script(text + "while not (out / 'changing').exists(): time.sleep(0.01)\n")
    assert job.wait(600).state is JobState.SUCCEEDED
    assert [path.name for path in job.fetch(tmp_path / "out")] == ["changing"]


def test_links_and_modes_of_a_job_do_not_stop_its_removal(
    submit_script: Submit, job_folder: Callable[[Job], Path], tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("mine")
    text = f"(out / 'link').symlink_to({str(kept)!r}); os.mkfifo(out / 'pipe')\n"
    job = submit_script(text + "(out / 'locked' / 'x').mkdir(parents=True); (out / 'locked').chmod(0)\n")
    job.wait(600)
    job.delete()
    assert not list(job_folder(job).parent.iterdir())
    assert (kept / "file").read_text() == "mine"


def test_very_deep_folders_are_measured_and_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    at = os.open(top, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=at)
        file = os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=at)
        os.write(file, b"x")
        os.close(file)
        inner = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(at)
    assert tree_size(top) > 1000
    remove_tree(top)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/etc"), os.mkfifo, Path.touch, lambda _: None])
def test_anything_is_removed_and_nothing_that_it_points_to(make: Callable[[Path], object], tmp_path: Path) -> None:
    make(tmp_path / "it")
    remove_tree(tmp_path / "it")
    assert list(tmp_path.iterdir()) == []
