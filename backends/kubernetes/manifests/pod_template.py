"""Computes the values of the pod template in k8s/job.yaml.j2: node affinity, container, volumes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from backends.gpus import request as gpu_request
from backends.kubernetes import names
from backends.kubernetes.manifests.cache import RENDER_ENV, CacheParts
from backends.kubernetes.manifests.packages import PackagesParts
from backends.kubernetes.manifests.store_uri import StoreFolder
from backends.kubernetes.manifests.templates import Manifest, render_template
from backends.kubernetes.options import KubernetesOptions
from backends.models import JobSpec
from backends.worker_protocol import PACKAGES

DEFAULT_CPU = 2.0
DEFAULT_MEMORY_MIB = 4096
MAX_DEFAULT_SHM_MIB = 1024
STORE_SETTINGS = ("AWS_", "GOOGLE_", "RENDERER_LOG")  # variables of --env that the store's container gets, too
GPU_TOLERATIONS = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def build_affinity(request: gpu_request.GpuRequest) -> dict[str, object]:
    """Return the affinity to nodes that have one of the requested GPUs. Earlier GPUs are preferred."""
    if not request.products:
        return {}

    def one_of(labels: tuple[str, ...]) -> dict[str, object]:
        return {"matchExpressions": [{"key": names.GPU_PRODUCT, "operator": "In", "values": list(labels)}]}

    wanted = [choice.labels for choice in request.choices if choice.labels]
    preferred = [
        {"weight": max(100 - 10 * rank, 1), "preference": one_of(labels)}
        for rank, labels in enumerate(wanted)
        if len(wanted) > 1
    ]
    return {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [one_of(request.products)]},
            "preferredDuringSchedulingIgnoredDuringExecution": preferred,
        }
    }


def build_container(
    spec: JobSpec,
    options: KubernetesOptions,
    request: gpu_request.GpuRequest,
    store: StoreFolder | None,
    per_pod: int,
) -> dict[str, object]:
    """Return the container's values: image, arguments, environment, resources, readiness."""
    amount = {
        "cpu": f"{spec.resources.cpu or DEFAULT_CPU:g}",
        "memory": f"{spec.resources.memory_mib or DEFAULT_MEMORY_MIB}Mi",
        "ephemeral-storage": f"{options.ephemeral_storage}Mi",
    }
    limits: dict[str, object] = {**amount, **({request.resource: request.count} if request else {})}
    nvidia = (
        {"NVIDIA_DRIVER_CAPABILITIES": "compute,utility,video,graphics"}
        if request
        else {"NVIDIA_VISIBLE_DEVICES": "void"}
    )
    home = {"HOME": str(names.WORK), "USER": "renderer", "XDG_CACHE_HOME": str(names.WORK / "cache")}
    chunks = {"RENDERER_SHARD_STORE": str(names.CHUNKS)} if spec.shards else {}
    packages = {PACKAGES: str(names.PACKAGES)} if spec.packages else {}
    timeout = str(math.ceil(spec.timeout.total_seconds()))
    division = _divide(spec, per_pod)
    one_by_one = ["--one-by-one"] if per_pod > 1 and request and not spec.engine else []  # scripts fill a GPU's memory
    kept = ["--stored"] if store else ["--collect", str(options.collect_timeout)]
    kept += ["--untrusted"] if spec.untrusted else []
    addresses = {"name": names.NODE_ADDRESSES, "valueFrom": {"fieldRef": {"fieldPath": "status.hostIPs"}}}
    ready = {"exec": {"command": ["test", "-e", str(names.READY)]}, "periodSeconds": 1, "timeoutSeconds": 5}
    return {
        "image": spec.image,
        "image_pull_policy": options.image_pull_policy,
        "arguments": [
            *("--timeout", timeout, "--limit", str(options.ephemeral_storage)),
            *(*kept, *one_by_one, *division),
        ],
        "division": division,
        "env": [
            *_build_env({**home, **nvidia, **chunks, **spec.env, **packages}),
            *([RENDER_ENV] if spec.cache else []),
            *([addresses] if spec.untrusted else []),
        ],
        "env_from": _build_env_from(options.secret_env),
        "resources": {"requests": amount, "limits": limits},
        "readiness": {} if store else ready,
    }


