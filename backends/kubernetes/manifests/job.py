"""Builds the Job and the ConfigMaps of a job. Uses no network, and reads only the templates from the disk."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from backends.errors import SpecError
from backends.exit_codes import ExitCode
from backends.gpus import request as gpu_request
from backends.kubernetes import names
from backends.kubernetes.manifests import pod_template
from backends.kubernetes.manifests.cache import build_cache_parts
from backends.kubernetes.manifests.inputs import build_inputs, check_size
from backends.kubernetes.manifests.merge_patch import merge_patch
from backends.kubernetes.manifests.packages import build_packages_parts
from backends.kubernetes.manifests.pod_units import choose_units_per_pod
from backends.kubernetes.manifests.store_uri import StoreFolder, parse_store_uri
from backends.kubernetes.manifests.templates import Manifest, dump_manifests, render_template
from backends.kubernetes.options import KubernetesOptions
from backends.models import JobSpec

UNITS_LIMIT = 2**14  # bytes of the names of units in an annotation: longer lists are kept where the job was submitted
MAP_PARALLELISM = 500  # pods of a map at the same time, without --parallelism
GPU_WAIT_TIMEOUT_S = 86400  # how long a job may wait for its GPUs, in addition to the time to render
# Another attempt would fail in the same way. Other failures (lost, terminated, store unreachable …) may be retried.
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
    """The objects that submit creates.

    ``upload`` is the store's folder for the bundle; None if the bundle is in the ConfigMaps ``inputs``. With
    ``detect_runtime_class``, submit adds the RuntimeClass nvidia if the cluster has it.
    """

    job: Manifest
    inputs: tuple[Manifest, ...]
    upload: StoreFolder | None = None
    detect_runtime_class: bool = False

    def __str__(self) -> str:
        return dump_manifests([*self.inputs, self.job])

    def with_runtime_class(self, name: str) -> KubernetesRequest:
        """Return a copy of the request with this RuntimeClass."""
        return replace(self.with_pod_fields(runtimeClassName=name), detect_runtime_class=False)

    def with_shelf(self, uri: str) -> KubernetesRequest:
        """Return a copy of the request whose outputs a server downloads from the pods and puts into this store."""
        annotations = {"metadata": {"annotations": {names.ANNOTATION_SHELF: uri}}}
        labels = {"spec": {"template": {"metadata": {"labels": {names.LABEL_SHELF: "true"}}}}}
        return replace(self, job=merge_patch(self.job, {**annotations, **labels}))

    def with_annotations(self, annotations: Mapping[str, str]) -> KubernetesRequest:
        """Return a copy of the request whose Job has these annotations as well."""
        return replace(self, job=merge_patch(self.job, {"metadata": {"annotations": dict(annotations)}}))

    def with_pod_fields(self, **fields: object) -> KubernetesRequest:
        """Return a copy of the request with other fields in the specification of its pods."""
        return replace(self, job=merge_patch(self.job, {"spec": {"template": {"spec": fields}}}))


def build_request(spec: JobSpec, options: KubernetesOptions, patch: Mapping[str, object]) -> KubernetesRequest:
    """Return the objects of a job. Raises SpecError for a job that cannot run on Kubernetes."""
    request, _ = gpu_request.parse_gpu(spec.resources.gpu or "1").split()
    digest = _compute_digest(spec, options, patch)
    name = f"{spec.name}-{digest[:6]}"
    store = parse_store_uri(spec.store, name) if spec.store else None
    _validate(spec, options)
    cache = build_cache_parts(spec, options, store)
    per_pod = choose_units_per_pod(spec, options)
    values = {
        **_build_metadata(name, spec, options, digest, per_pod),
        **_build_schedule(spec, options, request, per_pod),
        **pod_template.build_container(spec, options, request, store, per_pod),
    }
    inputs = build_inputs(spec, name, values)
    values |= pod_template.build_volumes(name, spec, options, store, cache, maps=len(inputs))
    packages = None if _names_containers(patch) else build_packages_parts(spec, options, store, values)
    before = [pod_template.build_store_container(spec, options, store, values, cache, packages)] if store else []
    before += [packages.container] if packages else []
    final = None if packages else names.CONTAINER  # without a name, that of any container
    (job,) = render_template("job", {**values, "init_containers": before, "final_container": final})
    detect_runtime_class = bool(request) and options.runtime_class == "auto"
    return KubernetesRequest(merge_patch(job, patch), inputs, store, detect_runtime_class)


def _names_containers(patch: Any) -> bool:
    """Return whether a patch may bring another index, or another image, to what installs packages."""
    for key in ("spec", "template", "spec"):
        patch = patch.get(key) if isinstance(patch, Mapping) else None
    return isinstance(patch, Mapping) and not {"containers", "initContainers"}.isdisjoint(patch)


def _compute_digest(spec: JobSpec, options: KubernetesOptions, patch: Mapping[str, object]) -> str:
    """Return a hash of the whole request. It becomes part of the Job's name, so that different jobs differ in name.

    The hash does not contain context and namespace: the same job has the same name in every cluster.
    """
    content = [
        *(spec.name, spec.units, spec.payload, spec.bundle.digest, spec.image, dict(spec.env), vars(spec.resources)),
        *(spec.timeout.total_seconds(), spec.retries, spec.store, patch),
        *([] if spec.max_failed is None else [spec.max_failed]),
        *([] if spec.cache is None else [spec.cache, options.cache_secret]),
        _dump_options(options),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _dump_options(options: KubernetesOptions) -> dict[str, object]:
    """Return the options that make a job another one; newer ones only where they are set, so that names stay."""
    content = options.model_dump(mode="json", exclude={"cache_secret", "context", "namespace", "patch"})
    if options.units_per_pod is None:
        del content["units_per_pod"]
    return content


def _validate(spec: JobSpec, options: KubernetesOptions) -> None:
    if not (spec.store or spec.foreground):
        raise SpecError(
            "a detached job on Kubernetes needs a store that keeps its outputs",
            hint="add --store s3://BUCKET/PREFIX or --store pvc://CLAIM, or leave --detach out",
        )
    if spec.shards and not spec.store:
        raise SpecError(
            "--shards on Kubernetes needs a store in which the pods meet",
            hint="add --store s3://BUCKET/PREFIX or --store pvc://CLAIM, a PVC that many nodes can write",
        )
    if not spec.image:
        raise SpecError(
            "a job on Kubernetes needs a container image",
            hint="`renderer image build --name REGISTRY/NAME` and `renderer image push --name REGISTRY/NAME` make one; "
            "then add --image with the name that they print",
        )
    check_size(spec)
    memory = spec.resources.memory_mib or pod_template.DEFAULT_MEMORY_MIB
    if options.shm and options.shm >= memory:
        raise SpecError(
            f"--shm ({options.shm} MiB) must be smaller than --memory ({memory} MiB), which includes it",
            hint="raise --memory, or lower --shm",
        )


def _build_metadata(
    name: str, spec: JobSpec, options: KubernetesOptions, digest: str, per_pod: int
) -> dict[str, object]:
    labels = {**options.labels, **names.job_labels(name)}
    if any(uri and not uri.startswith("pvc:") for uri in (spec.store, spec.cache)):
        labels[names.LABEL_NETWORK] = "store"
    annotations = {
        names.ANNOTATION_NAME: spec.name,
        names.ANNOTATION_DIGEST: digest,
    }
    units = json.dumps(spec.units)
    if len(units) <= UNITS_LIMIT:  # on other machines, units without it have their indexes as names
        annotations[names.ANNOTATION_UNITS] = units
    if per_pod > 1:
        annotations[names.ANNOTATION_COUNT] = str(len(spec.units))
        annotations[names.ANNOTATION_PER_POD] = str(per_pod)
    if spec.shards:
        annotations[names.ANNOTATION_SHARDS] = str(spec.shards)
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


def _build_schedule(
    spec: JobSpec, options: KubernetesOptions, request: gpu_request.GpuRequest, per_pod: int
) -> dict[str, object]:
    runtime_class = None if options.runtime_class in {"auto", "none"} else options.runtime_class
    pods = math.ceil(spec.processes / per_pod)
    parallelism = options.parallelism or (MAP_PARALLELISM if spec.is_map else pods)
    max_render_s = spec.processes * (spec.retries + 1) * int(spec.timeout.total_seconds())
    return {
        "completions": pods,
        "parallelism": min(parallelism, pods),
        "deadline": options.deadline or GPU_WAIT_TIMEOUT_S + max_render_s,
        "ttl": options.ttl,
        "retries": spec.retries,
        "max_failed": spec.max_failed,
        "final_exit_codes": _list_final_exit_codes(spec),
        "service_account": options.service_account,
        "priority_class": options.priority_class,
        "node_selector": options.node_selector,
        "runtime_class": runtime_class,
        "affinity": pod_template.build_affinity(request),
        "tolerations": pod_template.GPU_TOLERATIONS if request else [],
        "image_pull_secrets": [{"name": name} for name in options.image_pull_secrets],
    }


def _list_final_exit_codes(spec: JobSpec) -> list[int]:
    """Return the exit codes after which Kubernetes does not retry a unit: it would fail in the same way.

    Without a store, OUTPUT is one of them: it means that no client downloaded the outputs in time.
    """
    extra = () if spec.store else (ExitCode.OUTPUT,)
    return sorted(int(code) for code in (*FINAL_EXIT_CODES, *extra))
