"""kubeconfig files, read as kubectl reads them. A small fake API server answers with the credentials it got."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.commands import environment, renderer
from support.rigs.kubernetes import write_kubeconfig

from backends.errors import BackendError, SpecError
from backends.kubernetes.client import kubeconfig
from backends.kubernetes.client.client import Api

EXEC = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}


@pytest.fixture
def server() -> Iterator[str]:
    """Run a server that answers with the Authorization header, and refuses expired tokens."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            who = self.headers.get("Authorization")
            proxy = self.headers.get("Proxy-Authorization")
            body = json.dumps({"who": who, "path": self.path, "proxy": proxy}).encode()
            self.send_response(401 if who and who.endswith("expired") else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_CONNECT(self) -> None:
            self.send_error(407)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def who() -> Any:
    return Api(None).get("/version")["who"]


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path)


def test_the_current_context(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "my config", server, token="t")))  # noqa: S106 - no password
    api = Api(None)
    assert (api.context.name, api.context.namespace, api.server) == ("one", "video", server)
    assert who() == "Bearer t"


def test_files_are_merged_and_the_first_counts(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write_kubeconfig(tmp_path / "a", server, token="first")  # noqa: S106 - no password
    second = write_kubeconfig(tmp_path / "b", server, context="two", token="second")  # noqa: S106 - no password
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'not there'}:{second}")
    assert Api(None).context.name == "one"
    assert Api("two").get("/version")["who"] == "Bearer first"


def test_the_users_own_file_is_found(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_kubeconfig(tmp_path / ".kube" / "config", server, token="t")  # noqa: S106 - no password
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Api(None).context.name == "one"


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


def through(proxy: str, server: str, path: Path) -> Path:
    """Write a kubeconfig whose cluster is behind a proxy."""
    write_kubeconfig(path, server, token="t")  # noqa: S106 - no password
    content = yaml.safe_load(path.read_text())
    content["clusters"][0]["cluster"]["proxy-url"] = proxy
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_proxy_gets_its_own_password(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = server.replace("//", "//me:p%40ss@")
    monkeypatch.setenv("KUBECONFIG", str(through(proxy, "http://api.example", tmp_path / "c")))
    answer = Api(None).get("/version")
    assert (answer["path"], answer["who"]) == ("http://api.example/version", "Bearer t")
    assert base64.b64decode(answer["proxy"].removeprefix("Basic ")) == b"me:p@ss"


def test_a_proxy_that_refuses_is_told(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(through(server, "https://api.example", tmp_path / "c")))
    api = Api(None)
    with pytest.raises(BackendError, match=r"proxy before https://api\.example refuses the connection: HTTP 407"):
        api.get("/version")
    with pytest.raises(BackendError, match="refuses the connection: HTTP 407"):
        api.open_websocket("/exec", [])


def test_a_socks_proxy_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = "socks5://me:secret@proxy.example:1080"
    monkeypatch.setenv("KUBECONFIG", str(through(proxy, "https://api.example", tmp_path / "c")))
    with pytest.raises(SpecError, match=r"does not support SOCKS proxies: the kubeconfig names proxy.example:1080$"):
        Api(None).get("/version")


def test_a_kubeconfig_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(SpecError, match="no Kubernetes context is set"):
        Api(None)


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
    ("content", "name", "words"),
    [
        ("", None, "no Kubernetes context is set"),
        ("{", None, "cannot read the kubeconfig"),
        ("[a, list]", None, "cannot read the kubeconfig"),
        ("contexts: [{name: a, context: {cluster: c}}]", "b", "there is no Kubernetes context 'b'"),
        ("contexts: [{name: a, context: {cluster: c}}]", "a", "lacks its cluster 'c'"),
    ],
)
def test_a_wrong_file_is_told(
    content: str, name: str | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(SpecError, match=words) as caught:
        kubeconfig.load_context(name)
    assert caught.value.hint


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


def test_without_the_package_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['kubernetes'] = None; from renderer.cli import run; sys.exit(run(sys.argv[1:]))"
    for verb in ("list", "doctor"):
        done = subprocess.run(
            [sys.executable, "-c", code, verb, "--backend", "k8s"],
            cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 4
        assert done.stderr == (
            "renderer: the backend 'k8s' needs the Python package 'kubernetes'\n  → pip install 'manim-renderer[k8s]'\n"
        )
