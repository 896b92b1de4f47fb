"""Deploys the function: ``python -I -m backends.modal.deploy.deploy_script``, with the deployment as JSON on stdin.

A process of its own, since Modal's client sends the git commit, branch and author of its current folder: here there is
none. What it prints is the log of the image build; the last line is a JSON object with ``deployed`` or ``error``.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import modal

from backends.image import context as image_context
from backends.modal.deploy.image import RENDER_FUNCTION
from backends.modal.request import CPU, FUNCTION, MEMORY_MIB, MOUNT, TIMEOUT_S, VOLUME, WORKER_PYTHON

STARTUP_S = 900  # the first container loads a large image
IDLE_S = 20  # an idle container is paid for
PYTHON = "3.11"
_ADDED = "/opt/renderer/extra-requirements.txt"
# A registry's image that has no worker gets one for scripts: Manim needs libraries that only the Dockerfile brings.
_ADD_WORKER = (
    f"test -x {WORKER_PYTHON} || (/usr/local/bin/python -m venv /opt/venv"
    f" && {WORKER_PYTHON} -m pip install --no-cache-dir {{packages}}"
    f""" && {WORKER_PYTHON} -c "import sysconfig; open(sysconfig.get_path('purelib') + '/renderer.pth', 'w')"""
    """.write('/opt/renderer')")"""
)


def main() -> None:
    """Deploy what stdin describes."""
    wanted = json.loads(sys.stdin.read())
    try:
        with modal.enable_output():
            _deploy(wanted)
            said: dict[str, Any] = {"deployed": wanted["app"]}
    except Exception as error:  # noqa: BLE001  # told to the process that waits
        names = [kind.__name__ for kind in type(error).__mro__]
        said = {"error": str(error), "names": names}
    sys.stdout.write("\n" + json.dumps(said) + "\n")


def _deploy(wanted: dict[str, Any]) -> None:
    app = modal.App(wanted["app"], tags={"renderer": wanted["content"]})
    volume = modal.Volume.from_name(VOLUME, environment_name=wanted["environment"], create_if_missing=True, version=2)
    gpus: list[str] = wanted["gpus"]
    app.function(
        name=FUNCTION,
        image=_image(wanted["recipe"], Path(wanted["folder"]), wanted["environment"]),
        gpu=gpus if len(gpus) > 1 else (gpus[0] if gpus else None),
        cpu=CPU,
        memory=MEMORY_MIB,
        timeout=TIMEOUT_S,
        startup_timeout=STARTUP_S,
        scaledown_window=IDLE_S,
        volumes={MOUNT: volume},
    )(_render_function().render)
    app.deploy(environment_name=wanted["environment"])


def _image(recipe: dict[str, Any], folder: Path, environment: str | None) -> modal.Image:
    if recipe["base"] is None:
        return modal.Image.from_dockerfile(
            folder / image_context.DOCKERFILE,
            context_dir=folder,
            ignore=[],
            build_args=image_context.build_arguments(),
        )
    secret = recipe["registry_secret"] and modal.Secret.from_name(
        recipe["registry_secret"], environment_name=environment
    )
    image = modal.Image.from_registry(recipe["base"], secret=secret or None, add_python=PYTHON)
    for name in ("backends", "renderer"):
        image = image.add_local_dir(folder / name, f"/opt/renderer/{name}", copy=True)
    needs = (line for line in importlib.metadata.requires("manim-renderer") or () if ";" not in line)
    image = image.run_commands(_ADD_WORKER.format(packages=shlex.join(needs)))
    if recipe["packages"] or recipe["requirements"]:
        image = image.add_local_file(folder / image_context.EXTRA, _ADDED, copy=True)
        image = image.run_commands(f"{WORKER_PYTHON} -m uv pip install --python {WORKER_PYTHON} -r {_ADDED}")
    return image


def _render_function() -> ModuleType:
    """Import the function as a module of its own, so that Modal mounts that one file and not our packages."""
    spec = importlib.util.spec_from_file_location("render_function", RENDER_FUNCTION)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {RENDER_FUNCTION}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
