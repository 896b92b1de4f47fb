"""What can be said about a job on Kubernetes: the table ``[k8s]`` of the configuration and the flags of submit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LABEL = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?"
_NAME = r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?"


def _seconds(value: object) -> object:
    match = re.fullmatch(r"(\d+)([smhd])", value) if isinstance(value, str) else None
    return int(match[1]) * _SECONDS[match[2]] if match else value


def _mebibytes(value: object) -> object:
    match = re.fullmatch(r"(\d+)(Mi|Gi)", value) if isinstance(value, str) else None
    return int(match[1]) * (1024 if match[2] == "Gi" else 1) if match else value


def _list(value: object) -> object:
    return tuple(value.split(",")) if isinstance(value, str) else value


def _pairs(value: object) -> object:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)):
        return items
    pairs = [str(item).partition("=") for item in items]
    if any(not separator or not key for key, separator, _ in pairs):
        raise ValueError("it is written KEY=VALUE")
    return {key: text for key, _, text in pairs}


def _check_name(value: str) -> str:
    if not re.fullmatch(_NAME, value):
        raise ValueError(f"{value!r} is no Kubernetes name: lower case letters, digits, '-' and '.'")
    return value


def _check_labels(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        name = key.rpartition("/")[2]
        if not name or not re.fullmatch(_LABEL, name) or not re.fullmatch(_LABEL, text):
            raise ValueError(f"{key}={text} is no Kubernetes label: at most 63 letters, digits, '-', '_' and '.'")
    return value


Name = Annotated[str, AfterValidator(_check_name)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_list)]
Pairs = Annotated[dict[str, str], BeforeValidator(_pairs)]
Labels = Annotated[Pairs, AfterValidator(_check_labels)]
Duration = Annotated[int, BeforeValidator(_seconds), Field(gt=0, le=30 * 86400)]
Mebibytes = Annotated[int, BeforeValidator(_mebibytes), Field(gt=0)]


def _option(default: Any, description: str, flag: str, metavar: str = "TEXT") -> Any:
    extra: dict[str, JsonValue] = {"group": "Kubernetes", "flags": [flag], "metavar": metavar}
    return Field(default, description=description, json_schema_extra=extra)


class KubernetesOptions(BaseModel):
    """Options of this backend; every one has a default that a cluster with NVIDIA's device plugin accepts."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    context: str | None = _option(None, "context of the kubeconfig; the current one by default", "--context", "NAME")
    namespace: Name | None = _option(None, "namespace; the context's by default", "--namespace", "NAME")
    runtime_class: str = _option(
        "auto", "RuntimeClass of GPU jobs: a name, none, or auto (nvidia where it exists)", "--runtime-class", "NAME"
    )
    parallelism: Annotated[int, Field(ge=1)] | None = _option(
        None, "units at the same time; all by default", "--parallelism", "N"
    )
    deadline: Duration | None = _option(
        None, "bound on the whole job, waiting for a GPU included: 30m, 2h, 1d", "--deadline", "TIME"
    )
    ttl: Duration = _option(86400, "how long a finished job stays to be asked about", "--ttl", "TIME")
    collect_timeout: Duration = _option(
        120, "how long a finished unit waits for its outputs to be collected", "--collect-timeout", "TIME"
    )
    ephemeral_storage: Mebibytes = _option(
        10240, "scratch disk of one unit: 512Mi, 10Gi", "--ephemeral-storage", "SIZE"
    )
    shm: Mebibytes = _option(1024, "size of /dev/shm, part of the unit's memory", "--shm", "SIZE")
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = _option(
        None, "when the image is pulled", "--image-pull-policy"
    )
    image_pull_secrets: Names = _option((), "Secrets with registry credentials", "--image-pull-secret", "NAME,…")
    secret_env: Names = _option(
        (), "Secrets whose keys become environment variables of the render", "--secret-env", "NAME,…"
    )
    secret_files: Pairs = _option({}, "Secrets as files, SECRET=/absolute/folder", "--secret-file", "NAME=FOLDER")
    store_secret: Name | None = _option(
        None,
        "Secret with the store's credentials (AWS_ACCESS_KEY_ID …); the render does not see it",
        "--store-secret",
        "NAME",
    )
    service_account: Name | None = _option(
        None, "ServiceAccount of the pod, for a cloud identity; it gets no token", "--service-account", "NAME"
    )
    node_selector: Labels = _option({}, "labels that the node must have, KEY=VALUE", "--node-selector", "KEY=VALUE")
    priority_class: Name | None = _option(None, "PriorityClass", "--priority-class", "NAME")
    queue: Name | None = _option(None, "Kueue's queue", "--queue", "NAME")
    labels: Labels = _option({}, "more labels, KEY=VALUE", "--label", "KEY=VALUE")
    annotations: Pairs = _option({}, "more annotations of the pods, KEY=VALUE", "--annotation", "KEY=VALUE")
    patch: Path | None = _option(
        None, "YAML file that is merged into the Job: whatever no option says", "--patch", "FILE"
    )
