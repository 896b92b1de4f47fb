"""Who may use `renderer serve`, and what a browser or a stranger cannot make it do."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from support.commands import output, renderer
from support.http_server import Server, serving
from support.processes import until

from renderer.serve.callers import Caller, Policy
from renderer.serve.tokens import Token

PRINTS = "print('x')"


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a token: trusted, because a sandbox takes long to start."""
    with serving(tmp_path_factory.mktemp("user") / "home", RENDERER_SERVE_ALLOW="timeout,gpu,shards") as started:
        yield started


def test_jobs_belong_to_their_token_and_revoking_ends_it(closed: Server) -> None:
    assert closed.call("GET", "/api/v1/jobs").status_code == 200  # until the first token is made
    alice, bob = closed.token("--name", "alice", "--trusted"), closed.token("--name", "bob", "--trusted")
    refused = closed.call("GET", "/api/v1/jobs")
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    job = closed.submit(PRINTS, token=alice, key="same").json()["id"]
    other = closed.submit(PRINTS, token=bob, key="same")
    assert (other.status_code, other.json()["id"] != job) == (201, True)
    closed.wait(job, token=alice)
    assert [item["id"] for item in closed.call("GET", "/api/v1/jobs", token=alice).json()["jobs"]] == [job]
    for method, path in (
        ("GET", ""),
        ("GET", "/logs"),
        ("GET", "/events"),
        ("GET", "/outputs"),
        ("GET", "/outputs/x"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
        ("DELETE", ""),
    ):
        assert closed.call(method, f"/api/v1/jobs/{job}{path}", token=bob).status_code == 404
    listed = output(renderer("serve", "token", "list", "--json", cwd=closed.home, env=closed.env))
    assert [item["name"] for item in listed] == ["alice", "bob"]
    shown = renderer("serve", "token", "list", cwd=closed.home, env=closed.env).stdout
    assert "  alice  trusted  -  -  10 jobs, 1h, 1 shard, 64Mi\n" in shown
    kept = "".join(path.read_text() for path in (closed.home / "state/manim-renderer/serve-tokens").iterdir())
    assert alice.split("_", 2)[2] not in kept
    assert alice not in kept
    running = closed.submit(
        "import time\nwhile True:\n    print('on', flush=True)\n    time.sleep(0.2)", token=alice
    ).json()
    events = closed.events(running["id"], token=alice)
    assert next(name for name, _, _ in events if name == "log")
    assert renderer("serve", "token", "revoke", listed[0]["id"], cwd=closed.home, env=closed.env).returncode == 0
    assert "end" not in [name for name, _, _ in events]  # the server ends what is followed, and not the job
    assert renderer("delete", running["handle"], cwd=closed.home, env=closed.env).returncode == 0
    assert closed.call("GET", "/api/v1/jobs", token=alice).status_code == 401
    assert renderer("serve", "token", "revoke", listed[0]["id"], cwd=closed.home, env=closed.env).returncode == 3


def test_a_long_request_ends_with_its_token(closed: Server) -> None:
    admin = closed.token("--name", "admin", "--trusted")

    def revoke(token: str) -> None:
        key = token.split("_")[1]
        assert renderer("serve", "token", "revoke", key, cwd=closed.home, env=closed.env).returncode == 0

    token, before = closed.token("--name", "slow", "--trusted"), spooled(closed.pid)
    host, port = closed.url.removeprefix("http://").split(":")
    parts = ['name="request"\r\n\r\n{"file": "a.py"}', f'name="files"; filename="a.py"\r\n\r\n{"#" * 2**21}']
    body = "".join(f"--x\r\nContent-Disposition: form-data; {part}\r\n" for part in parts) + "--x--\r\n"
    head = f"POST /api/v1/jobs/upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    head += f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"{head}{body[:-9]}".encode())
        until(lambda: bool(spooled(closed.pid) - before))
        revoke(token)
        connection.sendall(body[-9:].encode())
        assert b" 401 " in connection.recv(4096)

    token = closed.token("--name", "agent", "--trusted")
    wanted = {"name": "render", "arguments": {"code": "import time\ntime.sleep(600)", "wait_s": 600}}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": wanted}
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(
            closed.call,
            "POST",
            "/mcp",
            token=token,
            json=call,
            headers={"Accept": "application/json, text/event-stream"},
        )
        until(lambda: bool(closed.call("GET", "/api/v1/jobs", token=token).json()["jobs"]))
        handle = closed.call("GET", "/api/v1/jobs", token=token).json()["jobs"][0]["handle"]
        revoke(token)
        assert "was revoked" in waits.result().json()["result"]["content"][0]["text"]
    assert renderer("delete", handle, cwd=closed.home, env=closed.env).returncode == 0
    assert closed.call("GET", "/api/v1/jobs", token=admin).json()["jobs"] == []
    revoke(admin)


@pytest.mark.parametrize(("gpus", "given"), [((), "none"), (("L4",), "none"), (("any",), None)])
def test_a_job_has_no_gpu_by_default_that_its_token_does_not_allow(gpus: tuple[str, ...], given: str | None) -> None:
    caller = Caller(Token(id="1", name="alice", created="", digest="", gpus=gpus, untrusted=False))
    assert Policy(("backend",), ("k8s",)).load_settings(caller, {"backend": "k8s"}).settings.gpu == given


def test_limits_of_a_token(closed: Server) -> None:
    limits = "--jobs 1 --time 60s --bundle 1Mi --gpus L4 --shards 2"
    token = closed.token("--name", "small", "--trusted", *limits.split())
    rights = closed.call("GET", "/api/v1/settings", token=token).json()
    assert (rights["jobs"], rights["seconds"], rights["bundle_mib"], rights["gpus"]) == (1, 60, 1, ["L4"])
    assert rights["shards"] == 2
    assert [setting["name"] for setting in rights["settings"]] == ["timeout", "gpu", "shards"]
    refused = closed.submit(PRINTS, token=token, settings={"timeout": "2m"})
    assert (refused.status_code, refused.json()["detail"]) == (403, "this token's jobs may run for 60 s")
    for shards in (3, "auto"):
        refused = closed.submit(PRINTS, token=token, settings={"shards": shards})
        sentence = "a scene of this token's jobs may have at most 2 shards"
        assert (refused.status_code, refused.json()["detail"]) == (403, sentence)
    refused = closed.submit(PRINTS, token=token, settings={"gpu": "L4,H100"})
    assert (refused.status_code, refused.json()["hint"]) == (403, "GPUs are L4")
    refused = closed.submit(PRINTS + "#" * 2**20, token=token)
    assert (refused.status_code, refused.json()["detail"]) == (400, "the files have more than 1 MiB")
    running = closed.submit("import time\ntime.sleep(600)", token=token).json()["id"]
    refused = closed.submit(PRINTS, token=token)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
    closed.call("POST", f"/api/v1/jobs/{running}/cancel", token=token)
    assert closed.submit(PRINTS, token=token).status_code == 201


def test_a_token_reads_the_metrics_or_everything_else(closed: Server) -> None:
    alice, prometheus = closed.token("--name", "reader"), closed.token("--name", "prometheus", "--metrics")
    assert "process_start_time_seconds" in closed.call("GET", "/metrics", token=prometheus).text
    refused = closed.call("GET", "/metrics", token=alice)
    assert (refused.status_code, refused.json()["detail"]) == (403, "this token cannot read the metrics")
    for method, path in (("GET", "/api/v1/jobs"), ("POST", "/api/v1/jobs"), ("POST", "/mcp"), ("GET", "/")):
        assert closed.call(method, path, token=prometheus).status_code == 403
    refused = closed.call("GET", "/metrics")
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_jobs_of_a_token_are_untrusted_and_stay_so(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        check_untrusted(server)


def check_untrusted(closed: Server) -> None:
    token = closed.token("--name", "stranger")
    code = "import pathlib\nprint('reads', pathlib.Path(r'%s').exists())\nraise SystemExit(1)" % (closed.home / "state")
    answer = closed.submit(code, token=token)
    assert answer.status_code == 201, answer.text
    assert closed.wait(answer.json()["id"], token=token)["state"] == "failed"
    log = closed.call("GET", f"/api/v1/jobs/{answer.json()['id']}/logs", token=token).text
    assert "reads False" in log
    assert closed.submit(PRINTS, token=token, settings={"untrusted": False}).status_code == 403
    (kept,) = output(renderer("serve", "token", "list", "--json", cwd=closed.home, env=closed.env))
    renderer("serve", "token", "revoke", kept["id"], cwd=closed.home, env=closed.env)
    closed.end()
    closed.start()
    again = closed.call(
        "POST", f"/api/v1/jobs/{answer.json()['id']}/retry"
    )  # by the user of the machine, who is trusted
    assert again.status_code == 201, again.text
    closed.wait(again.json()["id"])
    assert "reads False" in closed.call("GET", f"/api/v1/jobs/{again.json()['id']}/logs").text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "localhost.evil.example:80"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://evil.example", "Authorization": "Basic eDp5"}, 403),  # of an address http://x:y@localhost
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Authorization": "Bearer nothing"}, 401),
        ({"Cookie": "renderer_token=nothing"}, 401),
    ],
)
def test_pages_of_other_sites_can_do_nothing(server: Server, headers: dict[str, str], status: int) -> None:
    assert server.call("POST", "/api/v1/jobs", json={"code": "pass"}, headers=headers).status_code == status
    assert server.call("POST", "/jobs", data={"code": "pass"}, headers=headers).status_code == status
    if "Origin" not in headers:
        answer = server.call("GET", "/api/v1/jobs", headers=headers)
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_address_of_others_needs_a_token(tmp_path: Path) -> None:
    server = Server(tmp_path)
    done = renderer("serve", "--host", "::", "--port", "0", cwd=tmp_path, env=server.env)
    assert (done.returncode, "without tokens" in done.stderr) == (2, True)
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        done = renderer("serve", "--port", port, cwd=tmp_path, env=server.env)
    assert done.stderr == (
        f"renderer: cannot listen on 127.0.0.1, port {port}: Address already in use\n  → choose another: --port 8081\n"
    )
    (tmp_path / "renderer.toml").write_text("[serve]\nallow = ['output']\n")
    done = renderer("serve", cwd=tmp_path, env=server.env)
    assert (done.returncode, "sets serve.allow" in done.stderr) == (2, True)  # a project's file must be trusted
    done = renderer("serve", cwd=Path("/"), env={**server.env, "RENDERER_SERVE_ALLOW": "output"})
    assert (done.returncode, "acts on the server itself" in done.stderr) == (2, True)


