"""From a job as every backend knows it to the objects of Kubernetes. Pure: no network, no disk but the templates."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from backends.errors import SpecError
from backends.exit_codes import ExitCode
from backends.gpus import request as gpu_request
from backends.kubernetes import names
from backends.kubernetes.manifests import pod_template, store_uri
from backends.kubernetes.manifests.merge_patch import merge
from backends.kubernetes.manifests.templates import Manifest, dump, render
from backends.kubernetes.options import KubernetesOptions
from backends.models import JobSpec

CONFIG_MAP_LIMIT = 2**20  # bytes of all its values
WAITING_S = 86400  # how long a job may wait for its GPUs, beyond the time to render
# The same try again would end the same way. The others (lost, terminated, store unreachable …) are worth a retry.
FINAL_EXIT_CODES = (
    ExitCode.USAGE,
    ExitCode.USER_CODE,
    ExitCode.ENCODER,
    ExitCode.OUT_OF_MEMORY,
    ExitCode.INPUT,
    ExitCode.TIMEOUT,
)


@dataclass(frozen=True)
class KubernetesRequest:
    """The objects that submit creates. ``upload`` is where the bundle goes first when no ConfigMap carries it.

    ``find_class``: use the RuntimeClass nvidia if the cluster has it; only the cluster can tell.
    """

    job: Manifest
    inputs: Manifest
    upload: store_uri.Place | None = None
    find_class: bool = False

    def __str__(self) -> str:
        return dump([self.inputs, self.job])

    def with_runtime_class(self, name: str) -> KubernetesRequest:
        """Give the same request with that RuntimeClass."""
        job = merge(self.job, {"spec": {"template": {"spec": {"runtimeClassName": name}}}})
        return replace(self, job=job, find_class=False)


def build(spec: JobSpec, options: KubernetesOptions, patch: Mapping[str, Any]) -> KubernetesRequest:
    """Describe the job. Raises SpecError for what cannot run on Kubernetes."""
    request = gpu_request.parse(spec.resources.gpu or "1")
    digest = _digest(spec, options, patch)
    name = f"{spec.name}-{digest[:6]}"
    where = store_uri.parse(spec.store, name) if spec.store else None
    _check(spec, options, where)
    values = {
        **_identity(name, spec, options, digest),
        **_schedule(spec, options, request),
        **pod_template.of(spec, options, request, where),
        **pod_template.files(name, options, where),
    }
    bundle = {} if where else {names.BUNDLE_KEY: base64.b64encode(spec.bundle.data).decode()}
    (inputs,) = render("inputs", {**values, "name": names.inputs_name(name), "task": spec.payload, "bundle": bundle})
    (job,) = render("job", values)
    find_class = bool(request) and options.runtime_class == "auto"
    return KubernetesRequest(merge(job, patch), inputs, where, find_class)


def _digest(spec: JobSpec, options: KubernetesOptions, patch: Mapping[str, Any]) -> str:
    """Tell jobs of the same name apart: everything that is asked for goes in, the place where we stand does not."""
    asked = [
        *(spec.name, spec.units, spec.payload, spec.bundle.digest, spec.image, dict(spec.env), vars(spec.resources)),
        *(spec.timeout.total_seconds(), spec.retries, spec.store, patch),
        options.model_dump(mode="json", exclude={"context", "namespace", "patch"}),
    ]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _check(spec: JobSpec, options: KubernetesOptions, where: store_uri.Place | None) -> None:
    if not (spec.store or spec.attached):
        raise SpecError(
            "nobody would collect the outputs of a detached job, and there is no store to keep them",
            hint="--store s3://BUCKET/PREFIX or pvc://CLAIM keeps them; or stay attached",
        )
    if not spec.image:
        raise SpecError(
            "a job on Kubernetes needs a container image", hint="--image REGISTRY/NAME:TAG, built from docker/"
        )
    size = len(spec.payload.encode()) + (0 if where else len(spec.bundle.data))
    if size > CONFIG_MAP_LIMIT:
        what = "the list of units is" if where else "the inputs are"
        raise SpecError(
            f"{what} {size / 2**20:.1f} MiB, and a ConfigMap holds 1 MiB",
            hint="split the job"
            if where
            else "--store s3://BUCKET/PREFIX or pvc://CLAIM carries more; .rendererignore leaves files out",
        )
    memory = spec.resources.memory_mib or pod_template.DEFAULT_MEMORY_MIB
    if options.shm >= memory:
        raise SpecError(f"--shm ({options.shm} MiB) is part of the memory ({memory} MiB)", hint="raise --memory")


def _identity(name: str, spec: JobSpec, options: KubernetesOptions, digest: str) -> dict[str, Any]:
    labels = {**options.labels, **names.labels(name)}
    if spec.store and not spec.store.startswith("pvc:"):
        labels[names.LABEL_NETWORK] = "store"
    annotations = {
        names.ANNOTATION_NAME: spec.name,
        names.ANNOTATION_DIGEST: digest,
        names.ANNOTATION_UNITS: json.dumps(spec.units),
    }
    if spec.store:
        annotations[names.ANNOTATION_STORE] = spec.store
    return {
        "name": name,
        "namespace": options.namespace,
        "labels": labels,
        "pod_annotations": options.annotations,
        "job_labels": {**labels, **({names.LABEL_QUEUE: options.queue} if options.queue else {})},
        "annotations": annotations,
    }


def _schedule(spec: JobSpec, options: KubernetesOptions, request: gpu_request.GpuRequest) -> dict[str, Any]:
    class_of_gpus = options.runtime_class if options.runtime_class not in {"auto", "none"} else None
    longest = len(spec.units) * (spec.retries + 1) * int(spec.timeout.total_seconds())
    return {
        "units": len(spec.units),
        "parallelism": min(options.parallelism or len(spec.units), len(spec.units)),
        "deadline": options.deadline or WAITING_S + longest,
        "ttl": options.ttl,
        "retries": spec.retries,
        "final_exit_codes": _final_exit_codes(spec),
        "service_account": options.service_account,
        "priority_class": options.priority_class,
        "node_selector": options.node_selector,
        "runtime_class": class_of_gpus if request else None,
        "affinity": pod_template.affinity(request),
        "tolerations": pod_template.GPU_TOLERATIONS if request else [],
        "image_pull_secrets": [{"name": name} for name in options.image_pull_secrets],
    }


def _final_exit_codes(spec: JobSpec) -> list[int]:
    """Without a store OUTPUT means that nobody came for the outputs: rendering again would not bring anybody."""
    extra = () if spec.store else (ExitCode.OUTPUT,)
    return sorted(int(code) for code in (*FINAL_EXIT_CODES, *extra))
