"""A store keeps the packages of jobs, so that the next job with the same ones needs no network."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.processes import until
from support.rigs.kubernetes import Run, kubectl
from support.rigs.package_index import serve_index

from backends import JobState
from backends.exit_codes import ExitCode
from backends.kubernetes.pod.claim import ClaimFolder
from backends.kubernetes.pod.packages import PackageStore
from backends.storage import Storage
from renderer.api import Job

# It prints what its package is, then tries to change it for later jobs, as hostile code would.
HOSTILE = """\
import probe, pathlib
print(probe.ORIGIN)
pathlib.Path(probe.__file__).write_text("ORIGIN = 'the job'")
pathlib.Path("/work/packages.tar.gz").write_bytes(b"of the job")
for folder in ("/control", "/store"):
    try:
        pathlib.Path(folder, "packages").write_text("taken")
    except OSError as error:
        print(type(error).__name__)
"""


@pytest.fixture(params=["claim", "file", pytest.param("s3", marks=pytest.mark.cluster)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Storage | ClaimFolder:
    if request.param == "s3":
        return Storage(f"{request.getfixturevalue('s3')}/{tmp_path.name}")
    return (Storage if request.param == "file" else ClaimFolder)(f"file://{tmp_path}/packages")


def test_only_what_was_signed_for_the_same_job_comes_back_undamaged(
    store: Storage | ClaimFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, target = tmp_path / "archive", tmp_path / "target"
    archive.write_bytes(b"an environment")

    def get(wanted: str = "one", limit: int = 100) -> bool:
        return PackageStore(store, wanted, limit, tmp_path).get(target)

    def put(wanted: str = "one", limit: int = 100) -> None:
        packages = PackageStore(store, wanted, limit, tmp_path)
        packages.get(target)
        with archive.open("rb") as file:
            packages.put(file)

    put(limit=10)
    assert not get()
    put()
    assert get()
    assert target.read_bytes() == b"an environment"
    assert not get("two")
    assert not get(limit=10)
    files = {file.path.rpartition("/")[2]: file.path for file in store.list_files()}
    entry, kept = files.pop("entry.json"), next(iter(files.values()))

    put("two")
    store.get(entry, tmp_path / "entry of one")
    other = next(file.path for file in store.list_files() if file.path.endswith(".json") and file.path != entry)
    store.put(other, tmp_path / "entry of one")
    assert not get("two")

    archive.write_bytes(b"another of this")
    store.put(kept, archive)
    assert not get()
    put()
    assert get()
    assert target.read_bytes() == b"another of this"

    if store.uri.startswith("s3:"):
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of another who writes there")
        assert not get()
        put()
        monkeypatch.undo()
        assert not get()


def test_of_pods_that_start_together_one_installs_and_none_waits_for_a_dead_one(
    store: Storage | ClaimFolder, tmp_path: Path
) -> None:
    def open_store(name: str) -> PackageStore:
        (tmp_path / name).mkdir()
        return PackageStore(store, "one", 100, tmp_path / name)

    first, second, third, fourth, fifth = map(open_store, ("first", "second", "third", "fourth", "fifth"))
    (tmp_path / "archive").write_bytes(b"an environment")
    assert not first.wait(tmp_path / "first" / "target")  # which dies now
    assert not second.wait(tmp_path / "second" / "target", interval_s=0)
    with ThreadPoolExecutor() as threads:
        with second.keep_mark():
            waiting = threads.submit(third.wait, tmp_path / "third" / "target", interval_s=1)
            until((tmp_path / "third" / "installing.copy").exists)
        assert not waiting.result()  # the second one has failed
        assert not fourth.wait(tmp_path / "fourth" / "target")
        with fourth.keep_mark():
            waiting = threads.submit(fifth.wait, tmp_path / "fifth" / "target", interval_s=1)
            until((tmp_path / "fifth" / "installing.copy").exists)
            with (tmp_path / "archive").open("rb") as file:
                fourth.put(file)
        assert waiting.result()
    assert (tmp_path / "fifth" / "target").read_bytes() == b"an environment"
    assert max(file.path.rpartition("/")[2] for file in store.list_files()) == "entry.json"  # no mark is left


def find_host() -> str:
    """Return the address of this machine that pods reach."""
    return str(urlsplit(os.environ["S3_FOR_TESTS"]).hostname)


def read_logs(job: Job, container: str) -> str:
    return kubectl("logs", "-n", job.handle.parts[1], "-l", f"job-name={job.handle.parts[2]}", "-c", container)


def test_packages_are_installed_once_and_a_job_cannot_change_them_for_others(
    run: Run, claim: tuple[str, Path], tmp_path: Path
) -> None:
    name, volume = claim
    requirements = tmp_path / "needs.txt"

    def start(text: str) -> Job:
        return run(text, store=f"pvc://{name}/jobs", gpu="none", requirements=str(requirements))

    old = volume / "jobs" / "packages" / "ab" / "cd.tar.gz"
    old.parent.mkdir(parents=True)
    old.touch()
    os.utime(old, (0, 0))
    for folder in (volume / "jobs", old.parent.parent, old.parent):
        folder.chmod(0o777)
    with serve_index(tmp_path / "index", find_host()) as port:
        requirements.write_text(f"--index-url http://{find_host()}:{port}\nprobe\n")
        first = start(HOSTILE)
        assert first.wait(600).state is JobState.SUCCEEDED, (first.status(), read_logs(first, "packages"))
        assert read_logs(first, "render").split() == ["the", "index", "OSError", "FileNotFoundError"]
        assert not old.exists()

    second = start("import probe\nprint(probe.ORIGIN)\n")
    assert second.wait(600).state is JobState.SUCCEEDED, (second.status(), read_logs(second, "packages"))
    assert read_logs(second, "render") == "the index\n"
    assert read_logs(second, "packages") == "the packages come from the store\n"

    (archive,) = volume.glob("jobs/packages/*/*.tar.gz")
    archive.write_bytes(os.urandom(archive.stat().st_size))
    third = start("import probe\nprint('no code of a damaged entry')\n")
    status = third.wait(600)
    assert status.exit_code == ExitCode.USER_CODE, status
    assert "the job has no network to their index" in str(status.reason)
    assert "renderer image build --with" in str(status.reason)

    with serve_index(tmp_path / "index", find_host(), port):
        fourth = start("import probe\nprint('again', probe.ORIGIN)\n")
        assert fourth.wait(600).state is JobState.SUCCEEDED, (fourth.status(), read_logs(fourth, "packages"))
    assert len(list(volume.glob("jobs/packages/*/entry.json"))) == 1
    assert len(list(volume.glob("jobs/packages/*/*.tar.gz"))) == 2  # that which the entry names is the new one

    kept = {str(path.relative_to(volume)) for path in volume.glob("jobs/packages/*/*")}
    for dry_run in (True, False):
        assert {str(path.relative_to(volume)) for path in volume.glob("jobs/packages/*/*")} == kept
        found = list(fourth.backend.collect_garbage(older_than=timedelta(0), dry_run=dry_run))
        assert {item.path.removeprefix(f"pvc://{name}/") for item in found if item.removed is not dry_run} == kept
    assert not list(volume.glob("jobs/packages/*/*"))
