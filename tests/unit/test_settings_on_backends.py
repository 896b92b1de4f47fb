"""Every setting has an answer on every backend: it acts, or it is said to have no effect, or it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from backends import BACKENDS
from backends.errors import SpecError
from renderer import api, config
from renderer.spec import RenderSpec

# The answers: SENT changes what is sent or started, KEPT acts in the client (before or after the job), of NOTE the user
# is told that it has no effect, and REFUSED is an error.
SENT, KEPT, NOTE, REFUSED = "sent", "kept", "note", "refused"
ORDER = ("local", "docker", "k8s", "modal")
EVERYWHERE = (SENT,) * 4
CLIENT = (KEPT,) * 4
# Each setting with a value that is not its default, and the answers in this order.
JOB: Mapping[str, tuple[object, tuple[str, ...]]] = {
    "backend": ("modal", CLIENT),
    "output": ("elsewhere", CLIENT),
    "env": ({"A": "1"}, EVERYWHERE),
    "timeout": ("7m", EVERYWHERE),
    "retries": (2, EVERYWHERE),
    "untrusted": (True, (SENT, SENT, REFUSED, SENT)),  # Kubernetes needs the RuntimeClass of a sandbox, too
    "untrusted_env": ("A", CLIENT),
    "overwrite": (True, CLIENT),
    "output_limit": ("1Gi", EVERYWHERE),
    "output_files": (7, EVERYWHERE),
    "bundle_limit_mib": (7, CLIENT),
    "quality": ("h", EVERYWHERE),
    "resolution": ("320x180", EVERYWHERE),
    "fps": (7, EVERYWHERE),
    "format": ("gif", EVERYWHERE),
    "transparent": (True, EVERYWHERE),
    "renderer": ("opengl", EVERYWHERE),
    "encoder": ("x264", EVERYWHERE),
    "encoder_preset": ("manim", EVERYWHERE),
    "poster": (True, EVERYWHERE),
    "manim_options": (("--seed", "7"), EVERYWHERE),
    "preview": (True, CLIENT),
    "preview_command": ("xdg-open", CLIENT),
    "gpu": ("L4", (NOTE, SENT, SENT, SENT)),
    "cpu": (3.0, (NOTE, SENT, SENT, SENT)),
    "memory": ("3Gi", (NOTE, SENT, SENT, SENT)),
    "image": ("debian:12", (NOTE, SENT, SENT, SENT)),
    "packages": ("einops", EVERYWHERE),
    "requirements": ("needs.txt", EVERYWHERE),
    "cache": ("s3://frames/cache", (KEPT, SENT, REFUSED, REFUSED)),  # Kubernetes needs --store and --cache-secret, too
    "shards": (2, (SENT, SENT, REFUSED, SENT)),  # Kubernetes needs --store, too
    "store": ("pvc://claim", (NOTE, REFUSED, SENT, REFUSED)),
    "webhook": ("https://example.org/", (REFUSED,) * 4),  # it needs a secret, too, and is for local and docker alone
    "webhook_secret_file": ("secret", CLIENT),
    "serve.allow": ("quality", CLIENT),
    "serve.backends": ("local", CLIENT),
    "serve.webhook_networks": ("10.0.0.0/8", CLIENT),
    "serve.tokens": ("tokens", CLIENT),
}
# The settings of one backend: each is refused when it is given for a job on another.
OWN: Mapping[str, tuple[object, str]] = {
    "local.state_dir": ("jobs", KEPT),
    "local.keep_days": (1, KEPT),
    "local.cache_mib": (0, KEPT),  # a variable of the worker's process
    "docker.engine": ("podman", SENT),
    "docker.options": ("--network none", SENT),
    "docker.state_dir": ("jobs", KEPT),
    "docker.keep_days": (1, KEPT),
    "k8s.context": ("other", KEPT),
    "k8s.namespace": ("video", SENT),
    "k8s.runtime_class": ("gvisor", SENT),
    "k8s.parallelism": (1, SENT),
    "k8s.units_per_pod": (2, SENT),
    "k8s.deadline": ("2h", SENT),
    "k8s.ttl": ("2h", SENT),
    "k8s.collect_timeout": ("5m", SENT),
    "k8s.ephemeral_storage": ("7Gi", SENT),
    "k8s.shm": ("70Mi", SENT),
    "k8s.image_pull_policy": ("Always", SENT),
    "k8s.image_pull_secrets": ("one", SENT),
    "k8s.secret_env": ("one", SENT),
    "k8s.secret_files": ({"one": "/one"}, SENT),
    "k8s.store_secret": ("one", NOTE),  # sent with --store
    "k8s.cache_secret": ("one", NOTE),  # sent with --cache
    "k8s.service_account": ("one", SENT),
    "k8s.node_selector": ({"a": "b"}, SENT),
    "k8s.priority_class": ("one", SENT),
    "k8s.queue": ("one", SENT),
    "k8s.labels": ({"a": "b"}, SENT),
    "k8s.annotations": ({"a": "b"}, SENT),
    "k8s.patch": ("patch.yaml", SENT),
    "modal.profile": ("one", KEPT),
    "modal.environment": ("one", KEPT),
    "modal.region": ("eu", SENT),
    "modal.cloud": ("aws", SENT),
    "modal.max_containers": (1, SENT),
    "modal.python": ("3.12", NOTE),  # sent with --image
    "modal.registry_secret": ("one", NOTE),
    "modal.secrets": ("one", SENT),
    "modal.state_dir": ("jobs", KEPT),
}


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "scene.py"
    path.write_text("from manim import Scene\n\nclass A(Scene):\n    pass\n\nclass B(Scene):\n    pass\n")
    (tmp_path / "needs.txt").write_text("einops\n")
    (tmp_path / "patch.yaml").write_text("spec: {suspend: true}\n")
    monkeypatch.chdir(tmp_path)
    return path


def plan(scene: Path, backend: str, settings: Mapping[str, object]) -> tuple[list[Any], tuple[str, ...]]:
    """Return all that a backend would send, and what the user is told."""
    loaded = config.load({"gpu": "none", **settings, "backend": backend}, environ={}, source="flag")
    one = "shards" in settings  # which are of one scene
    planned = api.plan(RenderSpec(path=scene, scenes=("A",) if one else (), every=not one), loaded)
    job = planned.plan.spec
    request = str(planned.plan.request)
    if backend == "k8s":  # the names hold a digest of all settings, those too that are not sent
        metadata = planned.plan.request.job["metadata"]
        digest = metadata["annotations"]["manim-renderer/digest"]
        request = request.replace(metadata["name"], "NAME").replace(digest, "DIGEST")
    sent = [request, job.payload, dict(job.env), job.timeout, job.retries, job.untrusted]
    return sent, planned.plan.notes


def check(scene: Path, backend: str, key: str, value: object, answer: str) -> None:
    settings = {"format": "mov" if key == "transparent" else None}
    if answer == REFUSED:
        with pytest.raises(SpecError) as caught:
            plan(scene, backend, {**settings, key: value})
        assert caught.value.hint, key
        return
    before, _ = plan(scene, backend, settings)
    after, notes = plan(scene, backend, {**settings, key: value})
    assert (key, before != after) == (key, answer == SENT)
    assert (key, any(key.rpartition(".")[2] in note for note in notes)) == (key, answer == NOTE)


def test_the_tables_have_every_setting() -> None:
    assert sorted([*JOB, *OWN]) == sorted(setting.key for setting in config.load({}, environ={}))
    assert sorted(ORDER) == sorted(BACKENDS)


@pytest.mark.parametrize("backend", ORDER)
def test_a_setting_of_every_job_has_its_answer(backend: str, scene: Path) -> None:
    for key, (value, answers) in JOB.items():
        if key != "backend":
            check(scene, backend, key, value, answers[ORDER.index(backend)])


@pytest.mark.parametrize("backend", ORDER)
def test_a_setting_of_a_backend_has_its_answer_there_and_is_refused_elsewhere(backend: str, scene: Path) -> None:
    for key, (value, answer) in OWN.items():
        own = key.partition(".")[0]
        check(scene, backend, key, value, answer if own == backend else REFUSED)
