"""What renderer costs on a Kubernetes cluster, compared with kubectl doing the same in the same run.

    make cluster-up; . .cluster.env; .venv/bin/python benchmarks/k8s.py [--runs 5]

Both are measured in turn (A B A B …), and medians are printed, because machines are noisy.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from backends import JobState
from backends.kubernetes import names
from backends.kubernetes.backend import KubernetesBackend
from backends.kubernetes.transfer.download import download_stream
from backends.untrusted import Limits
from renderer import api, config
from renderer.api import Job
from renderer.spec import RenderSpec

BIN = Path(sys.executable).parent
FLAGS = {"backend": "k8s", "cpu": 0.5, "memory": "2Gi", "k8s.ephemeral_storage": "1Gi", "k8s.collect_timeout": "10m"}
OPTIONS = ["--backend", "k8s", "--cpu", "0.5", "--memory", "2Gi", "--ephemeral-storage", "1Gi"]
MIB = 2**20
WAYS = ("renderer", "kubectl")
IDLE_PERCENT = 10
UNITS_PER_POD, PODS = 25, 6
MINUTE_S = 60
LINES = "import time\nfor i in range({}): print(time.time(), flush=True); time.sleep({})\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", choices=("start", "foreign", "units", "calls", "logs", "collecting", "memory"))
    given = parser.parse_args()
    runs = given.runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        parts: dict[str, Callable[[], None]] = {
            "start": lambda: start(folder, runs),
            "foreign": lambda: foreign(folder, runs),
            "units": lambda: units(folder, runs),
            "calls": lambda: calls(folder),
            "logs": lambda: log_latency(folder),
            "collecting": lambda: collecting(folder, runs),
            "memory": lambda: memory(folder),
        }
        for name_of_part, part in parts.items():
            if given.only in {None, name_of_part}:
                part()


def report(what: str, value: str, bound: str) -> None:
    print(f"{what:<66} {value:>10}   {bound}", flush=True)


def submit(folder: Path, text: str, **flags: Any) -> Job:
    path = script(folder, text)
    return api.plan(RenderSpec(path=path), config.load({**FLAGS, **flags})).submit()


def script(folder: Path, text: str, name: str = "job.py") -> Path:
    """Write a script into a folder of its own, which becomes the bundle."""
    path = folder / name.removesuffix(".py") / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def start(folder: Path, runs: int) -> None:
    """Measure the time from the command to the start of the container, for two equal manifests with different names.

    Different, because Kubernetes delays a Job whose name another Job has just had.
    """
    pairs = []
    for run in range(runs + 1):
        peer, ours = (script(folder, f"import time\ntime.sleep(60)  # {run} {way}\n", f"{way}.py") for way in WAYS)
        text = subprocess.run(
            [BIN / "renderer", "manifest", peer, *OPTIONS], cwd=folder, check=True, capture_output=True, text=True
        ).stdout
        (folder / "manifest.yaml").write_text(text)
        pair = (
            until_started([BIN / "renderer", "submit", ours, *OPTIONS], folder),
            until_started(["kubectl", "apply", "-f", "manifest.yaml"], folder),
        )
        if run:  # the first pair warms caches
            pairs.append(pair)
            print(" ".join(f"{way} {wall:.2f} s ({cpu:.2f})" for way, (wall, cpu) in zip(WAYS, pair, strict=True)))
    for what, number, bound in (
        ("to Running", 0, "at most 0.3 s"),
        ("in CPU time", 1, "what a machine without load adds"),
    ):
        median = statistics.median(ours[number] - peer[number] for ours, peer in pairs)
        report(f"submit {what}, more than kubectl apply", f"{median:.3f} s", bound)


def foreign(folder: Path, runs: int) -> None:
    """Measure the time to the start of the container for an image that has nothing of renderer, and for ours.

    Both are on the node already, as is the image of the init container that brings the worker.
    """
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from support.rigs.kubernetes import push_foreign_image

    images = {"ours": os.environ["CLUSTER_IMAGE"], "foreign": push_foreign_image("debian")}
    found: dict[str, list[float]] = {name: [] for name in images}
    for run in range(runs + 1):
        for name, image in images.items():
            path = script(folder, f"import time\ntime.sleep(60)  # {run}\n", f"{name}.py")
            seconds, _ = until_started([BIN / "renderer", "submit", path, *OPTIONS, "--image", image], folder)
            if run:  # the first brings the images to the node
                found[name].append(seconds)
    print(*(f"{name} {' '.join(f'{seconds:.2f}' for seconds in each)} s" for name, each in found.items()), sep="\n")
    ours, other = (statistics.median(each) for each in found.values())
    report("submit to Running of a foreign image, more than of ours", f"{other - ours:.3f} s", "at most 1 s")


def until_started(command: list[Any], folder: Path) -> tuple[float, float]:
    """Run the command until its container has started, then remove everything. Return wall and CPU seconds.

    It waits for the kubelet's event, because the kubelet updates the pod's phase only once a second.
    """
    container = f"spec.containers{{{names.CONTAINER}}}"  # not of init containers
    started = ["events", "--field-selector", f"reason=Started,involvedObject.fieldPath={container}"]
    subprocess.run(["kubectl", "delete", *started], check=True, capture_output=True)  # those of earlier runs
    watch = subprocess.Popen(["kubectl", "get", *started, "--watch", "-o", "name"], stdout=subprocess.PIPE)
    assert watch.stdout
    while psutil.cpu_percent(0.5) > IDLE_PERCENT:  # the node still cleans up after the last run
        pass
    begin = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if not watch.stdout.readline():
        raise SystemExit("kubectl cannot watch events")
    seconds = time.monotonic() - begin
    os.kill(process.pid, signal.SIGTERM)  # not yet waited for, whatever became of it
    used = os.wait4(process.pid, 0)[2]
    watch.terminate()
    watch.wait()
    watch.stdout.close()
    everything = ["kubectl", "delete", "job,configmap", "-l", "app.kubernetes.io/name=manim-renderer"]
    subprocess.run([*everything, "--cascade=foreground", "--wait"], check=True, capture_output=True)
    return seconds, used.ru_utime + used.ru_stime


def units(folder: Path, runs: int) -> None:
    """Measure the CPU time of short scenes that have a pod each, and of those that share one, with all that pods do."""
    play = "self.play(Create(Circle(1 + {0} / 99)), run_time=2)"
    scene = f"class Scene{{0}}(Scene):\n    def construct(self):\n        {play}\n"
    text = "from manim import *\n" + "".join(scene.format(number) for number in range(UNITS_PER_POD))
    path = script(folder, text, "short.py")
    scenes = tuple(f"Scene{number}" for number in range(UNITS_PER_POD))
    found: dict[int, list[float]] = {1: [], UNITS_PER_POD: []}
    for run in range(runs):
        for per_pod, chosen in ((1, scenes[:PODS]), (UNITS_PER_POD, scenes)):
            flags = {
                **FLAGS,
                "gpu": "none",
                "quality": "l",
                "k8s.units_per_pod": per_pod,
                "k8s.labels": {"run": f"{run}"},
            }
            before = read_cpu_of_pods()
            job = api.plan(RenderSpec(path=path, scenes=chosen), config.load(flags)).submit()
            assert job.wait(600).state is JobState.SUCCEEDED
            found[per_pod].append((read_cpu_of_pods() - before) / len(chosen))
            job.delete()
    alone, shared = (statistics.median(each) for each in found.values())
    report("a scene of 2 s in a pod of its own", f"{alone:.2f} s", "of CPU time")
    report(f"one of {UNITS_PER_POD} in a pod", f"{shared:.2f} s", f"{alone / shared:.1f} times less; at least 4")


def read_cpu_of_pods() -> float:
    """Return the CPU seconds of all pods that this machine has had since it started, by the kernel's account."""
    by_cgroup_v1 = Path("/sys/fs/cgroup/cpuacct/kubepods/cpuacct.usage")
    if by_cgroup_v1.exists():
        return int(by_cgroup_v1.read_text()) / 1e9
    usage, _, _ = Path("/sys/fs/cgroup/kubepods/cpu.stat").read_text().partition("\n")
    return int(usage.removeprefix("usage_usec ")) / 1e6