def build_store_container(
    spec: JobSpec,
    options: KubernetesOptions,
    store: StoreFolder,
    image: Mapping[str, Any],
    cache: CacheParts | None,
    packages: PackagesParts | None,
) -> Manifest:
    """Return the container that alone has the store: its credentials, and the PVC of a pvc:// store.

    ``image`` are the values of the render's container: this one has the same image.
    """
    mounts: list[dict[str, object]] = [
        {"name": "inputs", "mountPath": str(names.INPUTS), "readOnly": True},
        {"name": "work", "mountPath": str(names.WORK), "readOnly": True},
        {"name": "control", "mountPath": str(names.CONTROL)},
    ]
    if store.claim:
        mounts.append({"name": "store", "mountPath": str(names.STORE)})
    if cache:
        mounts += cache.mounts
    settings = {key: value for key, value in spec.env.items() if key.startswith(STORE_SETTINGS)}
    hidden = {"NVIDIA_VISIBLE_DEVICES": "void"}
    uid = {"name": names.JOB_UID, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{names.LABEL_UID}']"}}}
    values = {
        **image,
        "store_arguments": [
            *(_escape(store.uri_in_pod), str(options.ephemeral_storage), *image["division"]),
            *(_escape(argument) for argument in (cache.arguments if cache else ())),
            *(["--chunks"] if spec.shards else []),
            *(_escape(argument) for argument in (packages.arguments if packages else ())),
        ],
        "store_env": [uid, *_build_env({**hidden, **settings})],
        "store_env_from": _build_env_from([options.store_secret] if options.store_secret else []),
        "store_mounts": mounts,
    }
    (container,) = render_template("store", values)
    return container


def _divide(spec: JobSpec, per_pod: int) -> list[str]:
    """Return the arguments that tell a pod which units are its own; none where it has one."""
    return ["--units-per-pod", str(per_pod), "--units", str(len(spec.units))] if per_pod > 1 else []


def _build_env(variables: Mapping[str, str]) -> list[dict[str, object]]:
    return [{"name": key, "value": _escape(value)} for key, value in variables.items()]


def _build_env_from(secrets: Iterable[str]) -> list[dict[str, object]]:
    return [{"secretRef": {"name": name}} for name in secrets]


def _escape(value: str) -> str:
    """Escape a text, so that Kubernetes does not replace ``$(NAME)`` in it by the value of a variable."""
    return value.replace("$", "$$")


def build_volumes(
    name: str,
    spec: JobSpec,
    options: KubernetesOptions,
    store: StoreFolder | None,
    cache: CacheParts | None = None,
    *,
    maps: int = 1,
) -> dict[str, object]:
    """Return the volumes, and the render's mounts: inputs, scratch folders, Secrets, but nothing of the store.

    ``maps`` is the number of ConfigMaps with inputs.
    """
    scratch = f"{options.ephemeral_storage}Mi"
    shm = options.shm or min(MAX_DEFAULT_SHM_MIB, (spec.resources.memory_mib or DEFAULT_MEMORY_MIB) // 4)
    mounts: list[dict[str, object]] = [
        {"name": "inputs", "mountPath": str(names.INPUTS), "readOnly": True},
        {"name": "work", "mountPath": str(names.WORK)},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own
        {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - the container's own
    ]
    sources = [{"configMap": {"name": names.inputs_name(name, number)}} for number in range(maps)]
    volumes: list[dict[str, object]] = [
        {"name": "inputs", "projected": {"sources": sources}},
        {"name": "work", "emptyDir": {"sizeLimit": scratch}},
        {"name": "tmp", "emptyDir": {"sizeLimit": scratch}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": f"{shm}Mi"}},
    ]
    for number, (secret, folder) in enumerate(options.secret_files.items()):
        mounts.append({"name": f"secret-{number}", "mountPath": folder, "readOnly": True})
        volumes.append({"name": f"secret-{number}", "secret": {"secretName": secret}})
    if store:
        mounts.append({"name": "control", "mountPath": str(names.CONTROL), "readOnly": True})
        volumes.append({"name": "control", "emptyDir": {"sizeLimit": scratch}})
    if store and store.claim:
        volumes.append({"name": "store", "persistentVolumeClaim": {"claimName": store.claim}})
    if cache:
        volumes += cache.volumes
    return {"mounts": mounts, "volumes": volumes}
