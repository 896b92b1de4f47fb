"""The parts of a pod that belong to the shared cache: all of them are the store's container's, but for a socket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from backends.cache.client import VARIABLE
from backends.errors import SpecError
from backends.kubernetes import names
from backends.kubernetes.manifests.store_uri import StoreFolder
from backends.kubernetes.manifests.templates import Manifest
from backends.kubernetes.options import KubernetesOptions
from backends.models import JobSpec

RENDER_ENV: Manifest = {"name": VARIABLE, "value": str(names.CACHE_SOCKET)}


@dataclass(frozen=True)
class CacheParts:
    """``arguments`` and ``mounts`` of the store's container, and the pod's ``volumes``."""

    arguments: tuple[str, ...]
    mounts: tuple[Manifest, ...]
    volumes: tuple[Manifest, ...]


def build_cache_parts(spec: JobSpec, options: KubernetesOptions, store: StoreFolder | None) -> CacheParts | None:
    """Return the parts; None for a job without a cache. Raises SpecError where the pods could not use it.

    ``spec.cache`` has been checked by backends.cache.location.
    """
    if not spec.cache:
        return None
    if not store:
        raise SpecError(
            "--cache on Kubernetes needs --store, whose container alone reads and writes the cache",
            hint="add --store s3://BUCKET/PREFIX or --store pvc://CLAIM, or leave --cache out",
        )
    if not options.cache_secret:
        raise SpecError(
            "--cache on Kubernetes needs --cache-secret, the name of a Secret with the cache's key",
            hint="create it from this machine's key: "
            "kubectl create secret generic NAME --from-file=key=$HOME/.local/state/manim-renderer/shared-cache.key",
        )
    scheme, _, rest = spec.cache.partition("://")
    claim, _, path = rest.partition("/")
    mounts: list[Manifest] = [{"name": "cache-key", "mountPath": str(names.CACHE_SECRET), "readOnly": True}]
    volumes: list[Manifest] = [{"name": "cache-key", "secret": {"secretName": options.cache_secret}}]
    uri = spec.cache
    if scheme == "pvc":
        mount: PurePosixPath = names.STORE
        if claim != store.claim:
            mount = names.CACHE_CLAIM
            mounts.append({"name": "cache", "mountPath": str(mount)})
            volumes.append({"name": "cache", "persistentVolumeClaim": {"claimName": claim}})
        uri = f"file://{mount / path}"
    return CacheParts(("--cache", uri), tuple(mounts), tuple(volumes))
