"""Outputs of hostile jobs: they land beneath the output folder, and over nothing that is the user's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Collection, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from support.commands import output

from backends import Backend, JobHandle, JobSpec, JobState, JobStatus, LogLine, Plan, UnitStatus
from backends.diagnostics import Check
from backends.errors import OutputError
from backends.exit_codes import ExitCode
from backends.models import Garbage
from backends.untrusted import Limits
from backends.worker_protocol import Output, UnitResult
from renderer import fetch, output_folder

HANDLE = JobHandle("local", ("job-1",))


class Made(Backend[None]):
    """A backend with one job, whose units made what the test says: files by name, or the bytes of result.json.

    ``finish`` is what the job does last, in the folder of the units.
    """

    def __init__(self, options: Any = None, finish: Callable[[Path], object] = lambda _: None) -> None:
        self.units: dict[str, dict[str, bytes] | bytes] = options
        self.finish = finish

    def status(self, handle: JobHandle) -> JobStatus:
        units = tuple(UnitStatus(name=name, state=JobState.SUCCEEDED) for name in self.units)
        return JobStatus(handle=handle, name="job", state=JobState.SUCCEEDED, units=units)

    def fetch(self, handle: JobHandle, into: Path, units: Collection[int] | None = None) -> list[Path]:  # noqa: ARG002  # there is one job
        folders = []
        for index, (name, made) in enumerate(self.units.items()):
            folder = into / str(index)
            folder.mkdir()
            folders.append(folder)
            (folder / "result.json").write_bytes(made if isinstance(made, bytes) else result(name, made))
            for path, data in ({} if isinstance(made, bytes) else made).items():
                (folder / "files" / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / "files" / path).write_bytes(data)
        self.finish(into)
        return folders

    def plan(self, spec: JobSpec) -> Plan[None]:
        raise NotImplementedError

    def submit(self, plan: Plan[None]) -> JobHandle:
        raise NotImplementedError

    def logs(self, handle: JobHandle, *, follow: bool = False) -> Iterator[LogLine]:
        raise NotImplementedError

    def cancel(self, handle: JobHandle) -> None:
        raise NotImplementedError

    def list(self) -> Iterator[JobStatus]:
        raise NotImplementedError

    def delete(self, handle: JobHandle) -> None:
        raise NotImplementedError

    def doctor(self, *, image: str | None = None, store: str | None = None) -> Iterator[Check]:
        raise NotImplementedError

    def collect_garbage(self, *, older_than: Any, dry_run: bool = False) -> Iterator[Garbage]:
        raise NotImplementedError


def result(unit: str, files: dict[str, bytes]) -> bytes:
    outputs = tuple(Output(path=path, size=len(data), sha256=sha256(data).hexdigest()) for path, data in files.items())
    return UnitResult(unit=unit, exit_code=0, outputs=outputs).to_json().encode()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def bring(
    out: Path, units: dict[str, dict[str, bytes] | bytes], *, handle: JobHandle = HANDLE, overwrite: bool = False
) -> list[str]:
    files = fetch.download(Made(units), handle, out, overwrite=overwrite)
    return [path.relative_to(out).as_posix() for path in files]


def tree(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: data for name, data in found.items() if name != ".rendererignore"}


def test_the_name_of_a_unit_in_its_result_counts_for_nothing(out: Path) -> None:
    forged = json.loads(result("B", {"a": b"evil"}))
    forged["unit"] = "../../home/.ssh"
    made = Made(
        {"A": {"a": b"1"}, "B": {"a": b"evil"}},
        finish=lambda into: (into / "1" / "result.json").write_text(json.dumps(forged)),
    )
    fetch.download(made, HANDLE, out)
    assert tree(out) == {"a": b"1", "B-1/a": b"evil"}
    assert sorted(path.name for path in out.parent.iterdir()) == ["out", "state"]


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", ".", "a\nb", "a\\b", "x" * 300])
def test_a_bad_name_is_the_failure_of_its_unit_alone(name: str, out: Path) -> None:
    units: dict[str, dict[str, bytes] | bytes] = {"A": result("A", {name: b"x"}), "B": {"b": b"2"}}
    with pytest.raises(OutputError, match="the result of A is damaged"):
        bring(out, units)
    assert tree(out) == {"b": b"2"}


@pytest.mark.parametrize("data", [b'["x"]', b"", b"[" * 10**5, b"null"])
def test_a_result_that_is_none_is_the_failure_of_its_unit_alone(data: bytes, out: Path) -> None:
    with pytest.raises(OutputError, match="the result of A is damaged"):
        bring(out, {"A": data, "B": {"b": b"2"}})
    assert tree(out) == {"b": b"2"}


@pytest.mark.parametrize("kind", ["missing", "link", "other", "result"])
def test_files_that_are_not_what_the_result_says_are_the_failure_of_their_unit_alone(kind: str, out: Path) -> None:
    def damage(into: Path) -> None:
        file = into / "0" / ("result.json" if kind == "result" else "files/a")
        file.unlink()
        if kind == "other":
            file.write_bytes(b"3")
        elif kind != "missing":
            file.symlink_to("/etc/passwd")

    with pytest.raises(OutputError, match=r"damaged|not a regular file"):
        fetch.download(Made({"A": {"a": b"1"}, "B": {"b": b"2"}}, finish=damage), HANDLE, out)
    assert tree(out) == {"b": b"2"}


def test_names_that_clash_get_folders_that_the_job_does_not_choose(out: Path) -> None:
    units: dict[str, dict[str, bytes] | bytes] = {
        "A": {"x": b"1", "y/z": b"2"},
        "B": {"X": b"3", "x/deep": b"4", "y": b"5"},
        "../C": {"x": b"6"},
    }
    assert bring(out, units) == ["x", "y/z", "B-1/X", "B-1-2/x/deep", "B-1/y", "_C-2/x"]


# Files that programs run or take their settings from. No list of them is complete.
ACTED_ON = [
    "renderer.toml", "PYPROJECT.toml", "manim.cfg", ".gitignore", ".rendererignore", ".git/hooks/pre-commit",
    "manim.py", "sub/renderer.toml", "sub/.envrc", "sitecustomize.py", "Makefile", "x.pth", "_x.so", "Justfile",
    "conftest.py", "\uff2dakefile", "makefile.", "x.p\uff59", "CLAUDE.md", "CMakeLists.txt", "x.PY ",
    "-rf", "--checkpoint-action=exec=sh film.mp4", "\uff0drf",
]  # fmt: skip
ONLY_IN_PROJECTS = [
    "x.sh", "index.js", "index.html", "requirements.txt", "tsconfig.json", "README", "a.mp4/b", "x.mp4.", "x",
    "main.go", "a.svg", "compose.yaml", "x.ba\u017fh", "deno.lock", "test.rb", "x.ipynb", "x.pkl", "bin/tool",
]  # fmt: skip


@pytest.mark.parametrize("name", ACTED_ON)
def test_files_that_programs_act_on_get_a_folder_of_their_own(name: str, out: Path) -> None:
    assert bring(out, {"A": {name: b"evil", "film.mp4": b"1"}}) == [f"A-0/{name}", "film.mp4"]


@pytest.mark.parametrize("name", [*ACTED_ON, *ONLY_IN_PROJECTS])
def test_only_films_images_and_numbers_go_among_the_files_of_a_project(name: str, out: Path) -> None:
    out.mkdir()
    (out / "scene.py").write_bytes(b"mine")
    files = {name: b"evil", "film.mp4": b"1", "sub/a.PNG": b"2", "\uff41.\uff43\uff53\uff56": b"3"}
    assert bring(out, {"A": files}) == [f"A-0/{name}", *list(files)[1:]]


@pytest.mark.parametrize("make", [True, False])
def test_a_new_or_empty_folder_gets_all_other_files_also_later(make: bool, out: Path) -> None:
    if make:
        out.mkdir()
    for text in (b"1", b"2"):
        assert bring(out, {"A": {name: text for name in ONLY_IN_PROJECTS if name != "x"}}) == [
            name for name in ONLY_IN_PROJECTS if name != "x"
        ]
    out.rename(out.with_name("old"))
    out.mkdir()
    (out / "scene.py").write_bytes(b"mine")
    assert bring(out, {"A": {"x.sh": b"1"}}) == ["A-0/x.sh"]  # another folder of the same name


def test_a_folder_of_the_project_is_not_taken_for_a_units_folder(out: Path) -> None:
    (out / "A-0").mkdir(parents=True)
    for text in (b"1", b"2"):
        assert bring(out, {"A": {"conftest.py": text}}) == ["A-0-2/conftest.py"]
    assert tree(out) == {"A-0-2/conftest.py": b"2"}


@pytest.fixture
def own(out: Path) -> Path:
    """The user's own folder, with a link in it."""
    out.mkdir()
    (out / "film.mp4").write_bytes(b"mine")
    (out / "secret").symlink_to(out.parent / "elsewhere")
    (out / "secret.mp4").symlink_to(out.parent / "elsewhere")
    (out / "up").symlink_to("..")
    (out / "folder.mp4").mkdir()
    return out


