"""A job in Modal's words. Making one touches neither the network nor the disk."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from backends.errors import SpecError
from backends.gpus import request as gpu_request
from backends.modal.options import ModalOptions
from backends.models import JobSpec
from backends.worker_protocol import worker_command

FUNCTION = "render"
VOLUME = "renderer"
MOUNT = "/mnt/renderer"  # Modal mounts nothing over folders that an image fills
WORKER_PYTHON = "/opt/venv/bin/python"
CALL = "{call}"  # stands for the id that Modal gives to the call
GPU = "A10G"
CPU, MEMORY_MIB = 4.0, 8192  # Manim draws on the CPU
GRACE_S = 60  # over the worker's own time limit, which says in words what happened
TIMEOUT_S = 3600 + GRACE_S
LONGEST_S = 24 * 3600
ENV_VALUE = 128 * 1024 - 1  # bytes of KEY=VALUE that Linux takes (MAX_ARG_STRLEN, with its final zero)
ENV_MIB = 64  # of all units together, for each carries the whole environment


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The image: the shared Dockerfile, or ``base`` from a registry with the worker added; then the layers."""

    base: str | None = None
    registry_secret: str | None = None
    packages: tuple[str, ...] = ()
    requirements: str | None = None


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What is deployed once: the app's name, its image, and the GPUs in order of preference (none: no GPU)."""

    app: str
    recipe: Recipe
    gpus: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ModalRequest:
    """One call: ``options`` go to Function.with_options, ``inputs`` to the volume; the payload holds no file."""

    deployment: Deployment
    options: Mapping[str, Any]
    secrets: tuple[str, ...]
    command: tuple[str, ...]
    inputs: Mapping[str, int]  # path on the volume: size in bytes
    units: tuple[str, ...]
    env: Mapping[str, str]

    def __str__(self) -> str:
        shown = {**asdict(self), "env": sorted(self.env), "volume": VOLUME}
        return json.dumps(shown, indent=2, ensure_ascii=False)


def make_request(spec: JobSpec, options: ModalOptions) -> ModalRequest:
    """Translate a job. Raises SpecError for what Modal cannot do."""
    if spec.store is not None:
        raise SpecError("--store has no meaning on Modal", hint="inputs and outputs lie on a Modal volume")
    _check_env(spec)
    names = tuple(gpu_request.parse(spec.resources.gpu or GPU).modal_names())
    task, bundle = input_paths(spec)
    return ModalRequest(
        deployment=_deployment(spec, options, names),
        options=_call_options(spec, options, names),
        secrets=options.secrets,
        command=tuple(
            worker_command(
                WORKER_PYTHON,
                task=f"{MOUNT}/{task}",
                bundle=f"{MOUNT}/{bundle}",
                output=f"{MOUNT}/jobs/{CALL}",
                units=(),
            )
        ),
        inputs={task: len(spec.payload.encode()), bundle: len(spec.bundle.data)},
        units=spec.units,
        env=spec.env,
    )


def _check_env(spec: JobSpec) -> None:
    """Bound what travels inside the call. Everything else lies on the volume."""
    sizes = {key: len(os.fsencode(f"{key}={value}")) for key, value in spec.env.items()}
    hint = "put it into a file of the folder, and read that"
    for key, size in sizes.items():
        if size > ENV_VALUE:
            raise SpecError(f"--env {key} is {size / 1024:.0f} KiB long, and Linux takes 128", hint=hint)
    mib = sum(sizes.values()) * len(spec.units) / 2**20
    if mib > ENV_MIB:
        what = f"--env for {len(spec.units)} scenes makes {mib:.0f} MiB, too large a call to send to Modal"
        raise SpecError(f"{what}: at most {ENV_MIB} MiB", hint=f"{hint}; or send fewer scenes at once")


def input_paths(spec: JobSpec) -> tuple[str, str]:
    """Name the task and the bundle on the volume by their content."""
    task = hashlib.sha256(spec.payload.encode()).hexdigest()
    return f"inputs/{task}.json", f"inputs/{spec.bundle.digest}.tar.zst"


def app_name() -> str:
    """Give the name of the usual app of this version."""
    return f"renderer-{importlib.metadata.version('manim-renderer')}"


def _deployment(spec: JobSpec, options: ModalOptions, names: tuple[str, ...]) -> Deployment:
    """Choose the app. An image, no GPU or several can only be said at deployment, so each has an app of its own."""
    recipe = Recipe(
        base=spec.image,
        registry_secret=options.registry_secret if spec.image else None,
        packages=options.packages,
        requirements=str(options.requirements.absolute()) if options.requirements else None,
    )
    deployed = (GPU,) if len(names) == 1 else names
    app = app_name()
    if recipe != Recipe() or deployed != (GPU,):
        variant = json.dumps([asdict(recipe), deployed])
        app = f"{app}-{hashlib.sha256(variant.encode()).hexdigest()[:8]}"
    return Deployment(app=app, recipe=recipe, gpus=deployed)


def _call_options(spec: JobSpec, options: ModalOptions, names: tuple[str, ...]) -> dict[str, Any]:
    """Give what differs from the deployed function: a call with no options starts soonest."""
    timeout = math.ceil(spec.timeout.total_seconds()) + GRACE_S
    if timeout > LONGEST_S:
        raise SpecError(
            f"Modal ends a try after 24 h, and --timeout asks for {spec.timeout}",
            hint=f"at most {LONGEST_S - GRACE_S} s; split the work into scenes",
        )
    wanted = {
        "gpu": names[0] if len(names) == 1 and names[0] != GPU else None,
        "cpu": spec.resources.cpu,
        "memory": spec.resources.memory_mib,
        "timeout": timeout if timeout != TIMEOUT_S else None,
        "retries": spec.retries or None,
        "region": list(options.region) or None,
        "cloud": options.cloud,
        "max_containers": options.max_containers,
    }
    return {key: value for key, value in wanted.items() if value is not None}
