"""Credentials of a kubeconfig: tokens, token files, plugins; none of them is ever printed or left behind."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.commands import environment, renderer
from support.rigs.kubernetes import write_kubeconfig

from backends.errors import BackendError
from backends.kubernetes.client.client import Api

EXEC = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}


def who() -> Any:
    return Api(None).get("/version")["who"]


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path)


def test_a_tokens_file_beside_the_kubeconfig_is_read_again_when_it_has_expired(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("old")
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "c", server, tokenFile="token")))
    api = Api(None)
    assert api.get("/version")["who"] == "Bearer old"
    (tmp_path / "token").write_text("expired")
    api = Api(None)
    (tmp_path / "token").write_text("expired")
    with pytest.raises(BackendError, match="may have expired"):
        api.get("/version")
    (tmp_path / "token").write_text("new")
    assert api.get("/version")["who"] == "Bearer new"


def test_a_pods_own_credentials_are_taken_where_there_is_no_kubeconfig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is missing here: pods of the tests' cluster cannot reach its API server."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "9")
    api = Api(None)
    assert api.context.name == "in-cluster"
    with pytest.raises(BackendError, match="own credentials: Service token file does not exist"):
        api.get("/version")


def test_a_plugin_says_who_we_are_and_is_asked_again_when_its_token_has_expired(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, then = (json.dumps({**EXEC, "status": {"token": token}}) for token in ("expired", "fresh"))
    plugin = script(
        tmp_path / "log in",
        f"test -e asked && echo '{then}' && exit\ntest \"$REGION\" = x && touch asked && echo '{first}'",
    )
    user: dict[str, Any] = {
        "exec": {"command": plugin, "apiVersion": EXEC["apiVersion"], "env": [{"name": "REGION", "value": "x"}]}
    }
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "c", server, **user)))
    assert who() == "Bearer fresh"
    assert (tmp_path / "asked").exists()  # it runs in the kubeconfig's folder


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo 'please run: cloud login' >&2; exit 1", "please run: cloud login"),
        ("echo no JSON", "failed to decode process output"),
        (None, "No such file"),
    ],
)
def test_a_plugin_that_fails_is_told_with_its_own_words_and_nothing_more(
    text: str | None, words: str, server: str, tmp_path: Path
) -> None:
    plugin = script(tmp_path / "plugin", text) if text else "/not/there"
    user: dict[str, Any] = {
        "exec": {"command": plugin, "apiVersion": EXEC["apiVersion"], "installHint": "get it from the cloud"}
    }
    config = write_kubeconfig(tmp_path / "c", server, **user)
    done = renderer("list", "--backend", "k8s", cwd=tmp_path, env=environment(tmp_path, KUBECONFIG=str(config)))
    assert done.returncode == 4
    first, hint = done.stderr.splitlines()
    assert first.startswith("renderer: the credential plugin")
    assert words in first
    assert hint == "  → get it from the cloud"


@pytest.mark.parametrize(
    "user",
    [
        {"client-certificate-data": "c2VjcmV0", "client-key-data": "c2VjcmV0"},
        {"client-certificate-data": "no base64, but secret", "client-key-data": "c2VjcmV0"},
        {"client-certificate": "/not/there", "client-key-data": "c2VjcmV0"},
        {"token": "secret", "exec": {"args": ["secret"]}, "username": "secret", "auth-provider": {"name": "oidc"}},
        {"auth-provider": {"name": "oidc", "config": {"id-token": 7, "refresh-token": "secret"}}},
        {"exec": {"env": [{"value": "secret"}], "command": "x", "apiVersion": "y"}},
        {"token": "secret"},
    ],
)
def test_credentials_are_never_told_and_never_left_behind(user: dict[str, Any], tmp_path: Path) -> None:
    """Messages, tracebacks and log lines for debugging name only contexts, users and paths."""
    config = write_kubeconfig(tmp_path / "c", "https://127.0.0.1:9", **user)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    env = environment(tmp_path, KUBECONFIG=str(config), TMPDIR=str(temporary))
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_RETRIES, "--debug"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {4, 5}, done.stderr
    said = done.stdout + done.stderr
    assert "secret" not in said, said
    assert base64.b64encode(b"secret").decode() not in said
    assert list(temporary.iterdir()) == []


WITHOUT_RETRIES = """\
import sys
from backends.errors import RendererError
from backends.kubernetes.client.client import Api
import logging, traceback
logging.basicConfig(level=logging.DEBUG)
try:
    api = Api(None)
    with api.without_retries():
        api.get("/version")
except RendererError as error:
    traceback.print_exc()
    sys.exit(error.exit_code)
"""