def test_the_users_own_file_stays_and_the_new_one_is_beside_it(own: Path) -> None:
    with pytest.raises(OutputError, match=r"film\.mp4 was not replaced.*A-0/film\.mp4") as caught:
        bring(own, {"A": {"film.mp4": b"new"}})
    assert "--overwrite" in (caught.value.hint or "")
    assert tree(own) == {"film.mp4": b"mine", "A-0/film.mp4": b"new"}
    assert bring(own, {"A": {"film.mp4": b"new"}}, overwrite=True) == ["film.mp4"]
    assert (own / "film.mp4").read_bytes() == b"new"
    assert not (own / ".rendererignore").exists()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["up/new.mp4", "folder.mp4", "film.mp4/x.mp4", "secret/x.mp4"])
def test_nothing_is_written_through_a_link_or_over_a_folder(name: str, overwrite: bool, own: Path) -> None:
    with pytest.raises(OutputError, match=r"was not replaced.*A-0/"):
        bring(own, {"A": {name: b"new"}}, overwrite=overwrite)
    assert (own / "A-0" / name).read_bytes() == b"new"
    assert sorted(path.name for path in own.parent.iterdir()) == ["out", "state"]


def test_a_link_is_replaced_itself_and_only_with_overwrite(own: Path) -> None:
    with pytest.raises(OutputError, match="was not replaced"):
        bring(own, {"A": {"secret.mp4": b"new"}})
    assert (own / "secret.mp4").is_symlink()
    bring(own, {"A": {"secret.mp4": b"new"}}, overwrite=True)
    assert (own / "secret.mp4").read_bytes() == b"new"
    assert not (own.parent / "elsewhere").exists()


