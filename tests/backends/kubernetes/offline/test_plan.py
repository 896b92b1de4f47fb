"""The objects that submit sends, compared with the files in golden/; `make golden` writes these again."""

from __future__ import annotations

import base64
import json
import os
import tarfile
from collections.abc import Mapping
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from backends import Bundle, JobSpec, Resources, get_backend
from backends.errors import SpecError
from backends.kubernetes.manifests.merge_patch import merge_patch
from backends.kubernetes.manifests.templates import quote_yaml
from backends.kubernetes.objects.job import parse_job
from backends.kubernetes.options import KubernetesOptions

GOLDEN = Path(__file__).parent / "golden"
OWN_IMAGE = f"registry.example.com/me/renderer:{version('manim-renderer')}-0123456789ab"
NASTY = "no: 'x' \"y\" $HOME {{ x }} {% y %} # & * é 🎬 \n\t1e3"


def job(**more: Any) -> JobSpec:
    values: dict[str, Any] = {
        "name": "hello",
        "units": ("Hello",),
        "payload": '{"kind": "manim"}',
        "bundle": Bundle(digest="ab" * 32, data=b"bundle"),
        "image": "registry.example.com/renderer:1",
    }
    return JobSpec(**{**values, **more})


CASES: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "no-gpu": ({"resources": Resources(gpu="none", memory_mib=1024)}, {}),
    "fallbacks": ({"resources": Resources(gpu="L4,T4", cpu=4, memory_mib=8192)}, {"runtime_class": "nvidia"}),
    "two-gpus": ({"resources": Resources(gpu="A10G:2")}, {"runtime_class": "none"}),
    "mig-slice": ({"resources": Resources(gpu="mig-1g.10gb")}, {}),
    "many-units": (
        {"units": tuple(f"Scene{i}" for i in range(7)), "retries": 3, "timeout": timedelta(minutes=10)},
        {"parallelism": 3, "deadline": "2h", "ttl": "1h"},
    ),
    "own-image": ({"image": OWN_IMAGE}, {}),
    "object-store": ({"store": "s3://bucket/some/where", "foreground": False}, {"store_secret": "s3-keys"}),
    "claim": ({"store": "pvc://renders/videos", "foreground": False}, {}),
    "shared-cache": (
        {"store": "s3://bucket/some/where", "cache": "pvc://frames/some/where", "foreground": False},
        {"store_secret": "s3-keys", "cache_secret": "cache-key"},
    ),
    "shards": (
        {"store": "s3://bucket/films", "foreground": False, "shards": 8, "max_failed": 0, "retries": 2},
        {"store_secret": "s3-keys"},
    ),
    "packages": (
        {"store": "s3://bucket/jobs/here", "foreground": False, "packages": ("einops",), "env": {"PIP_INDEX_URL": "x"}},
        {"store_secret": "s3-keys"},
    ),
    "every-option": (
        {"env": {"GREETING": NASTY, "NO": "no", "NUMBER": "1e3"}},
        {
            "namespace": "video",
            "runtime_class": "gvisor",
            "image_pull_policy": "Always",
            "image_pull_secrets": "registry-one,registry-two",
            "secret_env": "tokens",
            "secret_files": {"fonts": "/fonts"},
            "service_account": "cloud-identity",
            "node_selector": {"pool": "gpu"},
            "priority_class": "batch",
            "queue": "renders",
            "labels": {"team": "video"},
            "annotations": {"note": NASTY},
            "ephemeral_storage": "20Gi",
            "shm": "256Mi",
            "collect_timeout": "5m",
        },
    ),
}


def planned(case: str) -> str:
    spec, options = CASES[case]
    request = get_backend("k8s", KubernetesOptions.model_validate(options)).plan(job(**spec)).request
    request.inputs[0]["binaryData"]["renderer-worker"] = "V09SS0VS"  # it changes with every change of the code
    return str(request)


@pytest.mark.parametrize("case", CASES)
def test_the_manifests_are_the_golden_ones(case: str) -> None:
    golden = GOLDEN / f"{case}.yaml"
    if "WRITE_GOLDEN" in os.environ:
        golden.write_text(planned(case))
    assert planned(case) == golden.read_text()


@pytest.mark.parametrize("bundle", [b"small", os.urandom(900_000)], ids=["small", "large"])
@pytest.mark.parametrize(("engine", "image"), [(True, "manim:1"), (False, "python:3"), (True, OWN_IMAGE)])
def test_a_plain_apply_has_room_for_a_copy_of_each_object(engine: bool, image: str, bundle: bytes) -> None:
    spec = job(engine=engine, image=image, bundle=Bundle(digest="ab" * 32, data=bundle), payload='{"a": "b"}' * 5000)
    request = get_backend("k8s", KubernetesOptions()).plan(spec).request
    for manifest in (request.job, *request.inputs):
        assert len(json.dumps(manifest)) < 256 * 1024
    assert [each["metadata"]["name"] for each in request.inputs] == list(parse_job(request.job).inputs)
    files = {key: data for each in request.inputs for key, data in each.get("binaryData", {}).items()}
    pieces = [base64.b64decode(data) for key, data in sorted(files.items()) if key.startswith("bundle")]
    assert b"".join(pieces) == bundle


