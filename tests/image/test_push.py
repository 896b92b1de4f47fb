"""Pushing to a real registry on loopback."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from support.containers import BASE, image_command
from support.processes import listening_ports, until

CONFIG = """version: 0.1
storage: {{filesystem: {{rootdirectory: "{folder}"}}}}
http: {{addr: "127.0.0.1:0"}}
"""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "config.yml").write_text(CONFIG.format(folder=tmp_path / "registry"))
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(["docker-registry", "serve", tmp_path / "config.yml"], stdout=log, stderr=log)
        try:
            until(lambda: bool(listening_ports(server.pid)))
            (port,) = listening_ports(server.pid)
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(600)


def push(name: str) -> subprocess.CompletedProcess[str]:
    return image_command("push", "--name", name, "--engine", "buildah", "--", "--tls-verify=false")


def test_an_image_is_pushed_under_its_name(registry: str, image: str) -> None:
    assert image  # so that its base is here, which is small
    name = f"{registry}/team/tiny:1"
    subprocess.run(["buildah", "tag", BASE, name], check=True)
    done = push(name)
    subprocess.run(["podman", "untag", name, name], check=True)
    assert (done.returncode, done.stdout) == (0, f"{name}\n"), done.stderr
    with urllib.request.urlopen(f"http://{registry}/v2/team/tiny/tags/list", timeout=600) as answer:
        assert json.load(answer) == {"name": "team/tiny", "tags": ["1"]}
    (digest,) = re.findall(rf"{registry}/team/tiny@(sha256:[0-9a-f]{{64}})", done.stderr)
    form = {
        "Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
    }
    manifest = urllib3.request("GET", f"http://{registry}/v2/team/tiny/manifests/{digest}", headers=form, timeout=600)
    assert hashlib.sha256(manifest.data).hexdigest() == digest.partition(":")[2]


@pytest.mark.containers
def test_an_image_that_was_not_built_is_not_pushed(registry: str) -> None:
    done = push(f"{registry}/team/none:1")
    assert done.returncode == 4
    assert f"buildah has no image {registry}/team/none:1" in done.stderr
    assert "renderer image build" in done.stderr


def test_a_registry_that_does_not_answer_is_reported_with_the_last_lines(image: str) -> None:
    assert image
    name = "127.0.0.1:1/team/tiny:1"
    subprocess.run(["buildah", "tag", BASE, name], check=True)
    done = push(name)
    subprocess.run(["podman", "untag", name, name], check=True)
    assert done.returncode == 4
    assert f"{name} could not be pushed" in done.stderr
    assert "connection refused" in done.stderr
