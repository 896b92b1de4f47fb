"""TLS to a real API server with the settings that a kubeconfig can have; the keys are in the file itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.commands import environment, renderer
from support.rigs.kubernetes import kubectl


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({}, 0, ""),
        ({"tls-server-name": "kubernetes.default.svc"}, 0, ""),
        ({"certificate-authority-data": None, "insecure-skip-tls-verify": True}, 0, ""),
        ({"tls-server-name": "another.example"}, 4, "another.example"),
        ({"certificate-authority-data": None}, 4, "does not match the kubeconfig"),
    ],
)
def test_the_server_is_verified_as_the_kubeconfig_says(
    changes: dict[str, Any], code: int, words: str, tmp_path: Path
) -> None:
    content = yaml.safe_load(kubectl("config", "view", "--raw", "--flatten", "--minify"))
    cluster = {**content["clusters"][0]["cluster"], **changes}
    content["clusters"][0]["cluster"] = {key: value for key, value in cluster.items() if value is not None}
    config, temporary = tmp_path / "kubeconfig", tmp_path / "temporary"
    config.write_text(yaml.safe_dump(content))
    temporary.mkdir()
    env = environment(tmp_path, KUBECONFIG=str(config), TMPDIR=str(temporary))
    done = renderer("list", "--backend", "k8s", cwd=tmp_path, env=env)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert bool(done.stderr) == bool(words)  # nothing else is said, no warning of a library either
    assert list(temporary.iterdir()) == []
