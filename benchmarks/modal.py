"""How quickly a job reaches Modal: ``.venv/bin/python benchmarks/modal.py`` prints one JSON object.

Measured against the fake Modal server in one run, submits and bare calls of the same function in turn. The time
of the network and of Modal's servers is not included. ``submit_seconds`` over ``spawn_seconds`` may be 0.3 s at most.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.modal_server import FakeModal
    from support.rigs.base import Rig

sys.path[0] = str(Path(__file__).parents[1] / "tests")  # replaces this folder, in which `import modal` finds this file

ROUNDS = 7
JOB = "import time\nfor number in range(20):\n    print(time.time(), flush=True)\n    time.sleep(0.05)\n"


def main() -> None:
    from support.modal_server import FakeModal
    from support.rigs.modal import environment

    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, FakeModal() as fake, environment(fake):
        started = {"fake_start_seconds": round(time.monotonic() - began, 3)}
        (Path(folder) / "project").mkdir()
        (Path(folder) / "project" / "job.py").write_text(JOB)
        print(json.dumps(started | measure(fake, Path(folder)), indent=2))


def measure(fake: FakeModal, folder: Path) -> dict[str, object]:
    import modal
    from support.rigs.base import Rig

    from backends.modal.request import FUNCTION, app_name

    rig = Rig("modal", {"modal.state_dir": folder / "jobs"})
    path = folder / "project" / "job.py"
    began = time.monotonic()
    rig.submit(path).wait(60)
    first = time.monotonic() - began
    delays = log_delays(rig, path)
    with fake.faults(no_capacity=True):  # no container runs beside the measurement
        submits, spawns = [], []
        function = modal.Function.from_name(app_name(), FUNCTION)
        payload = {"unit": 0, "command": ["true"], "env": {}}
        for _ in range(ROUNDS):
            fake.state.requests.clear()
            began = time.monotonic()
            rig.submit(path)
            submits.append(time.monotonic() - began)
            calls = fake.rpcs()
            began = time.monotonic()
            function.spawn(payload)
            spawns.append(time.monotonic() - began)
        for call in list(fake.state.calls):
            modal.FunctionCall.from_id(call).cancel()
    return {
        "first_job_seconds": round(first, 3),
        "submit_seconds": round(statistics.median(submits), 3),
        "spawn_seconds": round(statistics.median(spawns), 3),
        "submit_over_spawn_seconds": round(statistics.median(submits) - statistics.median(spawns), 3),
        "calls_of_submit": calls,
        "uploads_of_unchanged_bundle": calls.count("VolumePutFiles2"),
        "log_line_delay_seconds_median": round(statistics.median(delays), 3),
        "log_line_delay_seconds_max": round(max(delays), 3),
        "cpus": os.cpu_count(),
    }


def log_delays(rig: Rig, path: Path) -> list[float]:
    return [time.time() - float(line.text) for line in rig.submit(path).logs(follow=True)]


if __name__ == "__main__":
    main()
