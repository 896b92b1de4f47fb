"""Measures `renderer serve`: many clients that follow many jobs, and how much longer a submit takes than by command.

``.venv/bin/python benchmarks/serve.py --clients 200 --jobs 50 --seconds 60`` prints: events that were lost, the 95th
percentile of a status request while all clients follow, the memory before, in the middle and at the end, and medians of
submits.

With ``--faults`` it prints what happens, and the memory of the server, with: clients that follow a job and read
nothing, clients that go away, an upload of 1 GiB that breaks off, and a list of 10,000 jobs (``--listed``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import requests

BIN = Path(sys.executable).parent
COUNTER = """import time
for number in range({lines}):
    print("line", number, flush=True)
    time.sleep({pause})
"""
SUBMITS = 7
LOOKS = 20  # requests of a kind
SLOW, GONE = 20, 200
PRINTER = """for number in range(200_000):
    print("line", number, "x" * 100)
"""
UPLOAD = 2**30


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--listed", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        env = {"PATH": "/usr/bin:/bin", "HOME": folder, "RENDERER_OUTPUT": "out", "RENDERER_BUNDLE_LIMIT_MIB": "2048"}
        with serve(home, env) as (url, process):
            if given.faults:
                read_slowly(url, process)
                go_away(url, process)
                break_off(url, process)
                copy = call(f"{url}/api/v1/jobs", {"code": "pass\n", "file": "job.py"})
                wait_for_end(url, copy["id"])
            else:
                compare_submits(url, home, env)
                asyncio.run(follow(url, process, given.clients, given.jobs, given.seconds))
        if given.faults:
            make_jobs(home / ".local" / "state" / "manim-renderer", copy, given.listed)
            with serve(home, env) as (url, process):
                list_jobs(url, process)


@contextmanager
def serve(home: Path, env: dict[str, str]) -> Iterator[tuple[str, psutil.Process]]:
    """Yield the address of a server and its process."""
    server = subprocess.Popen(
        [BIN / "renderer", "serve", "--port", "0"], cwd=home, env=env, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout
        yield server.stdout.readline().strip(), psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait()


def call(url: str, body: object = None) -> Any:
    answer = requests.get(url, timeout=60) if body is None else requests.post(url, json=body, timeout=60)
    answer.raise_for_status()
    return answer.json()


def compare_submits(url: str, home: Path, env: dict[str, str]) -> None:
    (home / "job.py").write_text("pass\n")
    by_api, by_command = [], []
    for _ in range(SUBMITS):
        started = time.perf_counter()
        call(f"{url}/api/v1/jobs", {"code": "pass\n", "file": "job.py"})
        by_api.append(time.perf_counter() - started)
        started = time.perf_counter()
        subprocess.run([BIN / "renderer", "submit", "job.py", "-d"], cwd=home, env=env, check=True, capture_output=True)
        by_command.append(time.perf_counter() - started)
    api, command = (statistics.median(times) * 1000 for times in (by_api, by_command))
    print(f"submit: {api:.0f} ms through the API, {command:.0f} ms by command (medians of {SUBMITS})")


async def follow(url: str, process: psutil.Process, clients: int, jobs: int, seconds: float) -> None:
    lines = int(seconds)
    code = COUNTER.format(lines=lines, pause=1)
    made = [
        call(f"{url}/api/v1/jobs", {"code": code, "file": "job.py", "name": f"job {number}"})["id"]
        for number in range(jobs)
    ]
    times, stop = list[float](), threading.Event()
    before = process.memory_info().rss

    def ask() -> None:
        while not stop.wait(0.1):
            started = time.perf_counter()
            call(f"{url}/api/v1/jobs/{made[len(times) % jobs]}")
            times.append(time.perf_counter() - started)

    asking = threading.Thread(target=ask)
    asking.start()
    used = sum(process.cpu_times()[:2])
    middle = asyncio.create_task(read_memory(process, seconds / 2))
    counts = await asyncio.gather(*(count_lines(url, made[number % jobs]) for number in range(clients)))
    used = sum(process.cpu_times()[:2]) - used
    stop.set()
    asking.join()
    lost = clients * lines - sum(counts)
    memory = [f"{rss / 2**20:.0f} MiB" for rss in (before, await middle)] + [show_memory(process)]
    print(f"{clients} clients followed {jobs} jobs: {lost} of {clients * lines} lines lost")
    print(f"status request: 95th percentile {statistics.quantiles(times, n=20)[-1] * 1000:.0f} ms of {len(times)}")
    print(f"server: {used:.0f} s of CPU time, memory {memory[0]} before, {memory[1]} in the middle, {memory[2]} after")


async def read_memory(process: psutil.Process, seconds: float) -> int:
    """Return how many bytes the process has after so many seconds: what grows until then are buffers that fill."""
    await asyncio.sleep(seconds)
    return int(process.memory_info().rss)


async def count_lines(url: str, key: str) -> int:
    """Return how many lines of the job's own arrived until its end."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET /api/v1/jobs/{key}/events HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    count, is_log = 0, False
    async for raw in reader:
        line = raw.decode().strip()
        if line.startswith("event: "):
            is_log = line == "event: log"
        elif is_log and line.startswith("data: "):
            count += sum(item["text"].startswith("line ") for item in json.loads(line.removeprefix("data: ")))
    writer.close()
    return count


def show_memory(process: psutil.Process) -> str:
    return f"{process.memory_info().rss / 2**20:.0f} MiB"