def test_upload_that_breaks_off_or_is_too_large_leaves_nothing(server: Server) -> None:
    before = spooled(server.pid)
    host, port = server.url.removeprefix("http://").split(":")
    head = "POST /api/v1/jobs/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    part = '--x\r\nContent-Disposition: form-data; name="files"; filename="a.py"\r\n\r\n'
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"{head}Content-Length: 8000000\r\n\r\n{part}".encode() + bytes(2**21))
        until(lambda: bool(spooled(server.pid) - before))
    until(lambda: spooled(server.pid) <= before)
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"{head}Content-Length: 1073741824\r\n\r\n".encode())
        assert b" 413 " in connection.recv(4096)
    with socket.create_connection((host, int(port))) as connection:
        with suppress(ConnectionError):  # it may answer before it has everything
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 2**18 + b"\r\n\r\n")
        answer = connection.recv(4096)
        assert b" 431 " in answer
        assert b"application/problem+json" in answer
    assert not list((server.home / "state/manim-renderer/serve").glob(".new-*"))


def spooled(pid: int) -> set[str]:
    """Return the files without a name that a process has open: uploads that are on the disk."""
    found = set()
    for item in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            found.add(str(item.readlink()))
    return {name for name in found if name.endswith("(deleted)")}


def test_many_clients_see_every_line(server: Server) -> None:
    job = server.submit("for number in range(500):\n    print(number, flush=True)").json()["id"]

    def read(_: int) -> list[str]:
        found = [line["text"] for name, data, _id in server.events(job) if name == "log" for line in data]
        return [text for text in found if text.isdecimal()]

    for _ in range(2):  # while it runs, and after its end
        with ThreadPoolExecutor(20) as pool:
            assert all(lines == [str(number) for number in range(500)] for lines in pool.map(read, range(20)))


