"""Jobs through the API of `renderer serve`: a real server, and real jobs of the local backend."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import socket
import tarfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path

import pytest
from support.commands import output, renderer
from support.disks import mount_small_disk
from support.http_server import Server, serving

from backends import JobHandle, JobState, JobStatus, UnitStatus
from backends.problem import Problem
from renderer.cli import COMMANDS
from renderer.serve import problems
from renderer.serve.api.parts import THREADS
from renderer.serve.service import MANY

SCENE = """
from manim import *

class Hello(Scene):
    def construct(self):
        self.play(Create(Square()), run_time=0.5)
"""
WRITES = """
import os, pathlib
print("it runs")
pathlib.Path(os.environ["RENDERER_OUTPUT_DIR"], "page.html").write_text("<script>alert(1)</script>")
"""
FAILS = """
from manim import Scene

class Wrong(Scene):
    def construct(self):
        value = 1 / 0
"""
SLEEPS = "import time\nprint('sleeping', flush=True)\ntime.sleep(600)\n"


def test_scene_is_submitted_followed_and_downloaded_in_ranges(server: Server) -> None:
    submitted = server.submit(SCENE, scenes=["Hello"], settings={"resolution": "160x90", "fps": 10})
    assert submitted.status_code == 201, submitted.text
    job = submitted.json()
    assert job["name"] == "hello"
    assert submitted.headers["Location"] == f"/api/v1/jobs/{job['id']}"
    events = list(server.events(job["id"]))
    assert [data["state"] for name, data, _ in events if name == "job"][-1] == "succeeded"
    assert events[-1][0] == "end"
    lines = [line["text"] for name, data, _ in events if name == "log" for line in data]
    assert lines == server.call("GET", f"/api/v1/jobs/{job['id']}/logs").text.splitlines()
    assert list(server.events(job["id"], after=events[-1][2])) == []

    made = server.call("GET", f"/api/v1/jobs/{job['id']}/outputs").json()
    (times,) = made["units"]
    assert (times["name"], times["frames"], times["cached"], len(times["plays"])) == ("Hello", 5, 0, 1)
    assert min(times["waited_s"], times["took_s"]) > 0
    (file,) = made["outputs"]
    whole = server.call("GET", file["url"])
    assert (file["path"], file["type"], file["size"]) == ("Hello.mp4", "video/mp4", len(whole.content))
    assert hashlib.sha256(whole.content).hexdigest() == file["sha256"]
    head = server.call("HEAD", file["url"])
    assert (head.headers["Content-Length"], head.headers["ETag"]) == (str(file["size"]), whole.headers["ETag"])
    part = server.call("GET", file["url"], headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    for wanted, status, words in (
        ("bytes=99999999-", 416, f"the file has {file['size']} bytes, and not this range"),
        ("bytes=x", 400, "the range cannot be read"),
    ):
        refused = server.call("GET", file["url"], headers={"Range": wanted})
        assert (refused.status_code, refused.headers["Content-Type"]) == (status, "application/problem+json")
        assert (refused.json()["detail"], refused.json()["exit_code"]) == (words, 2)
        assert refused.headers["Content-Range"] == f"bytes */{file['size']}"
    assert server.call("GET", file["url"], headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304
    listed = output(renderer("list", "--json", cwd=server.home, env=server.env))
    assert job["handle"] in {item["handle"] for item in listed}


def test_error_has_the_users_lines_and_a_retry_runs_the_same_files(server: Server) -> None:
    job = server.wait(server.submit(FAILS).json()["id"])
    assert (job["state"], job["exit_code"], job["hint"]) == ("failed", 10, "see its log")
    assert "division by zero" in job["units"][0]["message"]
    assert "value = 1 / 0" in job["units"][0]["details"]
    again = server.call("POST", f"/api/v1/jobs/{job['id']}/retry", json={"settings": {"timeout": "5m"}})
    assert again.status_code == 201, again.text
    assert server.call("DELETE", f"/api/v1/jobs/{job['id']}").status_code == 204  # the retry has files of its own
    second = server.wait(again.json()["id"])
    assert (second["state"], second["name"]) == ("failed", job["name"])
    third = server.call("POST", f"/api/v1/jobs/{second['id']}/retry")
    assert third.status_code == 201, third.text
    assert server.wait(third.json()["id"])["exit_code"] == 10
    gone = server.call("GET", f"/api/v1/jobs/{job['id']}")
    assert (gone.status_code, gone.headers["Content-Type"]) == (404, "application/problem+json")
    assert gone.json()["exit_code"] == 3


def test_a_script_and_all_scenes_are_pasted_on_the_page(server: Server) -> None:
    for code, state, log in (
        ("print('it runs')", "succeeded", "it runs"),
        (f"{FAILS}\nclass Other(Wrong): pass\n", "failed", ""),
    ):
        sent = server.call("POST", "/jobs", files={"code": (None, code), "scenes": (None, "")})
        assert sent.status_code == 303, sent.text
        key = sent.headers["Location"].rpartition("/")[2]
        job = server.wait(key)
        assert (job["state"], len(job["units"])) == (state, 1 + (state == "failed"))
        assert log in server.call("GET", f"/api/v1/jobs/{key}/logs").text
    refused = server.call("POST", "/jobs", files={"code": (None, "print('x'")})
    assert (refused.status_code, "scene.py, line 1: &#39;(&#39; was never closed" in refused.text) == (400, True)
    assert "manim-renderer" not in refused.text


def test_upload_of_files_with_an_idempotency_key_and_outputs_that_cannot_run(server: Server) -> None:
    parts = [
        ("request", (None, json.dumps({"file": "sub/job.py"}), "application/json")),
        ("files", ("sub/job.py", WRITES)),
        ("files", ("data file.txt", "x")),
    ]
    answers = [
        server.call("POST", "/api/v1/jobs/upload", files=parts, headers={"Idempotency-Key": "one"}) for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 200], answers[0].text
    first, second = (answer.json()["id"] for answer in answers)
    assert first == second
    other = server.submit("print('other')", key="one")
    assert (other.status_code, other.json()["detail"]) == (422, "this Idempotency-Key was used for another request")
    assert server.wait(first)["state"] == "succeeded"
    (file,) = server.call("GET", f"/api/v1/jobs/{first}/outputs").json()["outputs"]
    got = server.call("GET", file["url"])
    assert got.text == "<script>alert(1)</script>"
    refused = server.call("POST", f"/api/v1/jobs/{first}/preview")
    assert (refused.status_code, "only scenes have a preview" in refused.json()["detail"]) == (400, True), refused.text
    assert got.headers["Content-Type"] == "application/octet-stream"
    assert got.headers["Content-Disposition"].startswith("attachment")
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert got.headers["Content-Security-Policy"].endswith("sandbox")
    assert server.call("GET", f"{file['url']}/../../../../../../etc/passwd").status_code == 404
    assert server.call("GET", f"/api/v1/jobs/{first}/outputs/..%2f..%2frecord.json").status_code == 404


def test_map_runs_once_for_each_input_and_cancel_ends_it(server: Server) -> None:
    code = "import json, os, sys\nprint('input', sys.argv[1:])\n"
    job = server.wait(server.submit(code, inputs=[{"name": "a", "x": 1}, 2]).json()["id"])
    assert [unit["name"] for unit in job["units"]] == ["0-a", "1"]
    log = server.call("GET", f"/api/v1/jobs/{job['id']}/logs", params={"unit": 1}).text
    assert "input ['2']" in log
    assert "'--x'" not in log
    running = server.submit(SLEEPS).json()["id"]
    for name, data, _ in server.events(running):
        if name == "log" and any("sleeping" in line["text"] for line in data):
            break
    assert server.call("POST", f"/api/v1/jobs/{running}/retry").status_code == 409
    cancelled = server.call("POST", f"/api/v1/jobs/{running}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert server.wait(running)["exit_code"] == 17


def test_list_has_filters_and_parts_and_jobs_of_the_command_line(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        (server.home / "own.py").write_text("print('own')")
        renderer("submit", "own.py", "--detach", cwd=server.home, env=server.env)
        made = [server.submit("pass", name=f"job {number}").json()["id"] for number in range(3)]
        for key in made:
            server.wait(key)
        first = server.call("GET", "/api/v1/jobs", params={"limit": 2}).json()
        second = server.call("GET", "/api/v1/jobs", params={"limit": 2, "cursor": first["next"]}).json()
        assert [job["id"] for job in first["jobs"]] == made[:0:-1]
        assert [job["name"] for job in second["jobs"]] == ["job-0", "own"]
        assert second["next"] is None
        own = second["jobs"][1]["id"]
        assert server.wait(own)["state"] == "succeeded"
        assert server.call("GET", f"/api/v1/jobs/{own}/logs").text == "own\n"
        assert server.call("GET", "/api/v1/jobs", params={"state": "failed"}).json() == {
            "jobs": [],
            "next": None,
            "notes": [],
        }
        assert server.call("GET", "/api/v1/jobs", params={"cursor": "x"}).status_code == 400


@pytest.mark.parametrize(
    ("run", "status", "words"),
    [
        ({"settings": {"env": {"A": "1"}}}, 403, "the setting 'env' cannot be changed here"),
        ({"settings": {"output": "/etc"}}, 403, "the setting 'output' cannot be changed here"),
        ({"settings": {"backend": "k8s"}}, 403, "jobs cannot run on 'k8s' here"),
        ({"settings": {"quality": "z"}}, 400, "quality cannot be 'z'"),
        ({"file": "../../../etc/passwd.py"}, 400, "a file cannot have the name '../../../etc/passwd.py'"),
        ({"file": "/etc/passwd.py", "code": None}, 400, "file cannot be '/etc/passwd.py'"),
        ({"file": "missing.py", "code": None}, 400, "there is no file missing.py"),
        ({"files": {"JOB.py": ""}}, 400, "the file 'job.py' is sent twice"),
        ({"files": {"a": "", "a/b": ""}}, 400, "a file cannot have the name 'a/b'"),
        ({"files": {"\ud800": ""}}, 400, "a file cannot have the name"),
        ({"max_failed": 1}, 400, "max_failed is for a map"),
        ({"other": 1}, 422, "other: there is no such field"),
        ({"scenes": ["None"]}, 400, ""),
    ],
)
def test_wrong_requests_are_refused_in_words_and_leave_nothing(
    server: Server, run: dict[str, object], status: int, words: str
) -> None:
    body = json.dumps({"code": "pass", "file": "job.py", **run})
    answer = server.call("POST", "/api/v1/jobs", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert words in answer.json()["detail"]
    assert answer.json()["exit_code"] == 2
    assert str(server.home) not in answer.text
    assert not list((server.home / "state/manim-renderer/serve").glob(".new-*"))


@pytest.mark.parametrize(
    "kind", ["link", "name", "absolute", "large", "damaged", "cut", "header", "chain", "sparse", "map"]
)
def test_archives_are_unpacked_with_care(server: Server, kind: str) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        entry = tarfile.TarInfo({"name": "../job.py", "absolute": "/job.py"}.get(kind, "job.py"))
        if kind == "link":
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        if kind == "header":
            entry.pax_headers = {"comment": "x" * 2**21}
        if kind == "chain":  # long names of long names of …
            name = tarfile.TarInfo("job.py")
            name.type = tarfile.GNUTYPE_LONGNAME
            for _ in range(2000):
                tar.addfile(name)
        if kind == "sparse":
            entry.type = tarfile.GNUTYPE_SPARSE
        if kind == "map":  # of a sparse file: the number of its parts, and where they are
            entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
        entry.size = 9 * 2**20 if kind == "large" else 0
        tar.addfile(entry, io.BytesIO(bytes(entry.size)))
    data = content.getvalue()[: {"damaged": -20, "cut": 3}.get(kind)]
    answer = server.call(
        "POST",
        "/api/v1/jobs/upload",
        files=[("request", (None, '{"file": "job.py"}')), ("archive", ("project.tar.gz", data))],
    )
    assert answer.status_code == 400, answer.text
    assert ("it has a sparse file" in answer.text) == (kind in {"sparse", "map"})
    assert not list((server.home / "state/manim-renderer/serve").glob(".new-*"))


def test_archive_is_a_project(server: Server) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, text in {"./job.py": "import helper", "./helper.py": "print('helped')"}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    answer = server.call(
        "POST",
        "/api/v1/jobs/upload",
        files=[("request", (None, '{"file": "job.py"}')), ("archive", ("project.tar.gz", content.getvalue()))],
    )
    assert answer.status_code == 201, answer.text
    assert server.wait(answer.json()["id"])["state"] == "succeeded"


def test_second_server_is_refused(server: Server) -> None:
    done = renderer("serve", "--port", "0", cwd=server.home, env=server.env)
    assert done.returncode == 2
    assert "another `renderer serve` uses" in done.stderr


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    with mount_small_disk(tmp_path / "home", "8m") as disk, serving(disk) as server:
        job = server.wait(server.submit("print('before')").json()["id"])
        before = sorted((disk / "state/manim-renderer/serve").rglob("*"))
        with (disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while ballast.write(bytes(512)):
                pass
        upload = {"request": (None, '{"file": "a.py"}'), "files": ("a.py", b"#" * 2**21)}
        for answer in (
            server.submit("print('full')"),
            server.call("POST", "/api/v1/jobs/upload", files=upload),
            server.call("GET", f"/api/v1/jobs/{job['id']}/outputs"),
        ):
            assert (answer.status_code, answer.json()["hint"]) == (507, "free disk space on the server"), answer.text
            assert "No space left on device" in answer.json()["detail"]
            assert str(disk) not in answer.text
        assert server.call("GET", f"/api/v1/jobs/{job['id']}/logs").text == "before\n"
        assert [item["id"] for item in server.call("GET", "/api/v1/jobs").json()["jobs"]] == [job["id"]]
        assert sorted((disk / "state/manim-renderer/serve").rglob("*")) == before
        done = renderer("serve", "token", "create", "--name", "x", cwd=server.home, env=server.env)
        assert (done.returncode, done.stdout) == (6, "")
        assert "cannot write the token to " in done.stderr
        assert "free disk space" in done.stderr
        assert server.call("DELETE", f"/api/v1/jobs/{job['id']}").status_code == 204  # which makes room
        (disk / "ballast").unlink()
        assert server.wait(server.submit("print('after')").json()["id"])["state"] == "succeeded"


def test_what_is_no_request_fills_no_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with serving(tmp_path / "home") as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"\x16\x03\x01 this is TLS\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")
        form = {"Content-Type": "multipart/form-data; boundary=x"}
        assert server.call("POST", "/api/v1/jobs/upload", data=b"no form", headers=form).status_code == 400
    assert capfd.readouterr().err == "open it in a browser; Ctrl-C ends it, jobs go on\n"


def test_no_job_runs_that_a_nearly_full_disk_refused(tmp_path: Path) -> None:
    with mount_small_disk(tmp_path / "home", "8m") as disk, serving(disk) as server:
        server.wait(server.submit("print('before')").json()["id"])  # makes the folders
        taken = {item["id"] for item in server.call("GET", "/api/v1/jobs").json()["jobs"]}
        for free in range(0, 80_000, 4096):
            with (disk / "ballast").open("wb", buffering=0) as ballast:
                with suppress(OSError):
                    while ballast.write(bytes(4096)):
                        pass
                ballast.truncate(max(0, ballast.tell() - free))
            answer = server.submit("print('nearly full')")
            if answer.status_code == 201:
                server.wait(answer.json()["id"])
                taken.add(answer.json()["id"])
            else:
                assert answer.status_code == 507, answer.text
            assert {item["id"] for item in server.call("GET", "/api/v1/jobs").json()["jobs"]} == taken
        assert len(taken) > 1  # the last of them had enough


def trickle(server: Server, head: str) -> bytes:
    """Send the beginning of a request, and then a byte now and then. Return what comes until the connection ends."""
    host, port = server.url.removeprefix("http://").split(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=0.2) as connection, suppress(ConnectionError):
        connection.sendall(head.encode())
        while True:
            with suppress(TimeoutError):
                while data := connection.recv(4096):
                    answer += data
                return answer
            connection.sendall(b"x")
    return answer


def test_backend_that_does_not_answer_holds_up_no_other_and_each_request_ends(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with socket.create_server(("127.0.0.1", 0), backlog=256) as silent:  # it takes connections, and answers nothing
        cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{silent.getsockname()[1]}"}}
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        users = [{"name": "u", "user": {"token": "t"}}]
        config = {"current-context": "c", "clusters": [cluster], "contexts": [context], "users": users}
        (tmp_path / "kubeconfig").write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **config}))
        silence = {
            "KUBECONFIG": str(tmp_path / "kubeconfig"),
            "RENDERER_IMAGE": "registry.example/renderer:1",
            "RENDERER_STORE": "pvc://c",
        }
        server = Server(home, RENDERER_SERVE_BACKENDS="local,k8s", **silence)
        home.mkdir()
        server.start()
        try:
            with ThreadPoolExecutor(32) as clients:
                head, body = (
                    clients.submit(trickle, server, f"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n{rest}")
                    for rest in ("X: ", 'Content-Type: application/json\r\nContent-Length: 4000\r\n\r\n{"code": "')
                )
                unknown = clients.submit(server.call, "GET", f"/api/v1/jobs/{0:024x}")  # another replica may know it
                submits = [clients.submit(server.submit, "pass", settings={"backend": "k8s"}) for _ in range(2)]
                assert server.submit("pass").status_code == 201
                everything = clients.submit(server.call, "GET", "/api/v1/jobs")
                waiting = [clients.submit(server.call, "GET", "/api/v1/jobs?backend=k8s") for _ in range(THREADS + 4)]
                for requests, words in (
                    (waiting, "16 earlier requests still wait for an answer"),
                    (submits, "an earlier submit still waits for an answer of the backend (k8s)"),
                ):
                    refused = next(as_completed(requests)).result()
                    assert refused.status_code == 503, refused.text
                    assert words in refused.json()["detail"]
                assert len(server.call("GET", "/api/v1/jobs?backend=local").json()["jobs"]) == 1
                found = everything.result().json()
                assert (len(found["jobs"]), len(found["notes"])) == (1, 1), found
                assert found["notes"][0].startswith("the jobs at k8s are missing here")
                assert not any(all(request.done() for request in requests) for requests in (waiting, submits))
                assert not unknown.done()
                assert body.result().startswith(b"HTTP/1.1 408 ")
                assert b'"detail":"the request did not arrive in time"' in body.result()
                assert head.result() == b""
                server.end(kill=True)
        finally:
            server.end(kill=True)


def test_list_of_a_token_with_many_jobs_is_whole_after_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        token = server.token("--name", "many", "--trusted")
        server.end()
        server.start()
        first = server.submit("pass", token=token).json()
        assert server.wait(first["id"], token=token)["state"] == "succeeded"
        failed = server.submit("exit(3)", token=token).json()
        assert server.wait(failed["id"], token=token)["state"] == "failed"
        server.end()
        state, name = server.home / "state/manim-renderer", first["handle"].removeprefix("local://")
        for number in range(2 * MANY):
            key, copy = f"{number:024x}", f"{name[:-6]}{number:06x}"
            shutil.copytree(state / "jobs" / name, state / "jobs" / copy)
            shutil.copytree(state / "serve" / first["id"], state / "serve" / key)
            record = json.loads((state / "serve" / key / "record.json").read_text())
            (state / "serve" / key / "record.json").write_text(json.dumps({**record, "id": key}))
            (state / "serve" / key / "handle").write_text(f"local://{copy}")
        server.start()
        for _ in range(2):  # what was read from the disk, and what is remembered
            (other,) = server.call("GET", "/api/v1/jobs?state=failed", token=token).json()["jobs"]
            mistake = server.call("GET", "/api/v1/jobs?stat=failed", token=token)
            assert (mistake.status_code, mistake.json()["detail"]) == (422, "there is no parameter 'stat'")
            assert other["id"] == failed["id"]
        shutil.rmtree(state / "jobs" / f"{name[:-6]}{0:06x}")  # as a command of the user deletes it
        for _ in range(2):
            found = server.call("GET", "/api/v1/jobs?state=succeeded&limit=500", token=token).json()["jobs"]
            assert len({job["handle"] for job in found}) == 2 * MANY
        assert server.call("DELETE", f"/api/v1/jobs/{1:024x}", token=token).status_code == 204
        found = server.call("GET", "/api/v1/jobs?state=succeeded&limit=500", token=token).json()["jobs"]
        assert len(found) == 2 * MANY - 1
        assert server.submit("pass", token=token).status_code == 201  # the limit counts none that has ended


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/api/v1/jobs", "GET, HEAD, POST"),
        (f"/api/v1/jobs/{0:024x}", "DELETE, GET, HEAD"),
        (f"/api/v1/jobs/{0:024x}/outputs/a/b", "GET, HEAD"),
        (f"/api/v1/jobs/{0:024x}/cancel", "POST"),
        ("/login", "GET, HEAD, POST"),
        ("/static/page.js", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(server: Server, path: str, methods: str) -> None:
    for method in ("PATCH", "OPTIONS"):
        refused = server.call(method, path)
        assert (refused.status_code, refused.headers["Allow"]) == (405, methods)


def test_head_is_answered_as_get_without_the_body(server: Server) -> None:
    job = server.submit("import time\nprint('on', flush=True)\ntime.sleep(600)").json()["id"]
    for path in ("/", "/api/v1/settings", f"/api/v1/jobs/{job}/logs", f"/api/v1/jobs/{job}/events", "/static/page.js"):
        head = server.call("HEAD", path)  # events go on for as long as the job
        with server.call("GET", path, stream=True) as whole:
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["Content-Type"] == whole.headers["Content-Type"]
            assert head.headers.get("Content-Length") == whole.headers.get("Content-Length")
    assert server.call("HEAD", f"/api/v1/jobs/{0:024x}").status_code == 404
    assert server.call("DELETE", f"/api/v1/jobs/{job}").status_code == 204


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('{"file": 3}', "file: write a text"),
        ('{"file": "\\ud800"}', "file: it is not Unicode text"),
        ('{"scenes": "Intro"}', "scenes: a JSON array is needed"),
        ('{"all": "maybe"}', "all: write true or false"),
        ('{"kind": "film"}', "kind: it can be 'auto', 'manim' or 'script'"),
        ('{"max_failed": -1}', "max_failed: it must be at least 0"),
        ('{"max_failed": 1.5}', "max_failed: write a whole number"),
        ('{"max_failed": 3e9}', "max_failed: it must be at most 2147483648"),
        ('{"preview": {"at": ["x"]}}', "preview.at.0: write a number"),
        ('{"settings": []}', "settings: a JSON object is needed"),
        (json.dumps({"name": "x" * 300}), "name: it may have 200 characters, and has more"),
        (json.dumps({"preview": {"at": [1] * 101}}), "preview.at: it may have 100 items, and has more"),
        (
            json.dumps({"files": dict.fromkeys(map(str, range(1001)), "")}),
            "files: it may have 1000 items, and has more",
        ),
        ("[]", "the request: a JSON object is needed"),
        ("", "the request: it is missing"),
    ],
)
def test_a_wrong_type_is_said_in_words(server: Server, body: str, sentence: str) -> None:
    refused = server.call("POST", "/api/v1/jobs", data=body, headers={"Content-Type": "application/json"})
    assert (refused.status_code, refused.json()["detail"]) == (422, sentence)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("renderer logs local://scene-1f3a", "see its log"),
        ("it failed; `renderer logs` shows why", "it failed; its log shows why"),
        ("renderer wait k8s://a/b/c, or renderer cancel k8s://a/b/c", "waiting for its end, or cancelling it"),
        ("`renderer doctor --store s3://b` checks", "`renderer doctor --store s3://b` on the server checks"),
        ("ask for one: renderer serve token create", "ask for one: `renderer serve token create` on the server"),
        ("raise --memory, or lower --shm", "raise `memory`, or lower `k8s.shm`"),
        ("for a plain script use --kind script", "for a plain script use `kind` script"),
        ("arguments go after --; --gpu is not one", "arguments go in `arguments`; `gpu` is not one"),
        ("add --store pvc://CLAIM, or leave --detach out", "add `store` pvc://CLAIM"),
        ("choose a higher folder (--root), or exclude it", "choose a higher folder, or exclude it"),
        ("start it (RENDERER_DOCKER_ENGINE=podman)", "start it (RENDERER_DOCKER_ENGINE=podman on the server)"),
        ("it wrote nothing to RENDERER_OUTPUT_DIR", "it wrote nothing to RENDERER_OUTPUT_DIR"),
        ("the renderer crashed: `docker run --gpus all`", "the renderer crashed: `docker run --gpus all`"),
    ],
)
def test_commands_become_acts_and_flags_become_settings(said: str, shown: str) -> None:
    assert problems.reword(said) == shown


def test_each_command_has_words() -> None:
    assert {*problems.ACTS, *problems.SETUP} == {name for group in COMMANDS.values() for name in group}


def test_the_words_of_a_job_stay() -> None:
    words, failed = "use --memory of `renderer logs`", JobState.FAILED
    ours, own = Problem(message=words), Problem(message=words, from_job=True)
    shown = [problems.message_of(UnitStatus(name="a", state=failed, problem=problem)) for problem in (ours, own)]
    assert shown == ["use `memory` of its log", words]
    assert problems.message_of(UnitStatus(name="a", state=JobState.RUNNING, activity=words)) == words
    job = JobStatus(handle=JobHandle.parse("local://a-1f"), name="a", state=failed, units=(), problem=own)
    assert (problems.message_of(job), problems.hint_of(job)) == (words, "see its log")