def connect(url: str, request: str) -> socket.socket:
    """Return a connection over which a request was sent. It takes few bytes that nobody reads."""
    host, _, port = url.removeprefix("http://").partition(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((host, int(port)))
    connection.sendall(f"{request}\r\nHost: localhost\r\nConnection: close\r\n".encode())
    return connection


def wait_for(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.1)


def wait_for_end(url: str, key: str) -> None:
    wait_for(lambda: call(f"{url}/api/v1/jobs/{key}")["finished"] is not None)


def read_slowly(url: str, process: psutil.Process) -> None:
    """Follow a job that prints a lot, and read nothing before it has ended."""
    before = show_memory(process)
    key = call(f"{url}/api/v1/jobs", {"code": PRINTER, "file": "job.py"})["id"]
    readers = [connect(url, f"GET /api/v1/jobs/{key}/events HTTP/1.1") for _ in range(SLOW)]
    for reader in readers:
        reader.sendall(b"\r\n")
    wait_for_end(url, key)
    started = time.perf_counter()
    call(f"{url}/api/v1/jobs")
    took, after = time.perf_counter() - started, show_memory(process)
    lines = missed = 0
    with readers[0], readers[0].makefile() as answer:
        for name in answer:
            if name.startswith("event: "):
                data = json.loads(next(answer).removeprefix("data: "))
                lines += len(data) if name == "event: log\n" else 0
                missed += data["lines"] if name == "event: gap\n" else 0
    for reader in readers[1:]:
        reader.close()
    print(f"{SLOW} clients that read nothing: one then got {lines} lines, and that {missed} were left out")
    print(f"  memory {before} before, {after} while they waited; a list took {took * 1000:.0f} ms")


def go_away(url: str, process: psutil.Process) -> None:
    """Follow a job that prints nothing, and close the connections."""
    key = call(f"{url}/api/v1/jobs", {"code": "import time\ntime.sleep(600)\n", "file": "job.py"})["id"]
    before, memory, old = process.num_threads(), show_memory(process), count_connections(process)
    for _ in range(GONE):
        with connect(url, f"GET /api/v1/jobs/{key}/events HTTP/1.1") as client:
            client.sendall(b"\r\n")
            client.recv(1)
    wait_for(lambda: count_connections(process) <= old)
    print(
        f"{GONE} clients that went away: {before} threads before, {process.num_threads()} after, "
        f"memory {memory} before, {show_memory(process)} after, no connection is left"
    )
    call(f"{url}/api/v1/jobs/{key}/cancel", {})


def count_connections(process: psutil.Process) -> int:
    return sum(item.status != "LISTEN" for item in process.net_connections())


def break_off(url: str, process: psutil.Process) -> None:
    """Send all but the end of a large upload."""
    before, block, open_files = show_memory(process), bytes(2**20), process.num_fds()
    with connect(url, "POST /api/v1/jobs/upload HTTP/1.1") as client:
        head = f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {UPLOAD}\r\n\r\n"
        part = '--x\r\nContent-Disposition: form-data; name="files"; filename="a.py"\r\n\r\n'
        client.sendall(f"{head}{part}".encode())
        for _ in range(UPLOAD // len(block) - 1):
            client.sendall(block)
        during, used = show_memory(process), spooled_bytes(process)
    wait_for(lambda: process.num_fds() <= open_files)
    print(
        f"an upload of 1 GiB that breaks off: memory {before} before, {during} at the end; "
        f"{used / 2**20:.0f} MiB on the disk then, {spooled_bytes(process) / 2**20:.0f} MiB after it"
    )


def spooled_bytes(process: psutil.Process) -> int:
    """Return how many bytes are in files without a name that a process has open: uploads that are on the disk."""
    files = [item for item in Path(f"/proc/{process.pid}/fd").iterdir() if "(deleted)" in str(item.readlink())]
    return sum(item.stat().st_size for item in files)


def make_jobs(state: Path, job: dict[str, Any], count: int) -> None:
    """Make copies of a job that has ended, each a minute older, half of them as if they came through the server."""
    one = state / "jobs" / job["handle"].removeprefix("local://")
    ours = json.loads((one / "job.json").read_text())
    record = json.loads((state / "serve" / job["id"] / "record.json").read_text())
    for number in range(count):
        created = (datetime.fromisoformat(ours["created"]) - timedelta(minutes=number)).isoformat()
        copy = one.with_name(f"copy-{number:06x}")
        shutil.copytree(one, copy)
        (copy / "job.json").write_text(json.dumps({**ours, "created": created}))
        if number % 2:
            folder = state / "serve" / f"{number:024x}"
            folder.mkdir()
            (folder / "record.json").write_text(json.dumps({**record, "id": folder.name, "created": created}))
            (folder / "handle").write_text(f"local://{copy.name}")


def list_jobs(url: str, process: psutil.Process) -> None:
    """Ask for parts of a long list, each once before it is measured: what has ended is read once."""
    page = call(f"{url}/api/v1/jobs")
    assert len(page["jobs"]) == 50
    for what, query in (("newest", ""), ("next", f"?cursor={page['next']}"), ("failed", "?state=failed")):
        first = measure(process, lambda query=query: call(f"{url}/api/v1/jobs{query}"))  # type: ignore[misc]
        again = [measure(process, lambda query=query: call(f"{url}/api/v1/jobs{query}")) for _ in range(LOOKS)]  # type: ignore[misc]
        print(
            f"the {what} jobs of a long list: {first:.0f} ms of CPU time, then {statistics.mean(again):.0f} ms, "
            f"memory {show_memory(process)}"
        )


def measure(process: psutil.Process, action: Callable[[], object]) -> float:
    """Return the milliseconds of CPU time that the server takes for an action."""
    used = sum(process.cpu_times()[:2])
    action()
    return 1000 * (sum(process.cpu_times()[:2]) - used)


if __name__ == "__main__":
    main()