def calls(folder: Path) -> None:
    job = submit(folder, "print('calls')\n")
    assert isinstance(job.backend, KubernetesBackend)
    report("API calls of a submit", str(job.backend.api().calls), "RuntimeClass, Job, ConfigMap")
    job.delete()


def log_latency(folder: Path) -> None:
    job = submit(folder, LINES.format(40, 0.1))
    late = [time.time() - float(line.text) for line in job.logs(follow=True)]
    report("a log line is shown after, median", f"{statistics.median(late[5:]):.3f} s", "")
    report("a log line is shown after, slowest", f"{max(late[5:]):.3f} s", "at most 0.5 s")
    job.delete()


def collecting(folder: Path, runs: int) -> None:
    """Measure the download of 64 MiB from a pod, by kubectl and by renderer."""
    write = "pathlib.Path(os.environ['RENDERER_OUTPUT_DIR'], 'big').write_bytes(os.urandom(2**26))"
    job = submit(folder, f"import os, pathlib\n{write}\n")
    context, namespace, name = job.handle.parts
    backend = job.backend
    assert isinstance(backend, KubernetesBackend)
    kubectl = ["kubectl", "-n", namespace]
    selector = f"batch.kubernetes.io/job-name={name}"
    deadline = time.monotonic() + 60
    while not (pods := json.loads(output([*kubectl, "get", "pods", "-l", selector, "-o", "json"]))["items"]):
        assert time.monotonic() < deadline
    pod = pods[0]["metadata"]["name"]
    output([*kubectl, "wait", "--for=condition=Ready", "--timeout=60s", f"pod/{pod}"])
    ratios = []
    for run in range(runs):
        with (folder / "peer.tar").open("wb") as file:
            tar = [*kubectl, "exec", pod, "--", "tar", "-C", "/work/units", "-cf", "-", "."]
            peer = timed(lambda tar=tar, file=file: subprocess.run(tar, check=True, stdout=file))
        target = folder / f"ours-{run}"
        ours = timed(lambda target=target: download_stream(backend.api(context), namespace, pod, target, Limits()))
        target.unlink()
        ratios.append(peer / ours)
    report(
        "64 MiB without a store: our rate, as a part of kubectl exec tar's",
        f"{statistics.median(ratios):.2f}",
        "at least 0.50",
    )
    job.delete()