def test_a_client_that_reads_nothing_learns_how_many_lines_it_missed(server: Server) -> None:
    code = "for number in range(20_000):\n    print(number, 'x' * 1000)"  # more than all buffers hold
    job = server.submit(code).json()["id"]
    url = f"/api/v1/jobs/{job}"
    with server.call("GET", f"{url}/events", stream=True) as late:
        until(lambda: server.call("GET", url).json()["finished"] is not None)
        names = [line for line in late.text.splitlines() if line.startswith(("event:", "data:"))]
    found = Counter[str]()
    for name, data in zip(names[::2], names[1::2], strict=True):
        content = json.loads(data.removeprefix("data: "))
        found[name] += content["lines"] if name == "event: gap" else len(content)
    assert found["event: gap"] > 0
    assert found["event: log"] + found["event: gap"] == 20_000


def test_clients_that_are_gone_keep_nothing(server: Server) -> None:
    job = server.submit("import time\nprint('up', flush=True)\ntime.sleep(600)").json()["id"]
    process = psutil.Process(server.pid)
    for _ in range(5):
        for name, _data, _id in server.events(job):
            if name == "log":
                break
    before = process.num_threads()
    for _ in range(20):
        for name, _data, _id in server.events(job):
            if name == "log":
                break

    def has_few_threads() -> bool:  # the server lets threads end with its next answer
        server.call("GET", f"/api/v1/jobs/{job}")
        return process.num_threads() <= before + 2

    until(has_few_threads)
    until(lambda: len([item for item in process.net_connections() if item.status == "ESTABLISHED"]) == 0)
    server.call("DELETE", f"/api/v1/jobs/{job}")
