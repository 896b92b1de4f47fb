"""The command line with Modal: clear errors, in time and without secrets; waiting, detaching, doctor, garbage."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from grpclib import Status
from support.commands import BIN, environment, output, renderer
from support.modal_server import FakeModal
from support.processes import alive, until
from support.rigs.base import Rig

from backends import JobState
from backends.exit_codes import ExitCode
from backends.modal.backend import ModalBackend
from backends.modal.gc import GarbageCollector
from backends.modal.request import OUTPUTS_MOUNT
from backends.modal.volume import Files
from renderer.api import Job

Run = Callable[..., subprocess.CompletedProcess[str]]
SUBMIT = ("submit", "job.py", "--backend", "modal")


@pytest.fixture
def env(fake: FakeModal, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "home").mkdir()
    return environment(tmp_path / "home", **fake.environment)


@pytest.fixture
def run(project: Path, env: dict[str, str]) -> Run:
    (project / "job.py").write_text("print('ran')\n")

    def run_in_project(*arguments: str, without: tuple[str, ...] = (), **more: str) -> subprocess.CompletedProcess[str]:
        used = {key: value for key, value in {**env, **more}.items() if key not in without}
        return renderer(*arguments, cwd=project, env=used)

    return run_in_project


def says(done: subprocess.CompletedProcess[str], code: ExitCode, sentence: str, hint: str) -> None:
    assert done.returncode == code, done.stderr
    assert f"renderer: {sentence}" in done.stderr
    assert f"  → {hint}" in done.stderr
    assert "Traceback" not in done.stderr
    assert "as-fake" not in done.stdout + done.stderr


def test_without_a_token(run: Run) -> None:
    done = run(*SUBMIT, without=("MODAL_TOKEN_ID", "MODAL_TOKEN_SECRET"))
    says(done, ExitCode.BACKEND, "Modal has no token", "run `modal token new`")


def test_with_a_bad_token(run: Run) -> None:
    done = run(*SUBMIT, MODAL_TOKEN_SECRET="as-hunter2")  # noqa: S106  # a wrong one
    says(done, ExitCode.BACKEND, "Modal does not accept the token", "run `modal token new`")
    assert "hunter2" not in done.stdout + done.stderr


def test_with_an_unknown_profile(run: Run, tmp_path: Path) -> None:
    (tmp_path / "modal.toml").write_text('[me]\ntoken_id = "ak-fake"\ntoken_secret = "as-fake"\nactive = true\n')
    tokens = ("MODAL_TOKEN_ID", "MODAL_TOKEN_SECRET")
    path = str(tmp_path / "modal.toml")
    done = run(*SUBMIT, without=tokens, MODAL_CONFIG_PATH=path, RENDERER_MODAL_PROFILE="nobody")
    says(done, ExitCode.BACKEND, "Modal profile 'nobody' was not found", "`modal profile list` shows the profiles")
    assert run(*SUBMIT, without=tokens, MODAL_CONFIG_PATH=path, RENDERER_MODAL_PROFILE="me").returncode == 0


def test_with_a_damaged_configuration_of_modal(run: Run, tmp_path: Path) -> None:
    (tmp_path / "modal.toml").write_text("token_id = [\n")
    done = run(*SUBMIT, MODAL_CONFIG_PATH=str(tmp_path / "modal.toml"))
    says(done, ExitCode.BACKEND, "Modal refuses: Error when reading the modal configuration", "`renderer doctor")


def test_when_modal_refuses_the_connection_it_is_told_within_ten_seconds(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    began = time.monotonic()
    done = run(*SUBMIT, MODAL_SERVER_URL=f"http://127.0.0.1:{port}")
    says(done, ExitCode.TRANSIENT, "Modal did not answer within 10 s", "try again")
    assert time.monotonic() - began < 120  # ten for Modal, the rest for a busy machine


def test_when_modal_does_not_answer_it_is_told_within_ten_seconds(run: Run, fake: FakeModal) -> None:
    began = time.monotonic()
    with fake.faults(delay={"AppGetOrCreate": 600.0}):
        done = run(*SUBMIT)
    says(done, ExitCode.TRANSIENT, "Modal did not answer within 10 s", "try again")
    assert time.monotonic() - began < 120


def test_an_attached_submit_watches_and_brings_the_outputs(run: Run, project: Path) -> None:
    (project / "job.py").write_text("import os\nopen(os.environ['RENDERER_OUTPUT_DIR'] + '/o.txt', 'w').write('x')\n")
    done = run(*SUBMIT, "--json")
    assert done.returncode == 0, done.stderr
    assert (project / "renders" / "o.txt").read_text() == "x"
    status = json.loads(done.stdout.splitlines()[-1])
    assert "https://modal.com/id/fc-" in json.dumps(status)
    assert "modal.com/pricing" in json.dumps(status)


def test_ctrl_c_detaches_and_another_shell_goes_on(
    run: Run, project: Path, env: dict[str, str], fake: FakeModal
) -> None:
    gate = project.parent / "gate"
    waits = f"import os, time\nprint('here', flush=True)\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.05)\n"
    (project / "job.py").write_text(waits)
    fake.state.logs.clear()
    watching = subprocess.Popen([BIN / "renderer", *SUBMIT], cwd=project, env=env, stderr=subprocess.DEVNULL)
    until(lambda: any("here" in found.item.data for found in fake.state.logs))
    os.kill(watching.pid, signal.SIGINT)
    assert watching.wait(600) == ExitCode.INTERRUPTED
    (job,) = output(run("list", "--backend", "modal", "--json"))
    assert job["state"] == "running"
    gate.touch()
    assert run("wait", job["handle"]).returncode == 0
    assert run("logs", job["handle"]).stdout == "here\n"
    assert f"https://modal.com/id/{job['handle'].rpartition('/')[2]}" in run("status", job["handle"]).stdout


def test_ctrl_c_while_the_image_is_built_leaves_nothing(
    run: Run, project: Path, env: dict[str, str], fresh: FakeModal
) -> None:
    with fresh.faults(delay={"ImageJoinStreaming": 600.0}):
        mine = {**env, **fresh.environment}
        submit = subprocess.Popen([BIN / "renderer", *SUBMIT], cwd=project, env=mine, stderr=subprocess.DEVNULL)
        until(lambda: "ImageJoinStreaming" in fresh.rpcs())
        (deploying,) = psutil.Process(submit.pid).children()
        os.kill(submit.pid, signal.SIGINT)
        assert submit.wait(600) == ExitCode.INTERRUPTED
        until(lambda: not alive(deploying.pid))
    assert not fresh.state.calls
    assert output(run("list", "--backend", "modal", "--json", **fresh.environment)) == []
    done = run(*SUBMIT, **fresh.environment)
    assert done.returncode == 0, done.stderr


def test_packages_are_added_as_in_an_image_build(run: Run, fake: FakeModal, project: Path) -> None:
    fake.state.requests.clear()
    (project / "needs.txt").write_text("scipy>=1.14,<2\n")
    done = run(
        *SUBMIT, "--dry-run", "--with", "cupy-cuda12x>=13,<14", "--with", "einops", "--requirements", "needs.txt"
    )
    assert '"cupy-cuda12x>=13,<14",\n' in done.stdout
    assert '"einops"\n' in done.stdout
    assert "needs.txt" in done.stdout
    done = run(*SUBMIT, "--with", "./mine")
    assert done.returncode == ExitCode.USAGE
    assert "'./mine' is not a package" in done.stderr
    assert fake.rpcs() == []


def test_what_keeps_modal_from_answering_is_no_end_of_the_job(run: Run, fake: FakeModal) -> None:
    handle = run(*SUBMIT, "--detach").stdout.strip()
    done = run("status", handle, MODAL_TOKEN_SECRET="as-wrong")  # noqa: S106  # a wrong one
    says(done, ExitCode.BACKEND, "Modal does not accept the token", "run `modal token new`")
    with fake.faults(fail={"FunctionGetOutputs": (Status.UNAVAILABLE, "overloaded")}):
        done = run("status", handle)
    says(done, ExitCode.TRANSIENT, "Modal did not answer", "try again")
    assert run("wait", handle).returncode == 0


def test_a_dry_run_sends_nothing(run: Run, fake: FakeModal) -> None:
    fake.state.requests.clear()
    done = run(*SUBMIT, "--dry-run", "--gpu", "l4,t4")
    assert done.returncode == 0, done.stderr
    assert '"L4"' in done.stdout
    assert fake.rpcs() == []


def test_doctor_looks_at_the_way_to_modal(run: Run) -> None:
    run(*SUBMIT, "--detach")
    lines = output(run("doctor", "--backend", "modal", "--json"))
    assert [(line["name"], line["state"]) for line in lines] == [
        ("client", "ok"),
        ("token", "ok"),
        ("app", "ok"),
        ("volume", "ok"),
        ("gpu", "ok"),
    ]
    done = run("doctor", "--backend", "modal", MODAL_TOKEN_SECRET="as-wrong")  # noqa: S106  # a wrong one
    assert done.returncode == ExitCode.BACKEND
    assert "✗ token" in done.stdout


def test_doctor_of_a_new_account_says_what_will_happen(run: Run, fresh: FakeModal) -> None:
    lines = output(run("doctor", "--backend", "modal", "--json", **fresh.environment))
    app = next(line for line in lines if line["name"] == "app")
    assert app["state"] == "warning"
    assert "the next submit deploys it" in app["todo"]
    assert not {"AppCreate", "FunctionCreate"} & set(fresh.rpcs())


def grow_old(folder: Path, days: float = 40) -> None:
    long_ago = time.time() - days * 86400
    for path in folder.rglob("*"):
        os.utime(path, (long_ago, long_ago))


def old_paths(backend: ModalBackend, days: float) -> list[str]:
    return [item.path for item in backend.collect_garbage(older_than=timedelta(days=days), dry_run=True)]


def folder_of(fake: FakeModal, job: Job) -> str:
    """Return the name of a job's folder on both volumes."""
    return fake.mounted(job.handle.parts[1], OUTPUTS_MOUNT).name


