"""The configuration's ``[k8s]`` table and the Kubernetes flags of submit."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from backends.option_types import CommaWords, KeyValues, Size, WholeDuration, longest, option

_LABEL = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?"
_NAME = r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?"


def _check_name(value: str) -> str:
    if not re.fullmatch(_NAME, value):
        raise ValueError(f"{value!r} is not a Kubernetes name: use lower-case letters, digits, '-' and '.'")
    return value


def _check_names(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_check_name(name) for name in value)


def _check_labels(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        name = key.rpartition("/")[2]
        if not name or not re.fullmatch(_LABEL, name) or not re.fullmatch(_LABEL, text):
            raise ValueError(
                f"{key}={text} is not a Kubernetes label: use at most 63 letters, digits, '-', '_' and '.'"
            )
    return value


Name = Annotated[str, AfterValidator(_check_name)]
Names = Annotated[CommaWords, AfterValidator(_check_names)]
Labels = Annotated[KeyValues, AfterValidator(_check_labels)]
JobDuration = Annotated[WholeDuration, longest(days=30)]


_option = partial(option, group="Kubernetes")


class KubernetesOptions(BaseModel):
    """Options of the Kubernetes backend. The defaults work on a cluster with NVIDIA's device plugin."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    context: str | None = _option(None, "kubeconfig context; default: the current one", "--context", value="NAME")
    namespace: Name | None = _option(None, "namespace; default: the context's", "--namespace", value="NAME")
    runtime_class: str = _option(
        "auto",
        "RuntimeClass: a name, none, or auto (nvidia for GPU jobs, where that class exists)",
        "--runtime-class",
        value="NAME",
    )
    parallelism: Annotated[int, Field(ge=1)] | None = _option(
        None,
        "most pods at the same time; default: all, of a map 500; local and docker: units of a map, as many as cores",
        "--parallelism",
        value="N",
    )
    units_per_pod: Annotated[int, Field(ge=1, le=100)] | None = _option(
        None,
        "units that share a pod, and its time to start; default: 1, of more than 500 units as many as give 500 pods",
        "--units-per-pod",
        value="N",
    )
    deadline: JobDuration | None = _option(
        None,
        "time limit for the whole job, with the wait for a GPU: 30m, 2h; default: none",
        "--deadline",
        value="TIME",
    )
    ttl: JobDuration = _option(86400, "delete a finished Job after this time: 1h, 7d", "--ttl", value="TIME")
    collect_timeout: JobDuration = _option(
        120,
        "without --store: how long a finished unit waits until its outputs are downloaded: 2m, 1h",
        "--collect-timeout",
        value="TIME",
    )
    ephemeral_storage: Size = _option(
        10240, "scratch disk of each unit: 512Mi, 20Gi", "--ephemeral-storage", value="SIZE"
    )
    shm: Size | None = _option(
        None,
        "size of /dev/shm; it counts towards --memory: 512Mi, 2Gi; default: a quarter of --memory, at most 1Gi",
        "--shm",
        value="SIZE",
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = _option(
        None, "when nodes pull the image; default: Kubernetes decides by the image's tag", "--image-pull-policy"
    )
    image_pull_secrets: Names = _option(
        (), "Secrets with the credentials for a private registry", "--image-pull-secret", value="NAME,…"
    )
    secret_env: Names = _option(
        (), "Secrets whose keys become environment variables of your code", "--secret-env", value="NAME,…"
    )
    secret_files: KeyValues = _option(
        {}, "Secret to mount as files: SECRET=/absolute/folder; may be repeated", "--secret-file", value="SECRET=FOLDER"
    )
    store_secret: Name | None = _option(
        None,
        "Secret with the store's credentials (AWS_ACCESS_KEY_ID, …); your code cannot read it",
        "--store-secret",
        value="NAME",
    )
    cache_secret: Name | None = _option(
        None,
        "Secret with the shared cache's key, as the file `key`; your code cannot read it",
        "--cache-secret",
        value="NAME",
    )
    service_account: Name | None = _option(
        None,
        "ServiceAccount of the pods, for a cloud identity; the pods get no Kubernetes token",
        "--service-account",
        value="NAME",
    )
    node_selector: Labels = _option(
        {}, "label that the node must have: KEY=VALUE; may be repeated", "--node-selector", value="KEY=VALUE"
    )
    priority_class: Name | None = _option(None, "PriorityClass of the pods", "--priority-class", value="NAME")
    queue: Name | None = _option(None, "Kueue LocalQueue that admits the job", "--queue", value="NAME")
    labels: Labels = _option({}, "label to add: KEY=VALUE; may be repeated", "--label", value="KEY=VALUE")
    annotations: KeyValues = _option(
        {}, "annotation to add to the pods: KEY=VALUE; may be repeated", "--annotation", value="KEY=VALUE"
    )
    patch: Path | None = _option(
        None, "YAML file to merge into the Job, for fields without an option", "--patch", value="FILE"
    )
