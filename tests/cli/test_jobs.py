"""The life of a local job, as seen from shells."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from cli.conftest import Run
from support.commands import BIN, output
from support.processes import alive, until

from backends.exit_codes import ExitCode
from renderer import api
from renderer.system.limits import count_usable_cores

WAITS = """
import os, sys, time
print("started", flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
print("openjd_progress: 100")
open(os.environ["RENDERER_OUTPUT_DIR"] + "/done.txt", "w").write("done")
"""
QUICK = "import os\nopen(os.environ['RENDERER_OUTPUT_DIR'] + '/a.txt', 'w').write('a')\nprint('hello')\n"


@pytest.fixture
def waits(project: Path) -> Path:
    """Return a file: the script waits.py ends once it exists."""
    (project / "waits.py").write_text(WAITS)
    return project / "go"


def detached(run: Run, *arguments: str) -> str:
    done = run("submit", "--detach", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def state(run: Run, handle: str) -> str:
    return str(output(run("status", handle, "--json"))["state"])


def folder(home: Path, handle: str) -> Path:
    return home / "state" / "manim-renderer" / "jobs" / handle.removeprefix("local://")


def workers(home: Path, handle: str) -> list[psutil.Process]:
    return psutil.Process(int((folder(home, handle) / "pid").read_text())).children()


def worker(home: Path, handle: str) -> psutil.Process:
    (found,) = workers(home, handle)
    return found


def test_a_foreground_submit_downloads_the_files(project: Path, run: Run) -> None:
    (project / "quick.py").write_text(QUICK)
    done = run("submit", "quick.py", "-o", "out put")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["out put/a.txt"]
    assert (project / "out put" / "a.txt").read_text() == "a"
    again = run("submit", "quick.py", "-o", "out put", "--json")
    assert output(again)["state"] == "succeeded"
    assert output(again)["outputs"] == [str(project / "out put" / "a.txt")]


def test_a_detached_job_keeps_running_and_is_found_again(waits: Path, run: Run, home: Path) -> None:
    handle = detached(run, "waits.py", "--", str(waits))
    until(lambda: "started" in run("logs", handle).stdout)
    assert state(run, handle) == "running"
    assert run("fetch", handle).stdout == ""
    listed = output(run("list", "--json"))
    assert [job["handle"] for job in listed] == [handle]
    waits.touch()
    assert run("wait", handle).returncode == 0
    assert run("logs", "-f", handle).stdout == "started\n"
    assert run("fetch", handle, "-o", "got").stdout == "got/done.txt\n"
    assert run("delete", handle).returncode == 0
    assert not folder(home, handle).exists()
    assert run("list").stdout == ""


def test_wait_stops_after_its_timeout(waits: Path, run: Run) -> None:
    handle = detached(run, "waits.py", "--", str(waits))
    done = run("wait", handle, "--timeout", "0.3")
    assert done.returncode == ExitCode.TRANSIENT
    assert "has not ended after 0.3 s" in done.stderr
    run("cancel", handle)


def test_ctrl_c_stops_waiting_and_the_job_keeps_running(
    waits: Path, project: Path, run: Run, env: dict[str, str]
) -> None:
    command: list[str | Path] = [BIN / "renderer", "submit", "waits.py", "--", waits]
    watching = subprocess.Popen(
        command, cwd=project, env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    until(lambda: any(job["state"] == "running" for job in output(run("list", "--json"))))
    os.killpg(watching.pid, signal.SIGINT)
    _, errors = watching.communicate(timeout=600)
    assert watching.returncode == ExitCode.INTERRUPTED
    (job,) = output(run("list", "--json"))
    assert f"renderer wait {job['handle']}" in errors
    assert f"renderer cancel {job['handle']}" in errors
    waits.touch()
    assert run("wait", job["handle"]).returncode == 0


def test_a_command_that_gets_sigterm_leaves_nothing(waits: Path, project: Path, run: Run, env: dict[str, str]) -> None:
    (project / "renders").mkdir()
    command: list[str | Path] = [BIN / "renderer", "submit", "waits.py", "--json", "--", waits]
    watching = subprocess.Popen(command, cwd=project, env=env, stderr=subprocess.PIPE, text=True)
    assert watching.stderr
    handle = watching.stderr.readline().split()[-1]  # printed with --json as well
    watching.terminate()
    watching.communicate(timeout=600)
    assert watching.returncode == ExitCode.INTERRUPTED
    waits.touch()
    assert run("wait", handle).returncode == 0
    assert list((project / "renders").iterdir()) == []


def test_a_closed_pipe_is_not_an_error(waits: Path, project: Path, run: Run, env: dict[str, str]) -> None:
    command: list[str | Path] = [BIN / "renderer", "submit", "waits.py", "--", waits]
    read, write = os.pipe()
    submit = subprocess.Popen(command, cwd=project, env=env, stderr=write, stdout=subprocess.DEVNULL)
    os.close(write)
    os.close(read)
    waits.touch()
    assert submit.wait(600) == 0
    assert (project / "renders" / "done.txt").read_text() == "done"
    (project / "many.py").write_text("for number in range(100_000):\n    print('line', number)\n")
    handle = output(run("submit", "many.py", "--json"))["handle"]
    first = f"set -o pipefail; '{BIN / 'renderer'}' logs {handle} | head -1"
    done = subprocess.run(["bash", "-c", first], cwd=project, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "line 0\n", "")


def test_a_job_that_starts_is_not_lost(project: Path, env: dict[str, str], run: Run) -> None:
    (project / "quick.py").write_text(QUICK)
    command: list[str | Path] = [BIN / "renderer", "submit", "quick.py"]
    submits = [subprocess.Popen(command, cwd=project, env=env, stderr=subprocess.PIPE) for _ in range(6)]
    while any(process.poll() is None for process in submits):
        assert run("list").returncode == 0
    ended = [(process.communicate()[1], process.returncode) for process in submits]
    assert [message for message, code in ended if code] == []
    assert {job["state"] for job in output(run("list", "--json"))} == {"succeeded"}


def test_cancel_ends_every_process_within_a_second_or_two(waits: Path, run: Run, home: Path) -> None:
    handle = detached(run, "waits.py", "--", str(waits))
    until(lambda: "started" in run("logs", handle).stdout)
    processes = [worker(home, handle), *worker(home, handle).children(recursive=True)]
    assert len(processes) == 2
    assert run("cancel", handle).stdout.split() == [handle, "cancelled"]
    assert not any(alive(process.pid) for process in processes)
    assert run("wait", handle).returncode == ExitCode.CANCELLED


def end_worker(home: Path, handle: str) -> None:
    worker(home, handle).kill()


def end_supervisor(home: Path, handle: str) -> None:
    os.kill(int((folder(home, handle) / "pid").read_text()), signal.SIGKILL)


def stop_supervisor(home: Path, handle: str) -> None:
    os.kill(int((folder(home, handle) / "pid").read_text()), signal.SIGTERM)


def restart_machine(home: Path, handle: str) -> None:
    """Leave the job as after a restart of the machine: nothing runs, and the boot id is another one."""
    end_supervisor(home, handle)
    record = folder(home, handle) / "job.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "boot": "an earlier one"}))


@pytest.mark.parametrize(
    ("accident", "reason"),
    [
        (end_worker, "the worker was ended by SIGKILL"),
        (end_supervisor, "the job's supervisor was killed"),
        (stop_supervisor, "the job was told to stop by SIGTERM, as when this machine shuts down"),
        (restart_machine, "this machine was restarted while the job ran"),
    ],
)
def test_a_job_whose_processes_are_gone_has_failed(
    accident: Callable[[Path, str], None], reason: str, waits: Path, run: Run, home: Path
) -> None:
    handle = detached(run, "waits.py", "--", str(waits))
    until(lambda: "started" in run("logs", handle).stdout)
    processes = [worker(home, handle), *worker(home, handle).children(recursive=True)]
    link = Path((folder(home, handle) / "link").read_text())
    assert link.samefile(folder(home, handle) / "work" / "scratch")
    accident(home, handle)
    until(lambda: state(run, handle) == "failed")
    assert not link.parent.exists()
    status = output(run("status", handle, "--json"))
    assert (status["reason"], status["exit_code"]) == (reason, ExitCode.LOST)
    until(lambda: not any(alive(process.pid) for process in processes))
    assert run("wait", handle).returncode == ExitCode.LOST


def test_a_job_whose_supervisor_fails_says_why(waits: Path, run: Run, home: Path) -> None:
    handle = detached(run, "waits.py", "--retries", "1", "--", str(waits))
    until(lambda: "started" in run("logs", handle).stdout)
    attempt = folder(home, handle) / "attempt"
    attempt.unlink()
    attempt.mkdir()  # as root, a test cannot take the right to write away
    end_worker(home, handle)
    assert run("wait", handle).returncode == ExitCode.LOST
    assert output(run("status", handle, "--json"))["reason"].endswith("/attempt: Is a directory")


def test_each_unit_has_its_own_reason_when_the_worker_is_lost(project: Path, run: Run, home: Path) -> None:
    scene = "class {}(Scene):\n    def construct(self):\n        {}\n"
    names = [f"Waits{number}" for number in range(count_usable_cores() + 2)]  # more than run side by side
    scenes = [scene.format("Bad", "raise ValueError('no')"), *(scene.format(name, "time.sleep(600)") for name in names)]
    (project / "many.py").write_text("import time\nfrom manim import *\n" + "".join(scenes))
    handle = detached(run, "many.py", "--all")
    units: Callable[[], Any] = lambda: output(run("status", handle, "--json"))["units"]  # noqa: E731
    until(lambda: [unit["state"] for unit in units()][:2] == ["failed", "running"])
    end_worker(home, handle)
    assert run("wait", handle).returncode == ExitCode.LOST
    bad, first, *_, last = units()
    assert (bad["message"], bad["exit_code"]) == ("Bad raised ValueError: no", ExitCode.USER_CODE)
    assert (first["message"], first["exit_code"]) == ("the worker was ended by SIGKILL", ExitCode.LOST)
    assert (last["message"], last["exit_code"]) == ("it did not run: the worker was ended by SIGKILL", ExitCode.LOST)


def test_a_lost_worker_is_restarted_while_retries_are_left(waits: Path, run: Run, home: Path) -> None:
    handle = detached(run, "waits.py", "--retries", "1", "--", str(waits))
    until(lambda: "started" in run("logs", handle).stdout)
    first = worker(home, handle)
    first.kill()
    until(lambda: workers(home, handle) not in ([], [first]))
    waits.touch()
    assert run("wait", handle).returncode == 0


TWICE = """
import os, pathlib, signal, sys
out = pathlib.Path(os.environ["RENDERER_OUTPUT_DIR"])
(out / f"part-{os.getpid()}").write_text("half")
tried = pathlib.Path(sys.argv[1])
print("second" if tried.exists() else "first", flush=True)
if not tried.exists():
    tried.touch()
    os.kill(os.getpid(), signal.SIGKILL)
(out / "film.txt").write_text("whole")
(out / "latest").symlink_to("film.txt")
"""


def test_a_second_attempt_has_its_own_files_and_both_logs(project: Path, run: Run) -> None:
    (project / "twice.py").write_text(TWICE)
    done = run("submit", "twice.py", "--retries", "1", "--json", "--", str(project / "tried"))
    assert done.returncode == 0, done.stderr
    files = {Path(path).name: Path(path) for path in output(done)["outputs"]}
    assert sorted(name.partition("-")[0] for name in files) == ["film.txt", "latest", "part"]
    assert files["latest"].read_text() == "whole"  # a link to an output comes as a file
    lines = run("logs", output(done)["handle"]).stdout.splitlines()
    assert lines[0] == "first"
    assert lines[-2:] == ["-- next attempt --", "second"]


LIKE_PYTHON = """
import multiprocessing, os, shutil
if __name__ == "__main__":
    with multiprocessing.Manager() as manager:
        print(manager.list([1]))
    shutil.make_archive(os.environ["RENDERER_OUTPUT_DIR"] + "/all", "zip", ".")
"""


def test_a_script_runs_as_python_runs_it(project: Path, run: Run, home: Path) -> None:
    (project / "like.py").write_text(LIKE_PYTHON)
    deep = home / ("x" * 80)  # sockets have short names all the same
    done = run("submit", "like.py", "--json", XDG_STATE_HOME=str(deep))
    assert done.returncode == 0, done.stdout
    assert [Path(path).name for path in output(done)["outputs"]] == ["all.zip"]


def test_the_same_thing_twice_at_once_gives_two_jobs(project: Path, env: dict[str, str], run: Run) -> None:
    (project / "quick.py").write_text(QUICK)
    command: list[str | Path] = [BIN / "renderer", "submit", "quick.py", "-o", "out"]
    both = [subprocess.Popen(command, cwd=project, env=env, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(600) for process in both] == [0, 0]
    assert (project / "out" / "a.txt").read_text() == "a"
    assert len({job["handle"] for job in output(run("list", "--json"))}) == 2


def test_the_dependencies_of_a_script_are_installed(project: Path, run: Run) -> None:
    (project / "needs.py").write_text(
        "# /// script\n# requires-python = '>=3.11'\n# dependencies = ['iniconfig==2.1.0']\n# ///\n"
        "import iniconfig, sys\nprint('got', iniconfig.__name__, *sys.argv[1:])\n"
    )
    done = run("submit", "needs.py", "--json", "--", "--flag")
    assert done.returncode == 0, run("logs", output(done)["handle"]).stdout
    assert run("logs", output(done)["handle"]).stdout == "got iniconfig --flag\n"


def test_packages_are_installed_beside_those_that_are_there_and_kept_for_the_next_job(project: Path, run: Run) -> None:
    (project / "needs.py").write_text(
        "import numpy, tabulate\nprint(tabulate.__version__, tabulate.__file__)\nprint(numpy.__file__)\n"
    )
    (project / "needs.txt").write_text("# a comment\ntabulate==0.9.0\n")
    said = []
    for _ in range(2):
        done = run("submit", "needs.py", "--json", "--with", "numpy", "--requirements", "needs.txt")
        assert done.returncode == 0, done.stderr
        said.append(run("logs", output(done)["handle"]).stdout)
    assert said[0] == said[1]
    assert said[0].startswith("0.9.0 ")
    assert np.__file__ in said[0]


def test_a_job_that_needs_another_python_is_told_so(project: Path, run: Run) -> None:
    (project / "needs.py").write_text("# /// script\n# requires-python = '>=3.99'\n# ///\nprint(1)\n")
    done = run("submit", "needs.py")
    assert done.returncode == ExitCode.USER_CODE
    assert "needs.py needs Python >=3.99, and here is 3." in done.stderr


def test_old_jobs_are_removed_at_the_next_submit(project: Path, run: Run) -> None:
    (project / "quick.py").write_text(QUICK)
    assert run("submit", "quick.py").returncode == 0
    assert run("submit", "quick.py", RENDERER_LOCAL_KEEP_DAYS="0").returncode == 0
    assert len(output(run("list", "--json"))) == 1


def test_dependencies_that_cannot_be_installed_are_reported(project: Path, run: Run) -> None:
    (project / "needs.py").write_text("# /// script\n# dependencies = ['iniconfig==0.0.0.1']\n# ///\nprint(1)\n")
    done = run("submit", "needs.py")
    assert done.returncode == ExitCode.USER_CODE
    assert "iniconfig==0.0.0.1" in done.stderr


def test_a_process_that_hides_in_another_session_ends_with_its_job(project: Path, run: Run) -> None:
    (project / "hides.py").write_text(
        "import subprocess\nprint(subprocess.Popen(['sleep', '600'], start_new_session=True).pid)\n"
    )
    (handle,) = [output(run("submit", "hides.py", "--json"))["handle"]]
    assert not alive(int(run("logs", handle).stdout))


def test_a_submit_ends_lost_jobs_and_removes_half_made_ones(waits: Path, run: Run, home: Path) -> None:
    handle = detached(run, "waits.py", "--env", "WORD=hunter2", "--", str(waits))
    until(lambda: "started" in run("logs", handle).stdout)
    end_supervisor(home, handle)
    half, deleted, other = (
        folder(home, handle).with_name(name) for name in ("a-123abc", ".deleted-a-123abc", "photos")
    )
    for path in (half, deleted, other):
        path.mkdir()
        (path / "lock").touch()
        os.utime(path, (0, 0))
    (deleted / "job.json").touch()
    os.utime(deleted, (0, 0))
    (waits.parent / "quick.py").write_text(QUICK)
    assert run("submit", "quick.py").returncode == 0
    assert not (folder(home, handle) / "environment.json").exists()
    assert [path.exists() for path in (half, deleted, other)] == [False, False, True]


def test_an_error_for_one_job_does_not_stop_the_others(waits: Path, run: Run, home: Path) -> None:
    one, other = (detached(run, "waits.py", "--", str(waits)) for _ in range(2))
    for verb, ended in (("cancel", "cancelled"), ("delete", "deleted")):
        done = run(verb, one, "local://nope", "local://no", other)
        assert done.returncode == ExitCode.NOT_FOUND
        assert done.stdout.splitlines() == [f"{one}  {ended}", f"{other}  {ended}"]
        assert [line for line in done.stderr.splitlines() if "there is no job" in line] == [
            "renderer: there is no job local://nope on this machine",
            "renderer: there is no job local://no on this machine",
        ]
    assert not folder(home, one).exists()
    assert not folder(home, other).exists()


def test_a_killed_supervisor_leaves_no_environment_behind(waits: Path, run: Run, home: Path) -> None:
    handle = detached(run, "waits.py", "--env", "WORD=hunter2", "--", str(waits))
    until(lambda: "started" in run("logs", handle).stdout)
    end_supervisor(home, handle)
    until(lambda: state(run, handle) == "failed")
    files = [path for path in folder(home, handle).rglob("*") if path.is_file()]
    assert not [path for path in files if b"hunter2" in path.read_bytes()]


def test_an_output_whose_name_is_not_utf8_is_refused(project: Path, run: Run) -> None:
    (project / "odd.py").write_text("import os\nopen(os.environb[b'RENDERER_OUTPUT_DIR'] + b'/\\xff.bin', 'w')\n")
    done = run("submit", "odd.py")
    assert done.returncode == ExitCode.OUTPUT
    assert "the name of an output is not UTF-8" in done.stderr


def test_a_job_can_be_deleted_the_moment_it_has_ended(project: Path, tmp_path: Path) -> None:
    (project / "quick.py").write_text("pass\n")
    place: dict[str, Any] = {"local.state_dir": tmp_path / "jobs"}
    for _ in range(10):
        job = api.submit(project / "quick.py", **place)
        job.wait(600)
        job.delete()
    assert not list((tmp_path / "jobs").iterdir())


def test_settings_that_the_backend_ignores_are_noted(project: Path, run: Run) -> None:
    (project / "quick.py").write_text(QUICK)
    done = run("submit", "quick.py", "--gpu", "L4")
    assert done.returncode == 0
    assert "note: gpu: no effect on the local backend" in done.stderr


def test_credentials_are_left_out_and_named(project: Path, run: Run) -> None:
    (project / "list.py").write_text("import os\nprint(sorted(os.listdir('.')))\n")
    for name in (".env", "key.pem", ".modal.toml", "kubeconfig"):
        (project / name).write_text("secret")
    done = run("submit", "list.py")
    assert "left out, because they look like credentials: .env, .modal.toml, key.pem, kubeconfig" in done.stderr
    (job,) = output(run("list", "--json"))
    assert run("logs", job["handle"]).stdout == "['list.py']\n"


def test_a_dry_run_sends_nothing(project: Path, home: Path, run: Run) -> None:
    (project / "quick.py").write_text(QUICK)
    done = run("submit", "quick.py", "--dry-run", "--json")
    assert output(done)["files"] == ["quick.py"]
    assert not list(home.rglob("jobs/*"))
