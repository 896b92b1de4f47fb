"""Fixtures of tests on a cluster: a conftest.py that imports them gives them to its folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.rigs.base import Rig
from support.rigs.kubernetes import Run, create_bucket, create_claim, kubectl, kubernetes, require_cluster

from renderer.api import Job


@pytest.fixture(scope="session")
def cluster() -> str:
    """Return the image to run on the cluster, or skip. Tests with this fixture get the marker ``cluster``."""
    return require_cluster()


@pytest.fixture(scope="module")
def rig(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    assert cluster
    with kubernetes(tmp_path_factory.mktemp("k8s")) as ready:
        yield ready


@pytest.fixture
def namespace(rig: Rig) -> str:
    return str(rig.settings["k8s.namespace"])


@pytest.fixture
def run(rig: Rig, tmp_path: Path) -> Run:
    """Return a function that submits a script by its text."""

    def submit(text: str, **options: Any) -> Job:
        path = tmp_path / "project" / "job.py"
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != text:  # several threads may submit it
            path.write_text(text, "utf-8")
        return rig.submit(path, **options)

    return submit


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URI of a bucket on a real S3 server that pods can reach, with the keys in the environment."""
    endpoint = os.environ.get("S3_FOR_TESTS")
    if not endpoint:
        pytest.skip("no S3 server: run pytest by tests/support/cluster/with, or set S3_FOR_TESTS and AWS_…")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    create_bucket()
    return "s3://renders/some where"


@pytest.fixture
def claim(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Yield the name of a PVC on a folder of this machine, and the folder."""
    if "CLUSTER_PARTS" not in os.environ:
        pytest.skip("the claim's volume is a folder of this machine: only on the cluster of tests/support/cluster")
    folder = tmp_path_factory.mktemp("volume")
    folder.chmod(0o777)
    name = create_claim(str(rig.settings["k8s.namespace"]), folder)
    yield name, folder
    kubectl("delete", "persistentvolume", f"{rig.settings['k8s.namespace']}-{name}", "--wait=false")
    shutil.rmtree(folder, ignore_errors=True)