def memory(folder: Path) -> None:
    """Measure how much the client's memory grows after a tenth of the work, and how many requests waiting costs."""
    job = submit(folder, LINES.format(10_000, 0))
    early = 0
    for number, _ in enumerate(job.logs(follow=True)):
        early = peak_kib() if number == 1_000 else early
    report("client's memory, growth from 1,000 to 10,000 log lines", f"{(peak_kib() - early) / 1024:.1f} MiB", "flat")
    assert job.wait(60).state is JobState.SUCCEEDED
    job.delete()
    scenes = "".join(f"class S{i}(Scene): pass\n" for i in range(1000))
    path = script(folder, f"from manim import *\n{scenes}", "many.py")
    loaded = config.load({**FLAGS, "gpu": "H100"})  # which no node has: a thousand pods wait
    job = api.plan(RenderSpec(path=path, every=True), loaded).submit()
    deadline = time.monotonic() + 300
    while len(pods_of(job)) < 1000:
        assert time.monotonic() < deadline
    for number in range(100):
        assert len(job.status().units) == 1000
        early = peak_kib() if number == 10 else early
    report("client's memory, growth over 100 statuses of 1,000 units", f"{(peak_kib() - early) / 1024:.1f} MiB", "flat")
    assert isinstance(job.backend, KubernetesBackend)
    server, begin, counts = job.backend.api(), time.monotonic(), {0: 0, 1: 0}
    before = server.calls
    with suppress(TimeoutError):
        job.wait(
            120, on_status=lambda _: counts.update({int(time.monotonic() - begin > MINUTE_S): server.calls - before})
        )
    report("API calls in the first minute of waiting for 1,000 units", str(counts[0]), "")
    report("API calls in the second", str(counts[1] - counts[0]), "")
    job.delete()


def pods_of(job: Job) -> list[str]:
    _, namespace, name = job.handle.parts
    selector = f"batch.kubernetes.io/job-name={name}"
    return output(["kubectl", "-n", namespace, "get", "pods", "-o", "name", "-l", selector]).split()


def peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def timed(action: Callable[[], object]) -> float:
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


def output(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
