"""The tools for agents, as the SDK's own client sees them: by `renderer mcp`, and at /mcp of `renderer serve`."""

from __future__ import annotations

import asyncio
import base64
import ctypes
import io
import json
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest
import requests
from mcp import StdioServerParameters
from mcp.client.client import Client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult
from PIL import Image
from support.commands import BIN, environment, renderer
from support.http_server import Server, serving
from support.processes import until
from support.video import frames

T = TypeVar("T")
TITLE = """from manim import *


class Title(Scene):
    def construct(self):
        title = Text("A title").shift(RIGHT * 7)
        self.play(FadeIn(title), run_time=0.2)
        titel.set_color(WHITE)
        self.wait(0.2)
"""
SMALL = {"resolution": "320x180", "fps": 10}


def test_agent_goes_from_a_wrong_scene_to_the_film(tmp_path: Path) -> None:
    folder = tmp_path / "my project"
    folder.mkdir()
    (tmp_path / "other.py").write_text("print('outside')")

    async def talk(client: Client) -> None:
        assert {tool.name for tool in (await client.list_tools()).tools} == {
            *("check", "preview", "render"),
            *("status", "logs", "fetch", "cancel"),
        }
        (folder / "talk.py").write_text(TITLE.replace("def construct(self)", "def construct(self"))
        wrong = await call(client, "check", file="talk.py")
        assert wrong.is_error
        assert "talk.py, line 5: '(' was never closed" in text(wrong)
        (folder / "talk.py").write_text(TITLE)
        assert text(await call(client, "check", file="talk.py", at=[1])) == (
            "error (exit code 2): check has no argument 'at'\nhint: its arguments are file, scenes, settings"
        )
        checked = await call(client, "check", file="talk.py")
        assert (checked.is_error, "scene Title, line 4" in text(checked)) == (False, True), text(checked)
        failed = await call(client, "preview", file="talk.py", settings=SMALL)
        assert failed.is_error
        assert "name 'titel' is not defined" in text(failed)
        assert "talk.py:8 in construct: titel.set_color(WHITE)" in text(failed)
        assert image(failed).width >= 960  # what was drawn before the error
        job = value(failed, "job")
        assert "NameError" in text(await call(client, "logs", job=job, last=3))
        assert "(exit code 10)" in text(await call(client, "status", job=job))
        (folder / "talk.py").write_text(TITLE.replace("titel", "title"))
        seen = await call(client, "preview", file="talk.py", settings=SMALL)
        assert not seen.is_error
        assert "Title: 2 plays, 0.4 s" in text(seen)
        assert "warning: talk.py:6: the text 'A title' is cut off at the edge of the frame (right)" in text(seen)
        assert image(seen).width >= 960
        film = await call(client, "render", file="talk.py", settings=SMALL)
        assert image(film).size == (320, 180)
        assert len(frames(folder / value(film, "file"))) == 4
        assert value(await call(client, "fetch", job=value(film, "job")), "file") == "renders/Title.mp4"
        (folder / "link.py").symlink_to("../other.py")
        for file in ("../other.py", str(tmp_path / "other.py"), "link.py"):
            refused = await call(client, "render", file=file)
            assert (refused.is_error, "is outside the folder" in text(refused)) == (True, True)
        (folder / "link.py").unlink()
        refused = await call(client, "render", file="talk.py", settings={"output": "elsewhere"})
        assert "the setting 'output' cannot be changed here" in text(refused)
        (folder / "spy.py").write_text(f"import os\nprint('sees', os.path.exists({str(tmp_path / 'other.py')!r}))")
        spy = await call(client, "render", file="spy.py")
        assert "sees False" in text(await call(client, "logs", job=value(spy, "job")))

    env = environment(tmp_path / "home")
    mine = renderer("submit", "other.py", "--detach", cwd=tmp_path, env=env).stdout.strip()

    async def ask_for_others(client: Client) -> None:
        hidden = await call(client, "status", job=mine)
        assert (hidden.is_error, "no job of this folder" in text(hidden)) == (True, True)

    async def both(client: Client) -> None:
        await talk(client)
        await ask_for_others(client)

    parameters = StdioServerParameters(command=str(BIN / "renderer"), args=["mcp", str(folder)], env=env)
    asyncio.run(with_client(lambda: stdio_client(parameters), both))