def test_a_project_that_is_too_large_is_refused_with_the_names_of_its_largest_files(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "bundle", "w:gz") as archive:
        for name, size in (("scene.py", 10), ("a film.mp4", 2_000_000), ("data.bin", 30_000)):
            (tmp_path / name).write_bytes(os.urandom(size))
            archive.add(tmp_path / name, name)
    bundle = Bundle(digest="ab" * 32, data=(tmp_path / "bundle").read_bytes())
    with pytest.raises(SpecError, match=r"the largest files: a film\.mp4 \(1953 KiB\), data\.bin \(29 KiB\)"):
        get_backend("k8s", KubernetesOptions()).plan(job(bundle=bundle))


def test_the_same_request_is_the_same_job_and_another_is_not() -> None:
    backend = get_backend("k8s", KubernetesOptions())
    names = [
        backend.plan(spec).request.job["metadata"]["name"]
        for spec in (job(), job(), job(payload="{}"), job(env={"A": "1"}), job(resources=Resources(gpu="T4")))
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 4


@pytest.mark.parametrize(
    ("spec", "options", "words"),
    [
        ({"image": None}, {}, "needs a container image"),
        ({"resources": Resources(gpu="A10B")}, {}, "there is no GPU"),
        ({"bundle": Bundle(digest="", data=b"x" * 2**20)}, {}, "1024 KiB of them travel in ConfigMaps at most"),
        ({"store": "s3://"}, {}, "'s3://'"),
        ({"store": "ftp://somewhere"}, {}, "'ftp://somewhere'"),
        ({"store": "pvc://claim/../other"}, {}, "pvc://claim/../other"),
        ({"foreground": False}, {}, "needs a store that keeps its outputs"),
        ({"resources": Resources(memory_mib=512)}, {"shm": 512}, "--shm"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_sent(
    spec: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(SpecError) as caught:
        get_backend("k8s", KubernetesOptions.model_validate(options)).plan(job(**spec))
    assert words in str(caught.value)
    assert caught.value.hint


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_every_value_survives_the_templates(value: Any) -> None:
    text = quote_yaml(value)
    assert yaml.safe_load(f"key: {text}") == {"key": value}
    assert "\n" not in text


def test_a_patch_reaches_whatever_no_option_says(tmp_path: Path) -> None:
    patch = tmp_path / "my patch.yaml"
    patch.write_text(
        "spec:\n  ttlSecondsAfterFinished: null\n  template:\n    spec:\n      hostUsers: false\n"
        "      containers:\n"
        "      - {name: render, resources: {limits: {cpu: '7'}}}\n"
        "      - {name: proxy, image: p}\n"
    )
    manifest = get_backend("k8s", KubernetesOptions(patch=patch)).plan(job()).request.job
    assert "ttlSecondsAfterFinished" not in manifest["spec"]
    assert manifest["spec"]["template"]["spec"]["hostUsers"] is False
    render, proxy = manifest["spec"]["template"]["spec"]["containers"]
    assert render["resources"]["limits"] == {
        "cpu": "7",
        "memory": "4096Mi",
        "ephemeral-storage": "10240Mi",
        "nvidia.com/gpu": 1,
    }
    assert proxy == {"name": "proxy", "image": "p"}


def find_containers(more: Mapping[str, Any], **options: Any) -> list[str]:
    spec = job(**{"packages": ("einops",), "store": "s3://bucket", **more})
    options = {"store_secret": "s3-keys", **options}
    request = get_backend("k8s", KubernetesOptions.model_validate(options)).plan(spec).request
    return [each["name"] for each in request.job["spec"]["template"]["spec"].get("initContainers", [])]


def test_packages_that_other_jobs_cannot_trust_are_not_kept(tmp_path: Path) -> None:
    patch = tmp_path / "patch.yaml"
    patch.write_text("spec: {template: {spec: {hostUsers: false}}}\n")
    assert find_containers({}, patch=patch) == ["store", "packages"]
    patch.write_text("spec: {template: {spec: {containers: [{name: render, env: [{name: PIP_INDEX_URL}]}]}}}\n")
    assert find_containers({}, patch=patch) == ["store"]
    assert find_containers({}, secret_env="index") == ["store"]  # noqa: S106 - the name of a Secret
    assert find_containers({}, secret_files={"index": "/work/.config/pip"}) == ["store"]
    assert find_containers({"store": None}) == []
    assert find_containers({}, store_secret=None) == ["store"]  # the pod's identity is the job's as well
    assert find_containers({"env": {"AWS_SECRET_ACCESS_KEY": "known"}}) == ["store"]
    assert find_containers({"store": "pvc://claim"}, store_secret=None) == ["store", "packages"]
    for line in ("a @ file:///control/bundle.tar.gz", "a@./here", "--find-links /work", "--index-url=file:///work"):
        assert find_containers({"packages": (line,)}) == ["store"]
    assert find_containers({"packages": ("--find-links https://a/b", "a @ git+https://c/d")}) == ["store", "packages"]


@pytest.mark.parametrize("content", [None, "- a\n- list", "a: [", "just words"])
def test_a_patch_that_is_none_is_refused(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "patch.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SpecError, match="patch"):
        get_backend("k8s", KubernetesOptions(patch=path)).plan(job())


def test_merging_does_not_change_what_is_merged() -> None:
    old = {"a": {"b": [1]}, "c": [{"name": "x", "k": 1}]}
    assert merge_patch(old, {"a": {"b": [2]}, "c": [{"name": "x", "k": 2}]}) == {
        "a": {"b": [2]},
        "c": [{"name": "x", "k": 2}],
    }
    assert old == {"a": {"b": [1]}, "c": [{"name": "x", "k": 1}]}
