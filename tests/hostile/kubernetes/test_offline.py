"""A hostile job on Kubernetes: what it wanted is untouched, and its failure is its own."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from backends import Bundle, JobSpec, Resources, get_backend
from backends.errors import OutputError, SpecError
from backends.kubernetes.client.lines import CUT, split_lines
from backends.kubernetes.manifests.setup import SetupOptions, build_manifests
from backends.kubernetes.objects.job import parse_job
from backends.kubernetes.objects.pod import parse_pod
from backends.kubernetes.objects.termination import SIZE_LIMIT, parse_report
from backends.kubernetes.options import KubernetesOptions
from backends.kubernetes.transfer.download import _BoundedStream
from backends.output_stream import list_files
from backends.untrusted import Limits

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
    assert parse_pod({"metadata": metadata}).index == 0


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
