"""A private registry: a real one with the images of the tests."""

from __future__ import annotations

import os

import pytest
from support.rigs.base import Rig
from support.rigs.kubernetes import Run, kubectl

from backends import JobState
from backends.exit_codes import ExitCode


@pytest.fixture
def private(rig: Rig, namespace: str) -> str:
    """Return the image's name in the private registry; the Secret my-registry has its password."""
    given = os.environ.get("PRIVATE_REGISTRY_FOR_TESTS")
    if not given:
        pytest.skip("no private registry: run pytest by tests/support/cluster/with")
    who, _, server = given.partition("@")
    for name, password in (("my-registry", who.partition(":")[2]), ("wrong-registry", "wrong")):
        login = [f"--docker-username={who.partition(':')[0]}", f"--docker-password={password}"]
        kubectl("create", "secret", "docker-registry", name, "-n", namespace, f"--docker-server={server}", *login)
    return f"{server}/{str(rig.settings['image']).partition('/')[2]}"


def test_an_image_is_pulled_with_the_password_alone(run: Run, private: str) -> None:
    options = {"image": private, "k8s.image_pull_policy": "Always"}
    for secrets in ("", "wrong-registry"):
        job = run("print('refused')", **options, **{"k8s.image_pull_secrets": secrets} if secrets else {})
        status = job.wait(600)
        assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.BACKEND)
        assert "401 Unauthorized" in str(status.reason)
        assert "--image-pull-secret" in str(status.hint)
        job.delete()
    job = run("print('pulled')", **options, **{"k8s.image_pull_secrets": "my-registry"})
    assert job.wait(600).state is JobState.SUCCEEDED, job.status()
    assert [line.text for line in job.logs()] == ["pulled"]
    job.delete()
