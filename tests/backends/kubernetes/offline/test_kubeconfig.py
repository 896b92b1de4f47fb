"""kubeconfig files and proxies, read as kubectl reads them."""

from __future__ import annotations

import base64
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import certifi
import pytest
import yaml
from support.commands import environment
from support.rigs.kubernetes import write_kubeconfig

from backends.errors import BackendError, SpecError
from backends.kubernetes.client import kubeconfig
from backends.kubernetes.client.client import Api


def test_the_current_context(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "my config", server, token="t")))  # noqa: S106 - no password
    api = Api(None)
    assert (api.context.name, api.context.namespace, api.server) == ("one", "video", server)
    assert api.get("/version")["who"] == "Bearer t"


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


def test_many_threads_connect_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_kubeconfig(tmp_path / "config", "https://api.example", token="t")  # noqa: S106 - no password
    content = yaml.safe_load(path.read_text())
    end = "-----END CERTIFICATE-----\n"
    authority = base64.b64encode((certifi.contents().partition(end)[0] + end).encode()).decode()
    content["clusters"][0]["cluster"]["certificate-authority-data"] = authority
    path.write_text(yaml.safe_dump(content))
    monkeypatch.setenv("KUBECONFIG", str(path))
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: Api("one").server, range(64))) == {"https://api.example"}


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
