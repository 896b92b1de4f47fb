"""A hostile job on Kubernetes: what it wanted is untouched, and its failure is its own."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.rigs.base import Rig
from support.rigs.kubernetes import (
    Run,
    create_bucket,
    create_claim,
    create_secret,
    get,
    kubectl,
    kubernetes,
    require_cluster,
)

from backends import Bundle, JobSpec, JobState, Resources, get_backend
from backends.errors import BackendError, OutputError, SpecError
from backends.exit_codes import ExitCode
from backends.kubernetes.client.lines import CUT, split_lines
from backends.kubernetes.manifests.setup import SetupOptions, build_manifests
from backends.kubernetes.objects.job import parse_job
from backends.kubernetes.objects.pod import parse_pod
from backends.kubernetes.objects.termination import SIZE_LIMIT, parse_report
from backends.kubernetes.options import KubernetesOptions
from backends.kubernetes.transfer.download import _BoundedStream
from backends.output_stream import list_files
from backends.untrusted import Limits
from renderer.api import Job

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JSON | st.fixed_dictionaries({"message": JSON, "hint": JSON, "details": JSON}))
def test_any_termination_message_is_a_problem_or_nothing(content: object) -> None:
    problem = parse_report(json.dumps(content))
    if problem:
        assert problem.message
        for text in (problem.message, problem.hint, problem.details):
            assert text is None or (isinstance(text, str) and text.encode())


@pytest.mark.parametrize(
    "text",
    ["[" * SIZE_LIMIT, '{"message": ["x"]}', '{"message": {}}', '{"message": "\\ud800", "hint": 7}', "\x1b[2J", ""],
)
def test_a_damaged_termination_message_is_no_failure_of_the_command(text: str) -> None:
    problem = parse_report(text)
    assert problem is None or isinstance(problem.message, str)


@given(st.binary(max_size=300), st.integers(1, 40), st.integers(1, 50))
def test_lines_are_those_of_the_text_and_each_is_bounded(text: bytes, size: int, limit: int) -> None:
    chunks = [text[start : start + size] for start in range(0, len(text), size)]
    whole = text.split(b"\n")
    expected = whole if whole[-1] else whole[:-1]
    assert list(split_lines(chunks)) == expected
    assert list(split_lines(chunks, limit)) == [line if len(line) <= limit else line[:limit] + CUT for line in expected]


@pytest.mark.parametrize("units", ["[", '{"a": 1}', "7", '["one"]', "[" * 100_000])
def test_damaged_annotations_of_a_job_do_not_hide_the_others(units: str) -> None:
    item = {
        "metadata": {"name": "j", "annotations": {"manim-renderer/units": units}},
        "spec": {"completions": 2, "template": {"spec": {"containers": [{}]}}},
    }
    assert parse_job(item).units == ("0", "1")


@pytest.mark.parametrize("index", ["-1", "x", "1e3", "\u0665", ""])
def test_damaged_annotations_of_a_pod_do_not_hide_the_others(index: str) -> None:
    metadata = {
        "name": "p",
        "creationTimestamp": "t",
        "annotations": {"batch.kubernetes.io/job-completion-index": index},
    }
    assert parse_pod({"metadata": metadata}).unit == 0


def test_outputs_are_listed_by_the_descriptor_of_their_folder_and_without_links(tmp_path: Path) -> None:
    (tmp_path / "units" / "sub").mkdir(parents=True)
    (tmp_path / "units" / "sub" / "made").write_text("made")
    (tmp_path / "units" / "environment").symlink_to("/proc/self/environ")
    (tmp_path / "units" / "root").symlink_to("/")
    os.mkfifo(tmp_path / "units" / "pipe")
    folder = os.open(tmp_path / "units", os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert list_files(folder) == [("sub/made", 4)]
        assert list_files(folder) == [("sub/made", 4)]  # the descriptor is as it was
    finally:
        os.close(folder)


def write_often(stream: _BoundedStream, content: bytes) -> None:
    for _ in range(1000):
        stream.write(memoryview(content))


@pytest.mark.parametrize("header", [b"x" * 5000, b'{"path": "a", "size": 1, "sha256": ""}\n\nab'])
def test_a_pod_cannot_fill_the_disk_of_the_client(header: bytes) -> None:
    stream = _BoundedStream(io.BytesIO(), Limits())
    with pytest.raises(OutputError):
        write_often(stream, header)


def plan(store: str | None, *, untrusted: bool = False, **options: object) -> dict[str, Any]:
    spec = JobSpec(
        name="hello",
        units=("Hello",),
        payload="{}",
        bundle=Bundle(digest="ab" * 32, data=b"bundle"),
        image="registry.example.com/renderer:1",
        resources=Resources(gpu="none"),
        store=store,
        untrusted=untrusted,
    )
    request = get_backend("k8s", KubernetesOptions.model_validate(options)).plan(spec).request
    pod: dict[str, Any] = request.job["spec"]["template"]["spec"]
    return pod


def test_a_sandbox_that_is_asked_for_is_used_without_a_gpu_too() -> None:
    assert plan(None, runtime_class="gvisor")["runtimeClassName"] == "gvisor"
    assert "runtimeClassName" not in plan(None, runtime_class="none")


@pytest.mark.parametrize("store", ["s3://bucket/some/where", "pvc://renders/videos"])
def test_the_container_of_the_scene_has_nothing_of_the_store(store: str) -> None:
    pod = plan(store, store_secret="secret-keys")  # noqa: S106 - the name of a Secret
    (render,) = pod["containers"]
    text = yaml.safe_dump(render)
    assert "secret-keys" not in text
    assert "secret-keys" in yaml.safe_dump(pod["initContainers"])
    assert "/store" not in text
    assert "bucket" not in text
    (control,) = [mount for mount in render["volumeMounts"] if mount["name"] == "control"]
    assert control["readOnly"] is True


@pytest.mark.parametrize(
    ("store", "options", "words"),
    [
        (None, {}, "needs a RuntimeClass"),
        (None, {"runtime_class": "none"}, "needs a RuntimeClass"),
        ("s3://bucket/x", {"runtime_class": "gvisor"}, "cannot have a store"),
        ("pvc://claim", {"runtime_class": "gvisor"}, "cannot have a store"),
        (None, {"runtime_class": "gvisor", "labels": {"manim-renderer/network": "store"}}, "cannot have the label"),
    ],
)
def test_an_untrusted_job_is_refused_what_would_open_it(
    store: str | None, options: dict[str, object], words: str
) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        plan(store, untrusted=True, **options)
    assert caught.value.hint


def test_the_untrusted_set_up_opens_the_network_to_no_pod() -> None:
    policies = [item for item in build_manifests(SetupOptions(untrusted=True)) if item["kind"] == "NetworkPolicy"]
    assert [policy["spec"] for policy in policies] == [{"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}]


# On a cluster


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    require_cluster()
    with kubernetes(tmp_path_factory.mktemp("k8s")) as ready:
        yield ready


@pytest.fixture
def namespace(rig: Rig) -> str:
    return str(rig.settings["k8s.namespace"])


@pytest.fixture
def run(rig: Rig, tmp_path: Path) -> Run:
    def submit(text: str, **options: object) -> Job:
        path = tmp_path / "project" / "job.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
        return rig.submit(path, gpu="none", **options)

    return submit


@pytest.fixture
def claim(namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    if "CLUSTER_PARTS" not in os.environ:
        pytest.skip("the claim's volume is a folder of this machine: only on the cluster of tests/support/cluster")
    folder = tmp_path_factory.mktemp("volume")
    folder.chmod(0o777)
    name = create_claim(namespace, folder)
    yield name, folder
    kubectl("delete", "persistentvolume", f"{namespace}-{name}", "--wait=false")


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
    status = job.wait(120)
    assert status.state is JobState.SUCCEEDED, status.units[0].problem
    (file,) = job.fetch(tmp_path / "out")
    assert file.read_text() == "made"
    assert other.read_text() == "trusted"
    job.delete()


@pytest.mark.cluster
def test_a_process_beside_the_scene_has_no_keys_of_the_store(
    run: Run, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = os.environ.get("S3_FOR_TESTS")
    if not endpoint:
        pytest.skip("no S3 server: run pytest by tests/support/cluster/with")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    create_bucket()
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
    status = job.wait(120)
    assert status.state is JobState.SUCCEEDED, status.units[0].problem
    job.delete()


@pytest.mark.cluster
def test_a_forged_result_is_that_units_failure_alone(run: Run, rig: Rig, tmp_path: Path) -> None:
    forged = run(
        "import os, pathlib\npathlib.Path('/work/units/0/result.json').write_text('[\"x\"]')\n"
        "os.kill(os.getppid(), 9)\n"
    )
    status = forged.wait(120)
    assert status.state is JobState.FAILED, status
    assert status.exit_code in {ExitCode.OUTPUT, ExitCode.LOST, ExitCode.TERMINATED}
    assert forged.handle in {found.handle for found in forged.backend.list()}
    list(forged.logs())
    beside = run(WRITES + "# beside\n")
    assert beside.wait(120).state is JobState.SUCCEEDED
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
        "os.symlink('/proc/1/environ', '/work/units/0/files/environment')\n"
        "os.mkfifo('/work/units/0/files/pipe')\n"
        "subprocess.Popen(['sh', '-c', 'while true; do touch /work/contact /work/units/0/files/later; done'],"
        " start_new_session=True)\n"
    )
    status = job.wait(120)
    assert status.state is JobState.SUCCEEDED, status.units[0].problem
    assert {file.name for file in job.fetch(tmp_path / "out")} <= {"out.txt", "later"}
    job.delete()


@pytest.mark.cluster
def test_an_untrusted_job_is_refused_what_cannot_be_proven(run: Run, namespace: str) -> None:
    """The test cluster has neither a sandbox nor a network plugin that enforces policies."""
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