def test_a_link_in_place_of_the_units_folder_is_not_followed(own: Path) -> None:
    (own / "A-0").symlink_to("/var")
    with pytest.raises(OutputError, match=r"A-0-2/film\.mp4"):
        bring(own, {"A": {"film.mp4": b"new"}})


def test_the_output_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to("disk")
    for text in (b"1", b"2"):
        assert bring(tmp_path / "out", {"A": {"a": text}}) == ["a"]
    assert tree(tmp_path / "disk") == {"a": b"2"}


def job(number: int, file: str) -> JobHandle:
    handle = JobHandle("local", (f"job-{number}",))
    output_folder.remember_source(str(handle), Path(file), Path(file).parent)
    return handle


def test_the_same_scene_of_the_same_file_replaces_what_it_made(out: Path) -> None:
    for number in range(3):
        assert bring(out, {"A": {"a": b"%d" % number}}, handle=job(number, "scene.py")) == ["a"]
    assert tree(out) == {"a": b"2"}


def test_two_scenes_of_a_file_keep_both_of_their_files_of_one_name(out: Path) -> None:
    for number in (1, 2):
        assert bring(out, {"A": {"a": b"A%d" % number}}, handle=job(number, "scene.py")) == ["a"]
        assert bring(out, {"B": {"a": b"B%d" % number}}, handle=job(number, "scene.py")) == ["B-0/a"]
    assert tree(out) == {"a": b"A2", "B-0/a": b"B2"}


def test_a_file_of_the_user_stays_theirs_when_a_job_makes_the_same(out: Path) -> None:
    out.mkdir()
    (out / "a.csv").write_bytes(b"1")
    bring(out, {"A": {"a.csv": b"1"}}, handle=job(1, "scene.py"))
    with pytest.raises(OutputError, match="was not replaced") as raised:
        bring(out, {"A": {"a.csv": b"2", "b.csv": b"3"}}, handle=job(2, "scene.py"))
    assert raised.value.written == [out / "A-0" / "a.csv", out / "b.csv"]
    assert tree(out) == {"a.csv": b"1", "A-0/a.csv": b"2", "b.csv": b"3"}


@pytest.mark.parametrize(("file", "unit"), [("other.py", "A"), ("other.py", "B")])
def test_another_project_replaces_nothing(file: str, unit: str, out: Path) -> None:
    bring(out, {"A": {"a": b"1"}}, handle=job(1, "scene.py"))
    with pytest.raises(OutputError, match="was not replaced"):
        bring(out, {unit: {"a": b"2"}}, handle=job(2, file))
    assert tree(out) == {"a": b"1", f"{unit}-0/a": b"2"}


def test_a_file_that_the_user_changed_is_not_replaced(out: Path) -> None:
    bring(out, {"A": {"a": b"1"}}, handle=job(1, "scene.py"))
    (out / "a").write_bytes(b"cut")
    with pytest.raises(OutputError, match="was not replaced"):
        bring(out, {"A": {"a": b"2"}}, handle=job(2, "scene.py"))
    assert (out / "a").read_bytes() == b"cut"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"files": 3}', b'{"files": {"a.mp4": null}}'])
