"""Measures `renderer serve`: many clients that follow many jobs, and how much longer a submit takes than by command.

``.venv/bin/python benchmarks/serve.py --clients 200 --jobs 50 --seconds 60`` prints: events that were lost, the 95th
percentile of a status request while all clients follow, the memory before, in the middle and at the end, and medians of
submits.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        env = {"PATH": "/usr/bin:/bin", "HOME": folder, "RENDERER_OUTPUT": "out"}
        server = subprocess.Popen(
            [BIN / "renderer", "serve", "--port", "0"], cwd=home, env=env, stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout
            url = server.stdout.readline().strip()
            compare_submits(url, home, env)
            asyncio.run(follow(url, server.pid, given.clients, given.jobs, given.seconds))
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


async def follow(url: str, pid: int, clients: int, jobs: int, seconds: float) -> None:
    lines = int(seconds)
    code = COUNTER.format(lines=lines, pause=1)
    made = [
        call(f"{url}/api/v1/jobs", {"code": code, "file": "job.py", "name": f"job {number}"})["id"]
        for number in range(jobs)
    ]
    process, times, stop = psutil.Process(pid), list[float](), threading.Event()
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
    memory = [f"{rss / 2**20:.0f} MiB" for rss in (before, await middle, process.memory_info().rss)]
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


if __name__ == "__main__":
    main()
