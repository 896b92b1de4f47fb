"""The pod of a job in the templates' terms: the GPU's node, the container, its files. Pure, as job.py."""

from __future__ import annotations

from typing import Any

from backends.gpus import request as gpu_request
from backends.kubernetes import names
from backends.kubernetes.manifests import store_uri
from backends.kubernetes.options import KubernetesOptions
from backends.models import JobSpec

DEFAULT_CPU = 2.0
DEFAULT_MEMORY_MIB = 4096
GPU_TOLERATIONS = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def affinity(request: gpu_request.GpuRequest) -> dict[str, Any]:
    """Any of the GPUs named, the first one preferred most."""
    if not request.products:
        return {}

    def one_of(labels: tuple[str, ...]) -> dict[str, Any]:
        return {"matchExpressions": [{"key": names.GPU_PRODUCT, "operator": "In", "values": list(labels)}]}

    wanted = [choice.gpu.labels for choice in request.choices if choice.gpu]
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


def of(
    spec: JobSpec, options: KubernetesOptions, request: gpu_request.GpuRequest, where: store_uri.Place | None
) -> dict[str, Any]:
    """Give the container: image, command line, environment, resources."""
    amount = {
        "cpu": f"{spec.resources.cpu or DEFAULT_CPU:g}",
        "memory": f"{spec.resources.memory_mib or DEFAULT_MEMORY_MIB}Mi",
        "ephemeral-storage": f"{options.ephemeral_storage}Mi",
    }
    limits: dict[str, Any] = {**amount, **({request.resource: request.count} if request else {})}
    nvidia = (
        {"NVIDIA_DRIVER_CAPABILITIES": "compute,utility,video,graphics"}
        if request
        else {"NVIDIA_VISIBLE_DEVICES": "void"}
    )
    home = {"HOME": str(names.WORK), "XDG_CACHE_HOME": str(names.WORK / "cache")}
    ready = {"exec": {"command": ["test", "-e", str(names.READY)]}, "periodSeconds": 1, "timeoutSeconds": 5}
    env_from: list[dict[str, Any]] = [{"secretRef": {"name": name}} for name in options.secret_env]
    if options.store_secret:
        env_from.append({"prefix": names.STORE_ENV_PREFIX, "secretRef": {"name": options.store_secret}})
    return {
        "image": spec.image,
        "image_pull_policy": options.image_pull_policy,
        "arguments": ["--store", _literal(where.in_pod)] if where else ["--collect", str(options.collect_timeout)],
        "env": [{"name": key, "value": _literal(value)} for key, value in {**home, **nvidia, **spec.env}.items()],
        "env_from": env_from,
        "resources": {"requests": amount, "limits": limits},
        "readiness": {} if where else ready,
    }


def _literal(value: str) -> str:
    """Write a text that Kubernetes, which puts variables in for ``$(NAME)``, gives to the container as it is."""
    return value.replace("$", "$$")


def files(name: str, options: KubernetesOptions, where: store_uri.Place | None) -> dict[str, Any]:
    """Give the volumes and where they are mounted: inputs, scratch folders, Secrets, the claim."""
    mounts: list[dict[str, Any]] = [
        {"name": "inputs", "mountPath": str(names.INPUTS), "readOnly": True},
        {"name": "work", "mountPath": str(names.WORK)},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own
        {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - the container's own
    ]
    volumes: list[dict[str, Any]] = [
        {"name": "inputs", "configMap": {"name": names.inputs_name(name)}},
        {"name": "work", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": f"{options.shm}Mi"}},
    ]
    for number, (secret, folder) in enumerate(options.secret_files.items()):
        mounts.append({"name": f"secret-{number}", "mountPath": folder, "readOnly": True})
        volumes.append({"name": f"secret-{number}", "secret": {"secretName": secret}})
    if where and where.claim:
        mounts.append({"name": "store", "mountPath": str(names.STORE)})
        volumes.append({"name": "store", "persistentVolumeClaim": {"claimName": where.claim}})
    return {"mounts": mounts, "volumes": volumes}