def test_a_damaged_record_replaces_nothing(content: bytes, out: Path, state: Path) -> None:
    bring(out, {"A": {"a.mp4": b"1"}})
    for file in (state / "manim-renderer" / "downloads").glob("*.json"):
        file.write_bytes(content)
    with pytest.raises(OutputError, match="was not replaced"):
        bring(out, {"A": {"a.mp4": b"2"}})
    assert (out / "a.mp4").read_bytes() == b"1"


def test_more_files_or_bytes_than_the_limits_are_refused_and_nothing_is_written(out: Path) -> None:
    for limits in (Limits(files=1), Limits(total=2)):
        made = Made({"A": {"a": b"11", "b": b"22"}})
        made.limits = limits
        with pytest.raises(OutputError, match=r"more than 1 files|larger than"):
            fetch.download(made, HANDLE, out)
    assert not out.exists()


def test_modes_of_a_job_do_not_come_along(out: Path) -> None:
    made = Made({"A": {"a": b"1"}}, finish=lambda into: (into / "0" / "files" / "a").chmod(0o6711))
    fetch.download(made, HANDLE, out)
    assert (out / "a").stat().st_mode & 0o7111 == 0


Run = Callable[..., subprocess.CompletedProcess[str]]


def test_a_job_that_is_downloaded_into_the_project_changes_nothing_there(project: Path, run: Run) -> None:
    (project / "renderer.toml").write_text('quality = "l"\n')
    (project / "notes.csv").write_text("mine")
    (project / "evil.py").write_text(
        "import os, pathlib\n"
        "out = pathlib.Path(os.environ['RENDERER_OUTPUT_DIR'])\n"
        "for name in ('evil.py', 'renderer.toml', '.rendererignore', 'notes.csv', 'film.mp4'):\n"
        "    (out / name).write_text('evil')\n"
    )
    before = tree(project)
    done = run("submit", "evil.py", "-o", ".")
    assert done.returncode == ExitCode.OUTPUT
    assert "notes.csv was not replaced" in done.stderr
    after = tree(project)
    assert before.items() <= after.items()
    new = {"film.mp4", *(f"evil.py-0/{name}" for name in ("evil.py", "renderer.toml", ".rendererignore", "notes.csv"))}
    assert set(after) - set(before) == new
    assert not (project / ".rendererignore").exists()


def submit_many(project: Path, run: Run, files: int, width: int, limit: int) -> tuple[str, str]:
    """Make files with names of so many digits, and a job that fails; return the message and the hint of its unit."""
    (project / "many.py").write_text(
        f"import os, pathlib\nfor n in range({files}):\n"
        f"  (pathlib.Path(os.environ['RENDERER_OUTPUT_DIR']) / f'{{n:0{width}}}').touch()\n"
    )
    done = run("submit", "many.py", "--output-files", str(limit), "--json")
    assert done.returncode == ExitCode.OUTPUT
    (unit,) = output(done)["units"]
    return unit["message"], unit["hint"]


def test_the_limits_are_settings(project: Path, run: Run) -> None:
    assert submit_many(project, run, files=5, width=1, limit=3) == (
        "the job made more than 3 files",
        "write fewer, for example one archive of them, or raise --output-files",
    )
    assert not (project / "renders").exists()


def test_a_list_of_files_that_is_too_long_is_told_by_its_unit(project: Path, run: Run) -> None:
    assert submit_many(project, run, files=15_000, width=200, limit=20_000) == (
        "the list of the 15,000 files that many.py made has more than 4 MiB",
        "write fewer files, for example one archive of them",
    )


@pytest.mark.parametrize("target", [".git", "../home/.ssh", "/etc"])
def test_a_link_that_a_project_brings_as_output_folder_is_not_followed(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    for folder in (project / ".git", tmp_path / "home" / ".ssh"):
        folder.mkdir(parents=True)
    (project / "renders").symlink_to(target)
    monkeypatch.chdir(project)
    for folder in (Path("renders"), Path("renders/deeper")):
        with pytest.raises(OutputError, match="leads through a link"):
            bring(folder, {"A": {"config": b"1"}})
    assert tree(project / ".git") == tree(tmp_path / "home" / ".ssh") == {}


def test_a_hidden_folder_of_the_project_gets_no_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="is in a hidden folder"):
        bring(Path(".git"), {"A": {"config": b"1"}})
    assert bring(tmp_path / ".git", {"A": {"film.mp4": b"1"}}) == ["film.mp4"]  # the user's own words
