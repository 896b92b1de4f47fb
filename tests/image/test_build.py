"""Building with buildah and podman: what is rebuilt, what is added, how a failure is reported."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.containers import BASE, Podman, image_command, mounts

from backends.image import context as image_context
from renderer.image.engines import find_engine
from renderer.image.spec import ImageSpec

NAME = "localhost/manim-renderer"
WITHOUT_CUDA = ("--base", BASE, "--cuda", "none")
BUILD = ("build", "--name", NAME, *WITHOUT_CUDA, "--engine", "buildah")


@pytest.fixture
def options(image: str) -> list[str]:
    """Return engine options; the image was built before, so its layers are cached."""
    assert image
    return ["--", *mounts()]


def layers(reference: str) -> list[str]:
    form = "{{range .OCIv1.RootFS.DiffIDs}}{{println .}}{{end}}"
    listed = ["buildah", "inspect", "--type", "image", "--format", form, reference]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()


def remove(reference: str) -> None:
    subprocess.run(["buildah", "rmi", reference], capture_output=True, check=True)


def test_a_change_in_our_code_rebuilds_only_the_last_layer(image: str, context: Path, options: list[str]) -> None:
    image_context.copy_context(context)
    (context / "renderer" / "new.py").write_text("NEW = 1\n")
    spec = ImageSpec(name=NAME, base=BASE, cuda="none")
    reference = f"{NAME}:changed"
    command = find_engine("buildah").build_command(context, reference, spec.arguments(), options[1:])
    subprocess.run(command, capture_output=True, check=True, timeout=600)
    before, after = layers(image), layers(reference)
    remove(reference)
    assert before[:-1] == after[:-1]
    assert before[-1] != after[-1]


def test_packages_are_added_beside_the_locked_ones(image: str, options: list[str], tmp_path: Path) -> None:
    more = tmp_path / "more packages.txt"
    more.write_text("# for the tests\neinops==0.8.1\n")
    done = image_command(*BUILD, "--with", "iniconfig", "--requirements", str(more), "--json", *options)
    assert done.returncode == 0, done.stderr
    derived = json.loads(done.stdout)["image"]
    assert derived != image
    code = "import einops, iniconfig, manim; print(einops.__file__, manim.__file__)"
    printed = Podman(derived).run("python", "-I", "-c", code).stdout.split()
    remove(derived)
    assert printed[0].startswith("/opt/extra/")
    assert printed[1].startswith("/opt/venv/")


def test_a_package_that_contradicts_the_lock_fails_with_the_step_and_its_last_lines(options: list[str]) -> None:
    done = image_command(*BUILD, "--with", "numpy<2", *options)
    assert done.returncode == 4
    *_, message, hint = done.stderr.strip().splitlines()
    assert "failed at step" in message
    assert "extra-requirements" in message
    assert "the last that it printed" in hint
    assert "  | " in done.stderr
    assert "numpy" in done.stderr.partition("  | ")[2]


def test_a_failed_build_leaves_no_container(options: list[str]) -> None:
    before = subprocess.run(["buildah", "containers", "-q"], capture_output=True, text=True, check=True).stdout
    assert image_command(*BUILD, "--with", "no-such-package-of-anyone==1", *options).returncode == 4
    after = subprocess.run(["buildah", "containers", "-q"], capture_output=True, text=True, check=True).stdout
    assert set(after.split()) <= set(before.split())


def test_podman_builds_the_same_image(image: str, options: list[str]) -> None:
    done = image_command("build", "--name", NAME, *WITHOUT_CUDA, "--engine", "podman", "--json", *options)
    assert done.returncode == 0, done.stderr
    built = json.loads(done.stdout)
    assert built["image"] == image
    assert built["size"].endswith("GB")
    assert built["cuda"] is None
    (base,) = built["bases"]
    assert base["image"] == BASE
    pinned = f"{BASE.partition(':')[0]}@{base['digest']}"
    assert pinned in done.stderr
    found = ["podman", "image", "inspect", "--format", "{{.Digest}}", pinned]  # as `--base` would find it
    assert subprocess.run(found, capture_output=True, text=True, check=True).stdout.strip() == base["digest"]


def test_a_base_without_cuda_is_refused_before_the_build_unless_cuda_is_none(options: list[str]) -> None:
    done = image_command("build", "--name", NAME, "--base", BASE, "--engine", "buildah", *options)
    assert done.returncode == 4
    *_, message, hint = done.stderr.strip().splitlines()
    assert "the base image has no CUDA" in message
    assert "--cuda none" in hint
    assert "apt-get" not in done.stderr


def test_a_base_image_that_cannot_be_pulled_is_reported(options: list[str]) -> None:
    done = image_command(*BUILD[:3], "--base", "localhost/none:1", "--engine", "buildah", *options)
    assert done.returncode == 4
    assert "the base image cannot be pulled" in done.stderr
    assert "full names" in done.stderr


@pytest.fixture
def small_store(tmp_path: Path, image: str) -> Iterator[dict[str, str]]:
    """Yield the environment of an image store of 300 MiB that holds only the base image."""
    assert image
    disk, archive = tmp_path / "disk", tmp_path / "base.tar"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", disk], check=True)
    try:
        config = tmp_path / "storage.conf"
        config.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{disk}/graph"\nrunroot = "{disk}/run"\n')
        env = os.environ | {"CONTAINERS_STORAGE_CONF": str(config)}
        push = ["buildah", "push", "--quiet", BASE, f"docker-archive:{archive}:{BASE}"]
        subprocess.run(push, capture_output=True, check=True)
        subprocess.run(
            ["buildah", "pull", "--quiet", f"docker-archive:{archive}"], env=env, capture_output=True, check=True
        )
        yield {"CONTAINERS_STORAGE_CONF": str(config)}
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_is_the_reported_cause(small_store: dict[str, str], options: list[str]) -> None:
    done = image_command(*BUILD, *options, env=small_store)
    assert done.returncode == 4
    assert "there is no space left for the image" in done.stderr
    assert "prune" in done.stderr
