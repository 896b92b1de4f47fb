"""Hostile code in an untrusted job of the docker backend, with podman; with gVisor where it is installed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import pytest
from support.processes import until
from support.rigs.docker import BUILD
from support.untrusted import FILL_DISK, PROBE, SECRET, User, services, user

pytestmark = pytest.mark.containers
SAVE = "import os, pathlib\nout = pathlib.Path(os.environ['RENDERER_OUTPUT_DIR'])\n"


@pytest.fixture(scope="module")
def someone() -> Iterator[User]:
    image = subprocess.run([BUILD], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    settings = {"RENDERER_BACKEND": "docker", "RENDERER_DOCKER_ENGINE": "podman", "RENDERER_IMAGE": image}
    with user("root", settings) as found:
        yield found


@pytest.fixture(scope="module")
def found(someone: User) -> dict[str, str]:
    """What came of every attempt of the probe."""
    with services(someone.home) as host:
        secret = [someone.home / ".ssh/id_ed25519", someone.home / "beside/notes.txt", "/etc/shadow"]
        wanted = {
            "read": [*map(str, secret), "/dev/mem", "/dev/sda", "/dev/vda"],
            "write": ["/job/inputs/task.json", "/job/attack", "/usr/bin/attack", "/etc/passwd", "/attack"],
            "list": [str(someone.home), "/root"],
            "connect": [["127.0.0.1", host.port], ["localhost", host.port], ["1.1.1.1", 53]],
            "unix": [host.abstract, host.path, "/run/podman/podman.sock", "/var/run/docker.sock"],
        }
        someone.write("probe.py", PROBE.read_text())
        done = someone.run("submit", "probe.py", "--untrusted", "--", json.dumps(wanted))
        assert done.returncode == 0, done.stderr
        assert host.visits == 0
    result: dict[str, str] = json.loads((someone.home / "project" / "renders" / "probe.json").read_text())
    return result


def test_nothing_outside_the_container_is_reached(found: dict[str, str]) -> None:
    reached = {name for name, text in found.items() if not text.startswith("failed: ")}
    inside = {"environments", "processes", "priority", "raw socket"}  # the last two in the kernel of gVisor
    assert reached <= inside
    assert SECRET not in json.dumps(found)
    assert int(found["processes"]) < 10


def test_nothing_of_the_host_is_mounted_writable_and_nobody_is_root(someone: User) -> None:
    script = f"""{SAVE}
(out / "user.txt").write_text(f"{{os.getuid()}} {{os.getgid()}}")
(out / "mounts.txt").write_text(pathlib.Path("/proc/mounts").read_text())
"""
    done = someone.submit(script, "--output", "mounts")
    assert done.returncode == 0, done.stderr
    made = someone.home / "project" / "mounts"
    assert (made / "user.txt").read_text() == "65532 65532"
    writable = [line.split() for line in (made / "mounts.txt").read_text().splitlines() if " rw" in line]
    assert {
        line[1] for line in writable if line[2] not in {"tmpfs", "proc", "devpts", "mqueue", "cgroup", "sysfs"}
    } <= {"/dev", "/dev/shm"}  # noqa: S108


def test_outputs_and_logs_come_by_the_stream(someone: User) -> None:
    script = f"""{SAVE}
print("a line of the job", flush=True)
(out / "folder").mkdir()
(out / "folder" / "big.bin").write_bytes(bytes(range(256)) * 40_000)
os.symlink("/etc/passwd", out / "link")
os.mkfifo(out / "pipe")
"""
    someone.write("job.py", script)
    handle = someone.run("submit", "job.py", "--untrusted", "--detach").stdout.strip()
    assert someone.run("wait", handle).returncode == 0
    assert "a line of the job" in someone.run("logs", handle).stdout
    done = someone.run("fetch", handle, "--output", "stream")
    assert done.returncode == 0, done.stderr
    made = someone.home / "project" / "stream"
    assert (made / "folder" / "big.bin").read_bytes() == bytes(range(256)) * 40_000
    assert not (made / "link").exists()
    assert not (made / "pipe").exists()


def test_the_disk_is_bounded(someone: User) -> None:
    done = someone.submit(FILL_DISK, "--memory", "600Mi", "--output", "disk")
    assert done.returncode == 0, done.stderr
    assert 2**20 < int((someone.home / "project/disk/size.txt").read_text()) <= 150 * 2**20


def test_a_cancelled_job_leaves_no_container(someone: User) -> None:
    someone.write("job.py", "import time\nprint('up', flush=True)\ntime.sleep(600)\n")
    handle = someone.run("submit", "job.py", "--untrusted", "--detach").stdout.strip()
    until(lambda: "up" in someone.run("logs", handle).stdout)
    name = f"renderer-{handle.removeprefix('docker://')}"
    assert someone.run("cancel", handle).returncode == 0
    listed = ["podman", "ps", "--all", "--format", "{{.Names}}"]
    until(lambda: name not in subprocess.run(listed, capture_output=True, text=True, check=True).stdout)


def test_the_engine_without_a_seccomp_filter_is_refused(someone: User) -> None:
    folder = someone.home / "bin"
    folder.mkdir()
    program = folder / "podman"
    program.write_text('#!/bin/sh\nfor word; do [ "$word" != --format ] || { echo false; exit; }; done\n')
    program.chmod(0o755)
    done = someone.submit("print(1)\n", PATH=f"{folder}:{os.environ['PATH']}")
    assert done.returncode == 4, done.stderr
    assert "podman has no seccomp filter" in done.stderr
