"""Webhooks: a real server tells a real receiver, which checks the signature with the library of the standard."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from standardwebhooks import Webhook
from support.commands import environment, output, renderer
from support.http_server import Server, serving
from support.processes import until
from support.rigs.kubernetes import get, kubectl, make_bucket_settings

from backends.errors import SpecError
from backends.webhooks.sending import (
    NotDeliveredError,
    check_url,
    is_allowed,
    make_secret,
    parse_networks,
    post,
)
from renderer.serve import tokens

LOOPBACK = "127.0.0.0/8"


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent; ``answers`` are those to the first message for a path, 204 is every other."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: dict[str, int] = {}
        self.url = f"http://127.0.0.1:{self.server_port}/secret-path?x=1"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.answers.pop(self.path, 204)
        self.send_response(answer)
        if answer == 302:
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.got.append((self.path, headers, body))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def make_token(server: Server, *options: str) -> dict[str, str]:
    done = renderer("serve", "token", "create", "--json", "--trusted", *options, cwd=server.home, env=server.env)
    return dict(output(done))


def check(secret: str, headers: dict[str, str], body: bytes) -> Any:
    """Return the message. Raises WebhookVerificationError for a wrong signature."""
    Webhook(secret).verify(body, headers)
    return json.loads(body)


def test_messages_are_signed_tried_again_and_outlive_the_server(tmp_path: Path, receiver: Receiver) -> None:
    with serving(tmp_path / "home", RENDERER_SERVE_WEBHOOK_NETWORKS=LOOPBACK) as server:
        token = make_token(server, "--name", "alice", "--webhook", receiver.url)
        listed = renderer("serve", "token", "list", "--json", cwd=server.home, env=server.env).stdout
        assert "secret" not in listed
        receiver.answers = {"/secret-path?x=1": 302, "/secret-path?x=1&own": 503}  # a redirect is not followed
        failed = server.submit("raise SystemExit(3)", token=token["token"]).json()["id"]
        own = server.submit("print('x')", token=token["token"], webhook=f"{receiver.url}&own").json()["id"]
        until(lambda: len(receiver.got) == 4)  # both come again after some seconds
        by_path: dict[str, list[tuple[dict[str, str], bytes]]] = {}
        for path, headers, body in receiver.got:
            by_path.setdefault(path, []).append((headers, body))
        assert set(by_path) == {"/secret-path?x=1", "/secret-path?x=1&own"}
        for path, key, kind, code in (
            ("/secret-path?x=1", failed, "job.failed", 10),
            ("/secret-path?x=1&own", own, "job.succeeded", 0),
        ):
            first, second = by_path[path]
            assert first[0]["webhook-id"] == second[0]["webhook-id"]
            for headers, body in (first, second):
                message = check(token["webhook_secret"], headers, body)
                assert (message["type"], message["data"]["id"], message["data"]["exit_code"]) == (kind, key, code)

        def read(key: str) -> object:
            return server.call("GET", f"/api/v1/jobs/{key}", token=token["token"]).json()["webhook"]

        until(lambda: read(own) == read(failed) == {"delivered": True, "attempts": 2, "error": None})
        gate = tmp_path / "gate"
        waits = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.1)"
        job = server.submit(waits, token=token["token"]).json()
        server.end(kill=True)
        gate.touch()
        renderer("wait", job["handle"], cwd=server.home, env=server.env)
        assert len(receiver.got) == 4
        server.start()
        until(lambda: len(receiver.got) == 5)
        message = check(token["webhook_secret"], *receiver.got[4][1:])
        assert (message["type"], message["data"]["id"]) == ("job.succeeded", job["id"])
        assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 3


def test_another_replica_sends_the_messages_of_one_that_is_gone(
    namespace: str, cluster: str, s3: str, tmp_path: Path, receiver: Receiver
) -> None:
    settings = {
        **make_bucket_settings(namespace, cluster, s3),
        "RENDERER_SERVE_WEBHOOK_NETWORKS": LOOPBACK,
        "RENDERER_CPU": "0.2",
    }
    with serving(tmp_path / "first", **settings) as first:
        token = make_token(first, "--name", "alice", "--webhook", receiver.url)
        jobs = {}
        for path, code in (("/secret-path?x=1", "print('x')"), ("/secret-path?x=1&own", "raise SystemExit(3)")):
            own = {"webhook": f"{receiver.url}&own"} if path.endswith("own") else {}
            taken = first.submit(code, token=token["token"], **own)
            assert taken.status_code == 201, taken.text
            jobs[path] = taken.json()["id"]
        first.end(kill=True)  # long before the pods have ended
    kept = tmp_path / "first" / "state" / "manim-renderer" / "serve-tokens"
    with serving(tmp_path / "second", RENDERER_SERVE_TOKENS=str(kept), **settings) as second:
        until(lambda: len(receiver.got) >= len(jobs), within=900, describe=lambda: kubectl("get", "pods", "-A"))
        for path, headers, body in receiver.got:
            message = check(token["webhook_secret"], headers, body)
            assert (message["data"]["id"], headers["webhook-id"]) == (jobs[path], f"msg_{jobs[path]}")
        sent = ("jobs", "-n", namespace, "-l", "manim-renderer/serve-webhook=sent")
        until(lambda: len(get(*sent)["items"]) == len(jobs))
        urls = [item["metadata"]["annotations"].get("manim-renderer/webhook") for item in get(*sent)["items"]]
        assert sorted(filter(None, urls)) == [f"{receiver.url}&own"]  # the token's own is not written there
        for key in jobs.values():
            job = second.call("GET", f"/api/v1/jobs/{key}", token=token["token"]).json()
            assert job["webhook"] == {"delivered": True, "attempts": 1, "error": None}
    assert {path for path, _, _ in receiver.got} == set(jobs)
    assert len(receiver.got) == len(jobs)


def test_jobs_of_the_command_line_have_messages_that_outlive_kills(tmp_path: Path, receiver: Receiver) -> None:
    home = tmp_path / "home with blank"
    home.mkdir()
    env = environment(home, RENDERER_SERVE_WEBHOOK_NETWORKS=LOOPBACK)
    secret = make_secret()
    (home / "secret").write_text(f"{secret}\n")
    (home / "job.py").write_text("import time\ntime.sleep(600)\n")
    url = f"{receiver.url}&kill"
    receiver.answers = {"/secret-path?x=1&kill": 503}
    hooked = ("--webhook", url, "--webhook-secret-file", "secret")

    done = renderer("submit", "job.py", "--detach", *hooked, cwd=home, env=env)
    handle = done.stdout.strip()
    folder = home / "state" / "manim-renderer" / "jobs"
    os.kill(int((folder / handle.removeprefix("local://") / "pid").read_text()), signal.SIGKILL)

    def status() -> dict[str, Any]:
        return dict(output(renderer("status", handle, "--json", cwd=home, env=env)))

    assert status()["state"] == "failed"  # and this starts who sends the message
    (kept,) = (folder / ".webhooks").glob("*.json")
    until(lambda: "the answer was 503" in kept.read_text())  # it comes again after 5 seconds
    for messenger in psutil.process_iter(["cmdline"]):
        if str(folder) in (messenger.info["cmdline"] or ()):
            with suppress(psutil.NoSuchProcess):
                messenger.kill()
    assert any("the answer was 503" in note for note in status()["notes"])  # and this starts one again
    until(lambda: len(receiver.got) == 2)
    assert {check(secret, *got[1:])["data"]["state"] for got in receiver.got} == {"failed"}
    assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 1
    until(lambda: status()["notes"] == [])

    refused = renderer("submit", "job.py", "--detach", *hooked[:2], cwd=home, env=env)
    assert (refused.returncode, "--webhook needs --webhook-secret-file" in refused.stderr) == (2, True)
    elsewhere = renderer("submit", "job.py", "--detach", "--backend", "modal", *hooked, cwd=home, env=env)
    assert (elsewhere.returncode, "cannot be used on modal" in elsewhere.stderr) == (2, True)


def test_a_job_with_the_id_of_a_deleted_one_has_a_message_of_its_own(tmp_path: Path, receiver: Receiver) -> None:
    with serving(tmp_path / "home", RENDERER_SERVE_WEBHOOK_NETWORKS=LOOPBACK) as server:
        token = make_token(server, "--name", "alice", "--webhook", receiver.url)["token"]
        gate = tmp_path / "gate"
        waits = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.1)"
        for messages in (1, 2):
            job = server.submit(waits, token=token, key="same").json()
            assert job["webhook"] == {"delivered": False, "attempts": 0, "error": None}
            gate.touch()
            until(lambda messages=messages: len(receiver.got) == messages)  # type: ignore[misc]
            assert server.call("DELETE", f"/api/v1/jobs/{job['id']}", token=token).status_code == 204
            gate.unlink()


def test_messages_go_over_tls_to_a_receiver_with_a_certificate(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", key, "-out", certificate, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
    url, networks = f"https://localhost:{receiver.server_port}/", parse_networks([LOOPBACK])
    with pytest.raises(NotDeliveredError, match="TLS failed"):
        post(url, b"{}", {}, networks)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    post(url, b"{}", {}, networks)
    with pytest.raises(NotDeliveredError, match="TLS failed"):  # it is the certificate of another name
        post(url.replace("localhost", "127.0.0.1"), b"{}", {}, networks)
    assert [path for path, _, _ in receiver.got] == ["/"]


def test_a_token_of_a_mounted_folder_signs_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    text, token = tokens.create("alice", webhook_secret=make_secret())
    (file,) = (tmp_path / "state").rglob("*.json")
    file.parent.rename(tmp_path / "mounted")
    tokens.mount(tmp_path / "mounted")
    try:
        assert tokens.find(text) == tokens.find_by_id(token.id) == token
    finally:
        tokens.mount(None)
    assert tokens.find_by_id(token.id) is None


def test_webhooks_that_lead_inside_are_refused(server: Server) -> None:
    refused = server.submit("print('x')", webhook="https://example.org/")
    assert (refused.status_code, "needs a token" in refused.json()["detail"]) == (403, True)
    done = renderer(
        *("serve", "token", "create", "--name", "a", "--webhook", "https://127.0.0.1/"),
        cwd=server.home,
        env=server.env,
    )
    assert (done.returncode, "an address inside a network" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.org/", "ftp://example.org/", "https://user:x@example.org/", "https:///x", "https://a:b/"),
        *("https://127.0.0.1/", "https://[::1]/", "https://10.0.0.1/", "https://169.254.169.254/", "https://0.0.0.0/"),
        *("https://[::ffff:10.0.0.1]/", "https://[64:ff9b::a00:1]/", "https://[2002:a00:1::]/", "https://100.64.0.1/"),
        *("https://example.org/\r\nX: y", "https://example.org/#x", "https://224.0.0.1/", "https://[fd00::1]/"),
    ],
)
def test_urls_that_are_refused_at_once(url: str) -> None:
    with pytest.raises(SpecError):
        check_url(url, ())


def test_the_address_that_is_connected_to_is_checked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        # the second by http, which is for the networks of the setting alone
        for scheme, networks in (("https", ()), ("http", parse_networks(["10.0.0.0/8"]))):
            with pytest.raises(NotDeliveredError, match="leads to an address where nothing is sent") as refused:
                post(f"{scheme}://localhost:{port}/", b"{}", {}, networks)
            assert not re.search(r"127\.0\.0\.1|::1", str(refused.value))  # a caller looks up no names of the server's
        listener.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listener.accept()
    assert is_allowed(ipaddress.ip_address("8.8.8.8"), ())
    assert is_allowed(ipaddress.ip_address("2606:4700::1111"), ())
    assert is_allowed(ipaddress.ip_address("::ffff:10.1.2.3"), parse_networks(["10.0.0.0/8"]))
    with pytest.raises(SpecError, match=r"serve\.webhook_networks cannot have '10.0.0.1/8'"):
        parse_networks(["10.0.0.1/8"])
