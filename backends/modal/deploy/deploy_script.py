"""Deploys the function: ``python -I -m backends.modal.deploy.deploy_script``, with the deployment as JSON on stdin.

It is a separate process because Modal's client sends the git commit, branch and author of the current folder, and this
process runs in a folder without git. It prints the log of the image build; the last line is a DeployResult as JSON.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import TypedDict

import modal

from backends.image import context as image_context
from backends.modal.deploy.image import REMARK, RENDER_FUNCTION, REQUIREMENTS, SHARD_FUNCTION
from backends.modal.request import CPU, FUNCTION, MAX_TIMEOUT_S, MEMORY_MIB, SHARDS_FUNCTION, TIMEOUT_S
from backends.worker_protocol import ARCHIVE

STARTUP_TIMEOUT_S = 900  # the first container loads a large image
SHARDS_CPU, SHARDS_MEMORY_MIB = 0.125, 256  # for a function that waits
# Modal runs its function with the program python of the image.
_FIND_PYTHON = (
    'RUN command -v python >/dev/null || ln -s "$(command -v python3)" /usr/local/bin/python 2>/dev/null'
    f" || {{ echo '{REMARK}this image has no Python: --modal-python 3.11 adds one'; exit 1; }}"
)
_WORKER, _REQUIREMENTS = f"/opt/{ARCHIVE}", f"/opt/{REQUIREMENTS}"
_INSTALL = f"sh {_WORKER} renderer.worker.packages <{_REQUIREMENTS}"
_PACKAGES = {"RENDERER_PACKAGES": "/opt/renderer-packages"}  # where the worker finds what _INSTALL has installed


class RecipeJson(TypedDict):
    """The JSON of a ``Recipe`` of backends.modal.request."""

    base: str | None
    python: str | None
    registry_secret: str | None
    packages: list[str]


class DeployRequest(TypedDict):
    """The JSON on stdin: a ``Deployment``, the hash of its content, and the folder to build the image from."""

    app: str
    recipe: RecipeJson
    gpus: list[str]
    untrusted: bool
    shards: bool
    environment: str | None
    content: str
    folder: str


class DeployResult(TypedDict, total=False):
    """The JSON in the last line: the app's name, or an error's text and the names of its class and base classes."""

    deployed: str
    error: str
    names: list[str]


def main() -> None:
    """Deploy the app that the JSON on stdin describes."""
    request: DeployRequest = json.loads(sys.stdin.read())
    try:
        with modal.enable_output():
            _deploy(request)
            result: DeployResult = {"deployed": request["app"]}
    except Exception as error:  # noqa: BLE001  # the process that waits finds out what it means
        result = {"error": str(error), "names": [kind.__name__ for kind in type(error).__mro__]}
    sys.stdout.write("\n" + json.dumps(result) + "\n")


def _deploy(request: DeployRequest) -> None:
    """Deploy a function that keeps jobs apart, and for shards one that calls it.

    The volumes are mounted by each call, which names the job's folders.
    """
    app = modal.App(request["app"], tags={"renderer": request["content"]})
    environment, gpus = request["environment"], request["gpus"]
    app.function(
        name=FUNCTION,
        image=_make_image(request["recipe"], Path(request["folder"]), environment),
        gpu=gpus if len(gpus) > 1 else (gpus[0] if gpus else None),
        cpu=CPU,
        memory=MEMORY_MIB,
        timeout=TIMEOUT_S,
        startup_timeout=STARTUP_TIMEOUT_S,
        block_network=request["untrusted"],
        restrict_modal_access=True,  # a job that may use Modal's API could change the volumes of others
        single_use_containers=True,
        _experimental_restrict_output=True,  # answers are no pickle; the client would not read one
    )(_load_function(RENDER_FUNCTION).render)
    if request["shards"]:
        app.function(
            name=SHARDS_FUNCTION,
            image=modal.Image.debian_slim(python_version="3.12"),  # nothing of the user is in it
            cpu=SHARDS_CPU,
            memory=SHARDS_MEMORY_MIB,
            timeout=MAX_TIMEOUT_S,
            single_use_containers=True,
            _experimental_restrict_output=True,
        )(_load_function(SHARD_FUNCTION).render_shards)
    app.deploy(environment_name=environment)


def _make_image(recipe: RecipeJson, folder: Path, environment: str | None) -> modal.Image:
    if recipe["base"] is None:
        image = modal.Image.from_dockerfile(
            folder / image_context.DOCKERFILE,
            context_dir=folder,
            ignore=[],
            build_args=image_context.build_arguments(),
        )
    else:
        name, python = recipe["registry_secret"], recipe["python"]
        secret = modal.Secret.from_name(name, environment_name=environment) if name else None
        setup = [] if python else [_FIND_PYTHON]
        image = modal.Image.from_registry(
            recipe["base"], secret=secret, add_python=python, setup_dockerfile_commands=setup
        )
    if recipe["packages"]:
        image = image.add_local_file(folder / ARCHIVE, _WORKER, copy=True)
        image = image.add_local_file(folder / REQUIREMENTS, _REQUIREMENTS, copy=True)
        image = image.env(_PACKAGES).run_commands(_INSTALL)
    return image


def _load_function(path: Path) -> ModuleType:
    """Import a function's file as a top-level module, so that Modal mounts only this file, not the whole package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
