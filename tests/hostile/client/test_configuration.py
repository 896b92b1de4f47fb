"""Configuration files of strangers: they do not count, or set nothing that acts outside the job."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.commands import environment, output, renderer

from backends.errors import SpecError
from renderer import config
from renderer.config_files import POWERFUL, trust
from renderer.settings import Settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home" / name))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "work" / "project"
    folder.mkdir(parents=True)
    return folder


def quality(folder: Path) -> str | None:
    return config.load({}, folder=folder, environ={}).settings.quality


def write(folder: Path, text: str = 'quality = "l"\n', name: str = "renderer.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize("name", ["renderer.toml", "pyproject.toml"])
def test_a_file_that_others_can_write_does_not_count(
    name: str, project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = write(project, '[tool.renderer]\nquality = "l"\n' if name == "pyproject.toml" else 'quality = "l"\n', name)
    assert quality(project) == "l"
    file.chmod(0o666)
    assert quality(project) is None
    assert f"ignored {file}: it can be written by others" in caplog.text
    assert [record.levelno for record in caplog.records if "ignored" in record.message] == [logging.WARNING]


def test_nothing_counts_in_or_above_a_folder_that_others_can_write(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    above = write(project.parent)
    assert quality(project) == "l"
    project.chmod(0o777)
    assert quality(project) is None
    assert f"ignored {above}: {project} can be written by others" in caplog.text
    project.chmod(0o1777)
    assert quality(project) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_files_and_folders_of_other_users_do_not_count(
    what: str, project: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    file = write(project)
    os.chown(file if what == "file" else project, 4321, 4321)
    assert quality(project) is None
    assert "belongs to another user" in caplog.text
    monkeypatch.setenv("SUDO_UID", "4321")
    assert quality(project) == "l"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to a group")
def test_a_group_with_other_members_makes_a_file_foreign(project: Path) -> None:
    file = write(project)
    file.chmod(0o664)
    assert quality(project) == "l"  # root's own group
    os.chown(file, 0, 1)
    assert quality(project) is None


def test_the_search_ends_at_the_checkout_and_at_the_home_folder(project: Path, home: Path) -> None:
    write(project.parent)
    (project / ".git").mkdir()
    assert quality(project) is None
    write(home.parent)
    inner = home / "a" / "b"
    inner.mkdir(parents=True)
    assert quality(inner) is None
    write(home, 'quality = "m"\n')
    assert quality(inner) == "m"


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "endless"])
def test_what_is_not_a_regular_file_is_neither_read_nor_waited_for(
    kind: str, project: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "secret.toml").write_text('token = "secret"\n')
    file = project / "renderer.toml"
    match kind:
        case "link":
            file.symlink_to(tmp_path / "secret.toml")
        case "pipe":
            os.mkfifo(file)
        case "folder":
            file.mkdir()
        case _:
            file.symlink_to("/dev/zero")
    assert quality(project) is None
    assert "secret" not in caplog.text


def test_a_large_file_is_refused(project: Path) -> None:
    write(project, "#" * (2**20 + 1))
    with pytest.raises(SpecError, match="is larger than a configuration file"):
        quality(project)


EVIL = {
    "env": 'env = {LD_PRELOAD = "./evil.so"}',
    "docker.options": '[docker]\noptions = "--privileged -v /:/host"',
    "local.state_dir": '[local]\nstate_dir = "jobs"',
    "k8s.patch": '[k8s]\npatch = "patch.yaml"',
    "k8s.labels": '[k8s]\nlabels = {app = "trusted"}',
    "k8s.runtime_class": '[k8s]\nruntime_class = "none"',
    "modal.secrets": '[modal]\nsecrets = "aws"',
    "overwrite": "overwrite = true",
    "output": 'output = "/etc/cron.d"',
    "untrusted": "untrusted = false",
    "requirements": 'requirements = "../../.ssh/id_rsa"',
}


@pytest.mark.parametrize("key", EVIL)
def test_what_acts_outside_the_job_needs_trust_in_the_very_content(key: str, project: Path) -> None:
    file = write(project, EVIL[key] + "\n")
    with pytest.raises(SpecError, match=f"sets {key}, which can act outside the job") as caught:
        quality(project)
    assert "renderer config trust" in (caught.value.hint or "")
    assert trust(project) == file
    quality(project)
    file.write_text(EVIL[key] + "\n# changed\n")
    with pytest.raises(SpecError, match=f"sets {key}"):
        quality(project)


def test_trust_is_for_one_place(project: Path) -> None:
    write(project, EVIL["env"])
    trust(project)
    write(project / "copy", EVIL["env"])
    with pytest.raises(SpecError, match="sets env"):
        quality(project / "copy")


def test_an_output_that_leaves_the_project_by_a_link_needs_trust(project: Path) -> None:
    (project / "films").symlink_to("/etc")
    write(project, 'output = "films"\n')
    with pytest.raises(SpecError, match="sets output"):
        quality(project)


@pytest.mark.parametrize("folder", [".", ".git", ".git/hooks", "films/.cache"])
def test_an_output_between_the_projects_files_or_in_a_hidden_folder_needs_trust(folder: str, project: Path) -> None:
    write(project, f'output = "{folder}"\n')
    with pytest.raises(SpecError, match="sets output"):
        quality(project)


def test_usual_settings_of_a_project_need_no_trust(project: Path) -> None:
    write(
        project,
        'quality = "h"\noutput = "films"\nbackend = "k8s"\nimage = "i"\nuntrusted = true\n[k8s]\nnamespace = "n"\n',
    )
    loaded = config.load({}, folder=project, environ={})
    assert (loaded.settings.backend, loaded.settings.untrusted) == ("k8s", True)


def test_the_users_own_file_may_set_everything_and_a_project_cannot_move_its_jobs(project: Path, home: Path) -> None:
    own = write(
        home / "XDG_CONFIG_HOME" / "manim-renderer",
        'backend = "docker"\n[docker]\noptions = "--network none"\n',
        "config.toml",
    )
    loaded = config.load({}, folder=project, environ={})
    assert loaded.settings.docker.options == ("--network", "none")
    assert loaded.origins["docker.options"] == str(own)
    write(project, 'backend = "local"\n')
    with pytest.raises(SpecError, match="sets backend"):
        quality(project)
    write(project, 'quality = "l"\n')
    assert quality(project) == "l"


def test_every_powerful_setting_exists() -> None:
    assert {item.key for item in config.Config(Settings(), {})} >= POWERFUL


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_file_raises_anything_else(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "renderer.toml").write_bytes(data)
        try:
            config.load({}, folder=Path(folder), environ={})
        except SpecError:
            return


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(project: Path, home: Path) -> Run:
    return lambda *arguments: renderer(*arguments, cwd=project, env=environment(home))


def test_the_command_line_refuses_trusts_and_shows_where_settings_come_from(project: Path, run: Run) -> None:
    (project / "job.py").write_text("import os\nprint(os.environ['GREETING'])\n")
    file = write(project, 'env = {GREETING = "hello"}\n')
    refused = run("submit", "job.py", "--dry-run")
    assert refused.returncode == 2
    assert "→ read the file, and if you trust it: renderer config trust" in refused.stderr
    trusted = run("config", "trust")
    assert trusted.stdout == f"trusted as it is now: {file}\n"
    shown = run("submit", "job.py", "--dry-run")
    assert f"env comes from {file}" in shown.stdout.splitlines()
    content: Any = output(run("submit", "job.py", "--dry-run", "--json"))
    assert content["origins"] == {"env": str(file)}


def test_an_ignored_file_is_named_once_on_stderr(project: Path, run: Run) -> None:
    file = write(project)
    file.chmod(0o666)
    done = run("config", "--json")
    assert output(done)["quality"]["value"] is None
    assert done.stderr == f"ignored {file}: it can be written by others; if it is yours: renderer config trust\n"
