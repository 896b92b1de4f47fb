"""Plans what is sent to Modal for a job, without using the network or the disk."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TypedDict, cast

from backends.errors import SpecError
from backends.gpus import request as gpu_request
from backends.image.worker_archive import build_worker_archive
from backends.modal.options import ModalOptions
from backends.models import JobSpec
from backends.worker_protocol import ARCHIVE, WORKER, worker_command

FUNCTION = "render"
SHARDS_FUNCTION = "shards"  # calls the other one, for a scene in shards
VOLUME = "renderer"  # outputs; each job sees its own folder of it and can write there
INPUTS_VOLUME = "renderer-inputs"  # no job can write to it; each sees its own folder of it
INPUTS_MOUNT = "/mnt/renderer/inputs"  # Modal cannot mount over a folder that has files in the image
OUTPUTS_MOUNT = "/mnt/renderer/outputs"
SHARD_CALLS = "calls.json"  # beside the inputs: the calls that a job in shards has made
WITHDRAWN = "withdrawn"  # beside the inputs: the job must not run
PAYLOAD, BUNDLE = "task.json", "bundle.tar.gz"  # the names of the inputs
INPUTS = "{inputs}"  # replaced in the container by the folder with the verified copies of the inputs
GPU = "A10G"
CPU, MEMORY_MIB = 4.0, 8192  # Manim draws on the CPU
EXTRA_TIMEOUT_S = 60  # above the worker's own time limit, whose message says more than Modal's
TIMEOUT_S = 3600 + EXTRA_TIMEOUT_S
MAX_TIMEOUT_S = 24 * 3600
MAX_ENV_BYTES = 128 * 1024 - 1  # of one KEY=VALUE on Linux (MAX_ARG_STRLEN, with its final zero)
MAX_ENV_MIB = 64  # of all units together, since each input carries the whole environment


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to make the image: from renderer's Dockerfile, or the image ``base`` as it is; then packages.

    ``python`` is the version of a Python to add to ``base``; None takes its own.
    """

    base: str | None = None
    python: str | None = None
    registry_secret: str | None = None
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What is deployed: the app's name, its image, and the GPUs in order of preference (empty: no GPU).

    ``untrusted`` functions have no network. With ``shards``, there is a function that renders a scene in shards.
    """

    app: str
    recipe: Recipe
    gpus: tuple[str, ...]
    untrusted: bool = False
    shards: bool = False


class CallOptions(TypedDict, total=False):
    """Arguments of ``modal.Function.with_options``: only those that differ from the deployed function."""

    gpu: str
    cpu: float
    memory: int
    timeout: int
    retries: int
    region: list[str]
    cloud: str
    max_containers: int


@dataclass(frozen=True, kw_only=True)
class ModalRequest:
    """One call. ``options`` are valid only for this call. ``inputs`` are the files to upload, each with its SHA-256."""

    deployment: Deployment
    options: CallOptions
    secrets: tuple[str, ...]
    command: tuple[str, ...]
    inputs: Mapping[str, str]
    units: tuple[str, ...]
    env: Mapping[str, str]
    max_failed: int | None = None
    shards: int | None = None

    def __str__(self) -> str:
        shown = {**asdict(self), "env": sorted(self.env), "volume": VOLUME, "inputs_volume": INPUTS_VOLUME}
        return json.dumps(shown, indent=2, ensure_ascii=False)


def make_request(spec: JobSpec, options: ModalOptions) -> ModalRequest:
    """Return what would be sent for a job. Raises SpecError for what Modal cannot do."""
    if spec.store is not None:
        raise SpecError("Modal does not use --store", hint="leave it out: inputs and outputs are on a Modal volume")
    if spec.cache is not None:
        raise SpecError(
            "Modal does not use --cache: a job there could read its credentials and its key",
            hint="leave it out, or render on local, docker or k8s",
        )
    if spec.untrusted and (options.secrets or spec.packages):
        raise SpecError(
            "an untrusted job at Modal cannot have secrets or packages of its own",
            hint="leave modal.secrets, --with and --requirements out",
        )
    _check_env(spec)
    names = tuple(gpu_request.parse_gpu(spec.resources.gpu or GPU).modal_names())
    return ModalRequest(
        deployment=_deployment(spec, options, names),
        options=_call_options(spec, options, names),
        secrets=options.secrets,
        command=tuple(
            worker_command(
                ("sh", f"{INPUTS}/{ARCHIVE}", WORKER),
                task=f"{INPUTS}/{PAYLOAD}",
                bundle=f"{INPUTS}/{BUNDLE}",
                output=OUTPUTS_MOUNT,
                units=(),
            )
        ),
        inputs={name: hashlib.sha256(data).hexdigest() for name, data in read_inputs(spec).items()},
        units=spec.units,
        env=spec.env,
        max_failed=spec.max_failed,
        shards=spec.shards,
    )


def read_inputs(spec: JobSpec) -> dict[str, bytes]:
    """Return the files to upload for a job, by their names."""
    archive = build_worker_archive(engine=spec.engine)
    return {PAYLOAD: spec.payload.encode(), BUNDLE: spec.bundle.data, ARCHIVE: archive}


def _check_env(spec: JobSpec) -> None:
    """Raise SpecError if the environment variables are too large for a call. All other inputs are on the volume."""
    sizes = {key: len(os.fsencode(f"{key}={value}")) for key, value in spec.env.items()}
    hint = "put it into a file of the project, and read that"
    for key, size in sizes.items():
        if size > MAX_ENV_BYTES:
            raise SpecError(f"--env {key} has {size / 1024:.0f} KiB, and Linux allows 128", hint=hint)
    mib = sum(sizes.values()) * spec.processes / 2**20
    if mib > MAX_ENV_MIB:
        many = f"{spec.processes} {'shards' if spec.shards else 'scenes'}"
        what = f"--env for {many} makes {mib:.0f} MiB, too large a call to send to Modal"
        raise SpecError(f"{what}: at most {MAX_ENV_MIB} MiB", hint=f"{hint}; or send fewer scenes at once")


def app_name() -> str:
    """Return the name of this version's standard app."""
    return f"renderer-{importlib.metadata.version('manim-renderer')}"


