"""kubeconfig files as kubectl reads them; no cluster is needed."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from backends.errors import BackendError, SpecError
from backends.kubernetes import kubeconfig


def write(path: Path, context: str = "one", **user: Any) -> Path:
    content = {
        "current-context": context,
        "contexts": [{"name": context, "context": {"cluster": "c", "user": "u", "namespace": "video"}}],
        "clusters": [
            {"name": "c", "cluster": {"server": "https://one.example:6443/", "certificate-authority": "ca.crt"}}
        ],
        "users": [{"name": "u", "user": user}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_current_context_and_files_beside_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "my config", token="t")  # noqa: S106 - no password
    (tmp_path / "ca.crt").write_text("PEM")
    context = kubeconfig.load(None, {"KUBECONFIG": str(path)})
    assert (context.name, context.namespace, context.server) == ("one", "video", "https://one.example:6443")
    assert kubeconfig.pem(context.cluster, "certificate-authority") == "PEM"
    assert kubeconfig.identity(context).authorization == "Bearer t"


def test_files_are_merged_and_the_first_counts(tmp_path: Path) -> None:
    first = write(tmp_path / "a", token="first")  # noqa: S106 - no password
    second = write(tmp_path / "b", context="two", token="second")  # noqa: S106 - no password
    environ = {"KUBECONFIG": f"{first}:{tmp_path / 'not there'}:{second}"}
    assert kubeconfig.load(None, environ).name == "one"
    assert kubeconfig.identity(kubeconfig.load("two", environ)).authorization == "Bearer first"


def test_the_users_own_file_is_found(tmp_path: Path) -> None:
    write(tmp_path / ".kube" / "config", token="t")  # noqa: S106 - no password
    assert kubeconfig.load(None, {"HOME": str(tmp_path)}).name == "one"


def test_a_tokens_file_is_read_each_time(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("old\n")
    context = kubeconfig.load(None, {"KUBECONFIG": str(write(tmp_path / "c", tokenFile="token"))})
    assert kubeconfig.identity(context).authorization == "Bearer old"
    (tmp_path / "token").write_text("new\n")
    assert kubeconfig.identity(context).authorization == "Bearer new"


def test_certificates_may_stand_in_the_file(tmp_path: Path) -> None:
    data = {key: base64.b64encode(key.encode()).decode() for key in ("client-certificate-data", "client-key-data")}
    who = kubeconfig.identity(kubeconfig.load(None, {"KUBECONFIG": str(write(tmp_path / "c", **data))}))
    assert (who.certificate, who.key) == ("client-certificate-data", "client-key-data")


def test_a_plugin_that_fails_is_told_with_its_own_words(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    plugin.write_text("#!/bin/sh\necho 'please run: cloud login' >&2\nexit 1\n")
    plugin.chmod(0o700)
    path = write(tmp_path / "c", exec={"command": str(plugin), "apiVersion": "client.authentication.k8s.io/v1"})
    with pytest.raises(BackendError, match="please run: cloud login"):
        kubeconfig.identity(kubeconfig.load(None, {"KUBECONFIG": str(path)}))


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        ("", None, "no Kubernetes context is set"),
        ("{", None, "cannot read the kubeconfig"),
        ("contexts: [{name: a, context: {cluster: c}}]", "b", "there is no Kubernetes context 'b'"),
        ("contexts: [{name: a, context: {cluster: c}}]", "a", "lacks 'c'"),
    ],
)
def test_a_wrong_file_is_told(content: str, name: str | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(SpecError, match=words) as caught:
        kubeconfig.load(name, {"KUBECONFIG": str(path)})
    assert caught.value.hint