def grow_old_with_inputs(fake: FakeModal, folder: str) -> None:
    grow_old(fake.volume("renderer") / "jobs" / folder)
    grow_old(fake.volume("renderer-inputs") / "inputs" / folder)


def test_gc_removes_what_is_old_and_nothing_that_is_not(run: Run, fresh: FakeModal, tmp_path: Path) -> None:
    rig = Rig("modal", {"modal.state_dir": tmp_path / "jobs"})
    (tmp_path / "job.py").write_text("print(1)\n")
    old, new = (rig.submit(tmp_path / "job.py") for _ in range(2))
    for job in (old, new):
        job.wait(600)
    outputs, inputs = fresh.volume("renderer"), fresh.volume("renderer-inputs")
    grow_old_with_inputs(fresh, folder_of(fresh, old))
    found = old_paths(ModalBackend(rig.loaded().modal), 30)
    assert found == [f"jobs/{folder_of(fresh, old)}"]
    mine = {**fresh.environment, "RENDERER_MODAL_STATE_DIR": str(tmp_path / "jobs")}
    assert output(run("gc", "--backend", "modal", "--dry-run", "--json", **mine)) == {"removed": [], "old": found}
    assert output(run("gc", "--backend", "modal", "--json", **mine)) == {"removed": found, "old": found}
    assert [path.name for path in (outputs / "jobs").iterdir()] == [folder_of(fresh, new)]
    assert [path.name for path in (inputs / "inputs").iterdir()] == [folder_of(fresh, new)]
    assert [path.stem for path in (inputs / "calls").rglob("*.json")] == [folder_of(fresh, new)]
    assert [status.handle for status in new.backend.list()] == [new.handle]
    assert rig.submit(tmp_path / "job.py").wait(600).state is JobState.SUCCEEDED


def test_gc_keeps_what_a_waiting_job_needs_and_sees_what_has_ended(
    fresh: FakeModal, project: Path, tmp_path: Path
) -> None:
    rig = Rig("modal", {"modal.state_dir": tmp_path / "jobs"})
    (project / "job.py").write_text("print(1)\n")
    ended = rig.submit(project / "job.py")
    until(lambda: fresh.state.calls[ended.handle.parts[1]].inputs[0].output is not None)
    backend = ModalBackend(rig.loaded().modal)
    with fresh.faults(no_capacity=True):
        waiting = rig.submit(project / "job.py")
        elsewhere = ModalBackend(Rig("modal", {"modal.state_dir": tmp_path / "elsewhere"}).loaded().modal)
        grow_old_with_inputs(fresh, folder_of(fresh, waiting))
        assert old_paths(elsewhere, 0) == [f"jobs/{folder_of(fresh, ended)}"]
        assert old_paths(backend, 0) == [f"jobs/{folder_of(fresh, ended)}"]
        waiting.cancel()
    assert set(old_paths(backend, 0)) == {f"jobs/{folder_of(fresh, job)}" for job in (ended, waiting)}


def test_gc_keeps_what_another_machines_running_job_needs(fresh: FakeModal, project: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    (project / "job.py").write_text(f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.05)\n")
    job = Rig("modal", {"modal.state_dir": tmp_path / "jobs"}).submit(project / "job.py")
    until((fresh.mounted(job.handle.parts[1], OUTPUTS_MOUNT) / "attempts/0").exists)
    grow_old_with_inputs(fresh, folder_of(fresh, job))
    elsewhere = ModalBackend(Rig("modal", {"modal.state_dir": tmp_path / "elsewhere"}).loaded().modal)
    assert old_paths(elsewhere, 0) == []
    gate.touch()
    assert job.wait(600).state is JobState.SUCCEEDED
    assert old_paths(elsewhere, 0) == [f"jobs/{folder_of(fresh, job)}"]


def test_gc_keeps_what_no_record_names_for_thirty_days(fresh: FakeModal, project: Path, tmp_path: Path) -> None:
    rig = Rig("modal", {"modal.state_dir": tmp_path / "jobs"})
    (project / "job.py").write_text("print(1)\n")
    rig.submit(project / "job.py").delete()
    lost = fresh.volume("renderer-inputs") / "inputs" / ("ab" * 16)
    lost.mkdir(parents=True)
    (lost / "withdrawn").touch()
    backend = ModalBackend(rig.loaded().modal)
    assert old_paths(backend, 0) == []
    grow_old(lost)
    assert old_paths(backend, 0) == [f"jobs/{lost.name}"]


def test_gc_removes_what_older_versions_left(fresh: FakeModal, project: Path, tmp_path: Path) -> None:
    rig = Rig("modal", {"modal.state_dir": tmp_path / "jobs"})
    (project / "job.py").write_text("print(1)\n")
    rig.submit(project / "job.py").wait(600)
    volume, backend = fresh.volume("renderer"), ModalBackend(rig.loaded().modal)
    left = ["inputs/ab.json", "inputs/ab.tar.gz", "jobs/fc-1/0/result.json", "withdrawn/cd"]
    for name in left:
        (volume / name).parent.mkdir(parents=True, exist_ok=True)
        (volume / name).touch()
    assert "jobs/fc-1" in old_paths(backend, 0)
    assert "inputs/ab.json" not in old_paths(backend, 0)
    for name in left:
        grow_old((volume / name).parent)
    assert old_paths(backend, 30) == ["inputs/ab.json", "inputs/ab.tar.gz", "jobs/fc-1", "withdrawn/cd"]
    assert all(item.removed for item in backend.collect_garbage(older_than=timedelta(days=30)))
    assert old_paths(backend, 30) == []


def test_gc_leaves_what_was_written_again_meanwhile(fresh: FakeModal, project: Path, tmp_path: Path) -> None:
    rig = Rig("modal", {"modal.state_dir": tmp_path / "jobs"})
    (project / "job.py").write_text("print(1)\n")
    job = rig.submit(project / "job.py")
    job.wait(600)
    grow_old_with_inputs(fresh, folder_of(fresh, job))
    backend = ModalBackend(rig.loaded().modal)
    old = backend.collect_garbage(older_than=timedelta(days=30), dry_run=True)
    (found,) = old
    (fresh.mounted(job.handle.parts[1], OUTPUTS_MOUNT) / "0" / "new").touch()
    outputs, inputs = (Files(backend.session, None, name) for name in ("renderer", "renderer-inputs"))
    assert not GarbageCollector(backend.session, outputs, inputs, backend.calls).remove(found)
    assert (fresh.mounted(job.handle.parts[1], OUTPUTS_MOUNT) / "0" / "result.json").exists()