def _deployment(spec: JobSpec, options: ModalOptions, names: tuple[str, ...]) -> Deployment:
    """Return the app for the job. Another image, no GPU, a choice of GPUs, or no network need an app of their own."""
    recipe = Recipe(
        base=spec.image,
        python=options.python if spec.image else None,
        registry_secret=options.registry_secret if spec.image else None,
        packages=spec.packages,
    )
    deployed = (GPU,) if len(names) == 1 else names
    app = app_name()
    kinds = [kind for kind, is_chosen in (("untrusted", spec.untrusted), ("shards", spec.shards)) if is_chosen]
    if recipe != Recipe() or deployed != (GPU,) or kinds:
        variant = json.dumps([asdict(recipe), deployed, *kinds])
        app = f"{app}-{hashlib.sha256(variant.encode()).hexdigest()[:8]}"
    return Deployment(app=app, recipe=recipe, gpus=deployed, untrusted=spec.untrusted, shards=bool(spec.shards))


def _call_options(spec: JobSpec, options: ModalOptions, names: tuple[str, ...]) -> CallOptions:
    """Return only the options that differ from the deployed function."""
    timeout = math.ceil(spec.timeout.total_seconds())
    if timeout > MAX_TIMEOUT_S:
        raise SpecError(
            f"Modal ends an attempt after 24 h, and --timeout is {timeout / 3600:g} h",
            hint="--timeout 24h is the most; split the work into scenes",
        )
    timeout = min(timeout + EXTRA_TIMEOUT_S, MAX_TIMEOUT_S)
    wanted: dict[str, object] = {
        "gpu": names[0] if len(names) == 1 and names[0] != GPU else None,
        "cpu": spec.resources.cpu,
        "memory": spec.resources.memory_mib,
        "timeout": timeout if timeout != TIMEOUT_S else None,
        "retries": spec.retries or None,
        "region": list(options.region) or None,
        "cloud": options.cloud,
        "max_containers": options.max_containers,
    }
    return cast("CallOptions", {key: value for key, value in wanted.items() if value is not None})
