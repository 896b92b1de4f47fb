"""A hostile job on a real cluster: what it wanted is untouched, and its failure is its own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.rigs.base import Rig
from support.rigs.kubernetes import Run, create_secret, get, kubectl

from backends import JobState
from backends.errors import BackendError
from backends.exit_codes import ExitCode

WRITES = "import os, pathlib\npathlib.Path(os.environ['RENDERER_OUTPUT_DIR'], 'out.txt').write_text('made')\n"


@pytest.mark.cluster
def test_a_job_sees_no_other_job_in_a_claim_and_takes_no_planted_results(
    run: Run, claim: tuple[str, Path], tmp_path: Path
) -> None:
    name, folder = claim
    other = folder / "jobs" / "other" / "uid" / "units" / "0" / "result.json"
    other.parent.mkdir(parents=True)
    other.write_text("trusted")
    other.chmod(0o666)
    for made in list(other.parents)[:5]:
        made.chmod(0o777)
    job = run(
        WRITES + "assert not os.path.exists('/store')\n"
        "mounts = [line.split()[4] for line in pathlib.Path('/proc/self/mountinfo').read_text().splitlines()]\n"
        "assert not [mount for mount in mounts if mount.startswith('/store')], mounts\n"
        "try:\n    open('/control/outcome.json', 'w')\n    raise SystemExit('written')\nexcept OSError: pass\n",
        store=f"pvc://{name}",
    )
    planted = folder / "jobs" / job.handle.parts[2] / "units" / "0"
    planted.mkdir(parents=True)
    (planted / "result.json").write_text("{}")
    for made in list(planted.parents)[:3]:  # the job's folder is removed in the end, by another user
        made.chmod(0o777)
    planted.chmod(0o777)
    status = job.wait(600)
    assert status.state is JobState.SUCCEEDED, status.units[0].problem
    (file,) = job.fetch(tmp_path / "out")
    assert file.read_text() == "made"
    assert other.read_text() == "trusted"
    job.delete()


@pytest.mark.cluster
@pytest.mark.usefixtures("s3")
def test_a_process_beside_the_scene_has_no_keys_of_the_store(run: Run, namespace: str) -> None:
    create_secret(namespace, "keys", **{key: value for key, value in os.environ.items() if key.startswith("AWS_")})
    job = run(
        "import pathlib, time\nprint('begun', flush=True)\n"
        "while not pathlib.Path('/work/go').exists(): time.sleep(0.1)\n"
        "for path in pathlib.Path('/proc').glob('[0-9]*/environ'):\n"
        "    try: assert b'AWS_SECRET' not in path.read_bytes()\n    except OSError: pass\n",
        store="s3://renders/hostile",
        **{"k8s.store_secret": "keys"},
    )
    name = job.handle.parts[2]
    lines = (line.text for line in job.logs(follow=True))
    assert "begun" in lines
    (pod,) = get("pods", "-n", namespace, "-l", f"batch.kubernetes.io/job-name={name}")["items"]
    beside = ["import os, sys, time; print(*os.environ)", "open('/work/go', 'w')"]
    for text in beside:
        seen = kubectl("exec", "-n", namespace, pod["metadata"]["name"], "-c", "render", "--", "python", "-c", text)
        assert "AWS" not in seen
    status = job.wait(600)
    assert status.state is JobState.SUCCEEDED, status.units[0].problem
    job.delete()


@pytest.mark.cluster
def test_a_forged_result_is_that_units_failure_alone(run: Run, rig: Rig, tmp_path: Path) -> None:
    forged = run(
        "import os, pathlib\npathlib.Path('/work/units/0/result.json').write_text('[\"x\"]')\n"
        "os.kill(os.getppid(), 9)\n"
    )
    status = forged.wait(600)
    assert status.state is JobState.FAILED, status
    assert status.exit_code in {ExitCode.OUTPUT, ExitCode.LOST, ExitCode.TERMINATED}
    assert forged.handle in {found.handle for found in forged.backend.list()}
    list(forged.logs())
    beside = run(WRITES + "# beside\n")
    assert beside.wait(600).state is JobState.SUCCEEDED
    (file,) = beside.fetch(tmp_path / "out")
    assert file.read_text() == "made"
    assert rig.backend == "k8s"
    for job in (forged, beside):
        job.delete()


@pytest.mark.cluster
def test_links_pipes_and_what_goes_on_running_do_not_reach_the_client(run: Run, tmp_path: Path) -> None:
    job = run(
        WRITES + "import subprocess\n"
        "for name in ('header', 'contact', 'released'): os.mkfifo(f'/work/{name}')\n"
        "os.mkdir('/work/units/0/files')\n"
        "os.symlink('/proc/1/environ', '/work/units/0/files/environment')\n"
        "os.mkfifo('/work/units/0/files/pipe')\n"
        "subprocess.Popen(['sh', '-c', 'while true; do touch /work/contact /work/units/0/files/later; done'],"
        " start_new_session=True)\n"
    )
    status = job.wait(600)
    assert status.state is JobState.SUCCEEDED, status.units[0].problem
    assert {file.name for file in job.fetch(tmp_path / "out")} <= {"out.txt", "later"}
    job.delete()


@pytest.mark.cluster
def test_an_untrusted_job_is_refused_what_cannot_be_proven(run: Run, namespace: str) -> None:
    before = [job["metadata"]["name"] for job in get("jobs", "-n", namespace)["items"]]
    classes = [("hostile-runc", "runc"), ("hostile-sandbox", "runsc-not-installed")]
    for name, handler in classes:
        manifest = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}}
        kubectl("apply", "-f", "-", content=json.dumps({**manifest, "handler": handler}))
    try:
        for name, words in (("missing", "cannot be read"), ("hostile-runc", "not a known sandbox")):
            with pytest.raises(BackendError, match=words):
                run(WRITES, untrusted=True, **{"k8s.runtime_class": name})
        with pytest.raises(BackendError, match="no NetworkPolicy"):
            run(WRITES, untrusted=True, **{"k8s.runtime_class": "hostile-sandbox"})
        closed = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
        kubectl("apply", "-n", namespace, "-f", "-", content=json.dumps({**policy, **_named("closed"), "spec": closed}))
        opened = {
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}],
        }
        kubectl("apply", "-n", namespace, "-f", "-", content=json.dumps({**policy, **_named("open"), "spec": opened}))
        with pytest.raises(BackendError, match="the NetworkPolicy 'open' allows"):
            run(WRITES, untrusted=True, **{"k8s.runtime_class": "hostile-sandbox"})
        kubectl("delete", "networkpolicy", "open", "-n", namespace)
        create_secret(namespace, "beside", key="value")
        with pytest.raises(BackendError, match="has Secrets"):
            run(WRITES, untrusted=True, **{"k8s.runtime_class": "hostile-sandbox"})
        assert [job for job in get("jobs", "-n", namespace)["items"] if job["metadata"]["name"] not in before] == []
    finally:
        kubectl("delete", "networkpolicy", "closed", "open", "-n", namespace, "--ignore-not-found")
        kubectl("delete", "runtimeclass", *(name for name, _ in classes), "--ignore-not-found")


def _named(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}}