def test_a_file_of_the_folder_is_named_in_any_way(tmp_path: Path) -> None:
    (tmp_path / "real" / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "a.py").write_text("print('it runs')")
    (tmp_path / "real" / "loop.py").symlink_to("loop.py")

    async def check_all(client: Client) -> None:
        for file in ("a.py", "./sub/../a.py", str(tmp_path / "real" / "a.py"), str(tmp_path / "link" / "a.py")):
            checked = await call(client, "check", file=file)
            assert (checked.is_error, "a.py is valid" in text(checked)) == (False, True), text(checked)
        for file, sentence in (
            ("loop.py", "loop.py"),
            ("a\0.py", "a\\x00.py is outside the folder"),
            ("sub/../../real.py", "outside the folder"),
            ("", "name a Python file of the project"),
        ):
            refused = await call(client, "check", file=file)
            assert (refused.is_error, sentence in text(refused)) == (True, True), text(refused)

    env = environment(tmp_path / "home")
    parameters = StdioServerParameters(command=str(BIN / "renderer"), args=["mcp", str(tmp_path / "link")], env=env)
    asyncio.run(with_client(lambda: stdio_client(parameters), check_all))


def test_agents_of_the_server_have_the_rights_of_their_token(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with serving(tmp_path / "home", RENDERER_SERVE_BACKENDS="local,docker") as server:
        alice, bob = server.token("--name", "alice", "--trusted"), server.token("--name", "bob", "--trusted")
        assert server.call("POST", "/mcp", json={}).status_code == 401
        assert server.call("GET", "/mcp", token=alice).status_code == 405  # it would stay open, and carry nothing

        async def work(client: Client) -> str:
            wrong = await call(client, "check", code="print('x'")
            assert "scene.py, line 1: '(' was never closed" in text(wrong)
            for given, sentence in (
                ({"code": 3}, "code: write a text"),
                ({}, "code: it is missing"),
                ({"code": "1", "file": "a.py"}, "check has no argument 'file'"),
                ({"code": "1", "files": {"scene.py": "2"}}, "scene.py is sent twice: as code and in files"),
            ):
                wrong = await call(client, "check", **given)
                assert (wrong.is_error, text(wrong).splitlines()[0]) == (True, f"error (exit code 2): {sentence}")
            assert "there is no tool 'run'\nhint: tools are check, preview" in text(await call(client, "run"))
            checked = await call(client, "check", code=TITLE)
            assert (checked.is_error, "scene Title, line 4" in text(checked)) == (False, True), text(checked)
            assert "backend is local or docker" in (client.instructions or "")
            elsewhere = [await call(client, "check", code="1", settings={"backend": n}) for n in ("docker", "modal")]
            assert [answer.is_error for answer in elsewhere] == [False, True], [text(item) for item in elsewhere]
            assert "jobs cannot run on 'modal' here" in text(elsewhere[1])
            done = await call(client, "render", code="import helper", files={"helper.py": "print('it runs')"})
            assert not done.is_error, text(done)
            assert "it runs" in text(await call(client, "logs", job=value(done, "job")))
            writes = "import os, pathlib\nplace = pathlib.Path(os.environ['RENDERER_OUTPUT_DIR'])\n"
            writes += "(place / 'a b.txt').write_text('made')\n(place / 'x.preview.json').write_text('no timeline')"
            written = await call(client, "render", code=writes)
            assert (written.is_error, "x.preview.json is damaged" in text(written)) == (False, True)
            made = value(written, "file")
            assert server.call("GET", made, token=alice).text == "made"
            assert server.call("GET", made, token=bob).status_code == 404
            late = await call(client, "render", code="import time\ntime.sleep(600)", wait_s=0)
            assert "cancelled" in text(await call(client, "cancel", job=value(late, "job")))
            return value(done, "job")

        job = asyncio.run(with_client(lambda: over_http(server, alice), work))

        async def look(client: Client) -> None:
            answer = text(await call(client, "status", job=job))
            assert ("there is no job" in answer, "hint: name a job" in answer, "/api/" in answer) == (True, True, False)

        asyncio.run(with_client(lambda: over_http(server, bob), look))

        # an agent that goes while it waits keeps no call, which would hold up the end of the server
        wanted = {"name": "render", "arguments": {"code": "import time\ntime.sleep(600)", "wait_s": 600}}
        body: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": wanted}
        headers = {"Authorization": f"Bearer {bob}", "Accept": "application/json, text/event-stream"}
        with pytest.raises(requests.ReadTimeout):
            requests.post(f"{server.url}/mcp", json=body, headers=headers, timeout=1)
        until(lambda: bool(server.call("GET", "/api/v1/jobs", token=bob).json()["jobs"]))

        with ThreadPoolExecutor(1) as pool:  # one that waits at the end of the server gets an answer
            body["params"]["arguments"]["code"] += "  # again"
            waits = pool.submit(requests.post, f"{server.url}/mcp", json=body, headers=headers)
            until(lambda: len(server.call("GET", "/api/v1/jobs", token=bob).json()["jobs"]) > 1)
            left = server.call("GET", "/api/v1/jobs", token=bob).json()["jobs"]
            server.end()
        said = waits.result().json()["result"]["content"][0]["text"]
    assert "job: " in said
    printed = capfd.readouterr().err
    assert ("graceful shutdown exceeded" in printed, "Traceback" in printed) == (False, False), printed
    assert renderer("cancel", *(job["handle"] for job in left), cwd=server.home, env=server.env).returncode == 0


def test_a_server_beside_another_version_of_mcp_has_no_tools(tmp_path: Path) -> None:
    (tmp_path / "old" / "mcp").mkdir(parents=True)
    (tmp_path / "old" / "mcp" / "__init__.py").touch()
    with serving(tmp_path / "home", PYTHONPATH=str(tmp_path / "old")) as server:
        assert server.call("POST", "/mcp", json={}).status_code == 404
        assert server.call("GET", "/api/v1/jobs").json()["jobs"] == []


@pytest.mark.parametrize(("argument", "sentence"), [("nothing", "nothing is no folder"), ("--gpus=x", "x")])
def test_wrong_arguments_are_refused_in_words(tmp_path: Path, argument: str, sentence: str) -> None:
    done = renderer("mcp", argument, cwd=tmp_path, env=environment(tmp_path))
    assert (done.returncode, sentence in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("is_gone", [False, True], ids=["Ctrl-C", "gone"])
def test_ends_while_it_waits_for_the_agent(tmp_path: Path, is_gone: bool) -> None:
    facts = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    command: list[str | Path] = [BIN / "renderer", "mcp"]
    pipe, env = subprocess.PIPE, environment(tmp_path)
    with subprocess.Popen(command, cwd=tmp_path, env=env, text=True, stdin=pipe, stdout=pipe, stderr=pipe) as server:
        assert server.stdin
        assert server.stdout
        assert server.stderr
        server.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": facts}) + "\n")
        server.stdin.flush()
        assert json.loads(server.stdout.readline())["result"]["serverInfo"]["name"] == "renderer"
        if is_gone:  # before the answer to this
            server.stdout.close()
            server.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 2, "method": "ping"}) + "\n")
            server.stdin.close()
        else:  # to the thread that reads stdin, as if it came just before the event loop waits
            threads = {int(task.name) for task in Path(f"/proc/{server.pid}/task").iterdir()} - {server.pid}
            assert ctypes.CDLL(None).tgkill(server.pid, threads.pop(), signal.SIGINT) == 0
        assert (server.wait(60), server.stderr.read()) == (0 if is_gone else 130, "")


async def with_client(connect: Callable[[], Any], use: Callable[[Client], Awaitable[T]]) -> T:
    async with Client(connect()) as client:
        return await use(client)


@asynccontextmanager
async def over_http(server: Server, token: str) -> AsyncIterator[Any]:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=600) as http,
        streamable_http_client(f"{server.url}/mcp", http_client=http) as streams,
    ):
        yield streams


async def call(client: Client, name: str, **arguments: Any) -> CallToolResult:
    return await client.call_tool(name, {"wait_s": 300, **arguments} if name in {"preview", "render"} else arguments)


def text(answer: CallToolResult) -> str:
    return "\n".join(item.text for item in answer.content if item.type == "text")


def value(answer: CallToolResult, name: str) -> str:
    """Return what the first line `name: …` of an answer says."""
    return next(line.partition(": ")[2] for line in text(answer).splitlines() if line.startswith(f"{name}: "))


def image(answer: CallToolResult) -> Image.Image:
    (data,) = [item.data for item in answer.content if item.type == "image"]
    return Image.open(io.BytesIO(base64.b64decode(data)))
