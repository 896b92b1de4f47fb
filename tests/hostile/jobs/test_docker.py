"""Hostile jobs in a container: they see no control file, cannot report for the worker, and leave nothing behind."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.processes import until
from support.rigs.base import Rig
from support.rigs.docker import OPTIONS, docker

from backends import JobState
from backends.exit_codes import ExitCode
from backends.worker_protocol import ENDED, Output, UnitResult
from renderer.api import Job

pytestmark = pytest.mark.containers
HEAD = "import json, os, pathlib, signal, sys, time\nout = pathlib.Path(os.environ['RENDERER_OUTPUT_DIR'])\n"
GOOD = UnitResult(unit="x", exit_code=0, outputs=(Output(path="a.txt", size=0, sha256="0" * 64),))
# Prints what each attack achieved: an errno, or null where it worked.
ATTACKS = """\
def attack(name, act):
    try:
        found[name] = act()
    except OSError as error:
        found[name] = error.strerror
found = {"seen": sorted(map(str, pathlib.Path("/job").iterdir()))}
attack("inputs", lambda: open("/job/inputs/task.json", "w"))
attack("control", lambda: open("/job/launcher.json", "w"))
attack("cancel", lambda: open("/job/cancel", "w"))
attack("root", lambda: open("/evil", "w"))
for pid in {1, os.getppid()}:
    for stream in (1, 2):
        attack(f"report {pid} {stream}", lambda: os.write(os.open(f"/proc/{pid}/fd/{stream}", os.O_WRONLY), report))
    attack(f"memory {pid}", lambda: open(f"/proc/{pid}/mem", "r+b"))
    attack(f"environment {pid}", lambda: open(f"/proc/{pid}/environ").read())
attack("end", lambda: os.kill(1, signal.SIGKILL))
attack("link", lambda: os.link("/job/inputs/task.json", out / "linked"))
attack("device", lambda: os.mknod(out / "device", 0o60666, os.makedev(8, 0)))
print(json.dumps(found, default=str))
"""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    with docker(tmp_path_factory.mktemp("docker jobs")) as ready:
        return ready


@pytest.fixture
def submit(rig: Rig, tmp_path: Path) -> Callable[..., Job]:
    def run(text: str, **settings: Any) -> Job:
        (tmp_path / "project").mkdir(exist_ok=True)
        (tmp_path / "project" / "job.py").write_text(HEAD + text)
        return rig.submit(tmp_path / "project" / "job.py", **settings)

    return run


def folder(rig: Rig, job: Job) -> Path:
    return Path(rig.settings["docker.state_dir"]) / job.handle.parts[0]


def test_what_the_host_trusts_is_out_of_reach(submit: Callable[..., Job], tmp_path: Path) -> None:
    report = ENDED + b"0 " + GOOD.to_line() + b"\n"
    job = submit(f"report = {report!r}\n{ATTACKS}sys.exit(3)\n")
    assert job.wait(600).exit_code == ExitCode.USER_CODE
    found = json.loads(next(line.text for line in job.logs() if line.text.startswith("{")))
    assert found.pop("seen") == ["/job/inputs", "/job/work"]
    assert found.pop("end") is None  # the kernel does not deliver it to the first process
    assert {name: what for name, what in found.items() if what not in REFUSED} == {}
    assert job.fetch(tmp_path / "out") == []


REFUSED = {
    "Read-only file system",
    "Permission denied",
    "Invalid cross-device link",
    "Operation not permitted",
    "No such file or directory",
}

REPLACED = {
    "log": "log.unlink(); log.symlink_to(secret)",
    "pipes": "log.unlink(); os.mkfifo(log); os.mkfifo(out.parent / 'result.json')",
    "unit": "out.parent.rename(out.parents[1] / 'old'); out.parent.symlink_to(pathlib.Path(secret).parent)",
    "units": "out.parents[1].rename('/job/work/old'); out.parents[1].symlink_to(pathlib.Path(secret).parents[1])",
    "scratch": "pathlib.Path('/job/work/scratch').rename('/job/work/s'); os.symlink(secret, '/job/work/scratch')",
    "outputs": "out.rmdir(); out.symlink_to(pathlib.Path(secret).parent)",
    "modes": "(out / 'a' / 'b').mkdir(parents=True); (out / 'a').chmod(0)",
    "result folder": "(out.parent / 'result.json').mkdir()",
}


@pytest.mark.parametrize("replace", REPLACED.values(), ids=REPLACED)
def test_links_of_a_job_lead_the_host_nowhere(
    replace: str, submit: Callable[..., Job], rig: Rig, tmp_path: Path
) -> None:
    secret = tmp_path / "host" / "0" / "log.txt"
    secret.parent.mkdir(parents=True)
    secret.write_text("secret\n")
    beside = submit("(out / 'fine.txt').touch()\n")
    job = submit(f"log, secret = out.parent / 'log.txt', {str(secret)!r}\n{replace}\n", retries=1)
    assert job.wait(600).state.terminal
    assert beside.wait(600).state is JobState.SUCCEEDED
    shown = [line.text for line in job.logs()] + [str(job.status())]
    assert "secret\n" not in "\n".join(shown)
    assert [path.name for path in beside.fetch(tmp_path / "beside")] == ["fine.txt"]
    assert job.handle in [status.handle for status in job.backend.list()]
    job.delete()
    assert not folder(rig, job).exists()
    assert {path.name: path.read_text() for path in secret.parent.iterdir()} == {"log.txt": "secret\n"}


@pytest.mark.slow
def test_a_stopped_worker_does_not_keep_its_container(submit: Callable[..., Job]) -> None:
    job = submit("os.kill(os.getppid(), signal.SIGSTOP)\ntime.sleep(600)\n", timeout=1)
    status = job.wait(600)  # the kernel does not stop the first process; otherwise the supervisor ends it
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.TIMEOUT)
    assert job.handle.parts[0] not in containers()


def test_processes_are_bounded_and_none_is_left(submit: Callable[..., Job]) -> None:
    text = "try:\n  while True:\n    if not os.fork(): os.setsid(); time.sleep(600)\n"
    job = submit(
        text + "except OSError: print('refused', flush=True)\nsignal.pause()\n",
        **{"docker.options": f"{OPTIONS} --pids-limit 100"},
    )
    until(lambda: any(line.text == "refused" for line in job.logs()))
    job.cancel()
    assert job.status().state is JobState.CANCELLED
    assert job.handle.parts[0] not in containers()


def containers() -> str:
    listed = ["podman", "ps", "--all", "--format", "{{.Names}}"]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout
