"""What is refused with --untrusted: in one sentence, with the way out, before anything runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.commands import environment, renderer
from support.files import make

SCRIPT = "print('it ran')\n"


def run(
    folder: Path, *words: str, env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    project = folder / "project"
    project.mkdir(exist_ok=True)
    if not (project / "job.py").exists():
        (project / "job.py").write_text(SCRIPT)
    return renderer(
        "submit", str(project / "job.py"), *words, cwd=cwd or project, env=environment(folder / "home", **(env or {}))
    )


REFUSED = [
    (("--env", "LD_PRELOAD=/x.so"), "the variable LD_PRELOAD", "--env LD_PRELOAD"),
    (("--output", "."), "the folder that holds its code", "--output renders"),
    (("--output", ".."), "the folder that holds its code", "--output renders"),
    (("--output", "/"), "the folder that holds its code", "--output renders"),
    (("--backend", "k8s", "--secret-env", "keys"), "cannot have k8s.secret_env", "--secret-env"),
    (("--backend", "k8s", "--secret-file", "keys=/keys"), "cannot have k8s.secret_files", "--secret-file"),
    (("--backend", "k8s", "--service-account", "admin"), "cannot have k8s.service_account", "--service-account"),
    (("--backend", "k8s", "--patch", "x.yaml"), "cannot have k8s.patch", "--patch"),
    (("--backend", "modal", "--with", "numpy"), "cannot have packages", "--with"),
    (("--backend", "local", "--with", "numpy"), "cannot have packages", "--with"),
    (("--backend", "docker", "--image", "x", "--requirements", "r.txt"), "cannot have requirements", "--requirements"),
    (("--backend", "modal", "--requirements", "r.txt"), "cannot have requirements", "--requirements"),
]


@pytest.mark.parametrize(("words", "reason", "way_out"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_gives_a_job_more_is_refused(words: tuple[str, ...], reason: str, way_out: str, tmp_path: Path) -> None:
    make(tmp_path, {"project/r.txt": "numpy\n"})
    done = run(tmp_path, "--untrusted", *words)
    assert done.returncode == 2, done.stderr
    message, hint = done.stderr.strip().splitlines()[-2:]
    assert message.startswith("renderer: an untrusted job ")
    assert reason in message
    assert way_out in hint
    assert "it ran" not in done.stdout + done.stderr
    assert not list(tmp_path.rglob("job.json"))


@pytest.mark.parametrize(
    ("variable", "value", "key"),
    [
        ("RENDERER_DOCKER_OPTIONS", "--privileged -v /:/host", "docker.options"),
        ("RENDERER_MODAL_SECRETS", "keys", "modal.secrets"),
    ],
)
def test_settings_without_a_flag_are_refused_too(variable: str, value: str, key: str, tmp_path: Path) -> None:
    backend = key.partition(".")[0]
    done = run(tmp_path, "--untrusted", "--backend", backend, "--image", "x", env={variable: value})
    assert done.returncode == 2, done.stderr
    assert f"an untrusted job cannot have {key}" in done.stderr


@pytest.mark.parametrize("place", ["project", ".", "project/inner"])
def test_a_configuration_file_beside_the_code_does_not_count(place: str, tmp_path: Path) -> None:
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / place / "renderer.toml").write_text('quality = "l"\n')
    done = run(tmp_path, "--untrusted", cwd=tmp_path / place)
    assert done.returncode == 2, done.stderr
    assert "which lies beside its code" in done.stderr
    assert "RENDERER_…" in done.stderr


def test_a_configuration_file_of_the_users_own_elsewhere_counts(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "renderer.toml").write_text("untrusted = true\n")
    done = run(tmp_path, "--env", "A=1", cwd=own)
    assert "an untrusted job cannot have the variable A" in done.stderr


def test_packages_from_the_network_are_refused(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "job.py").write_text("# /// script\n# dependencies = ['attack']\n# ///\nprint('it ran')\n")
    done = run(tmp_path, "--untrusted")
    assert done.returncode == 2, done.stderr
    assert "cannot install packages" in done.stderr


def test_the_flag_has_an_environment_variable_and_variables_can_be_allowed(tmp_path: Path) -> None:
    own = {"RENDERER_UNTRUSTED": "true", "RENDERER_UNTRUSTED_ENV": "COLOR"}
    assert run(tmp_path, "--env", "SHAPE=1", "--dry-run", env=own).returncode == 2
    done = run(tmp_path, "--env", "COLOR=red", "--dry-run", env=own)
    assert done.returncode == 0, done.stderr
