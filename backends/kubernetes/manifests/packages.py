"""The parts of a pod that install the job's packages where its store keeps them for later pods."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backends.kubernetes import names
from backends.kubernetes.manifests.store_uri import StoreFolder
from backends.kubernetes.manifests.templates import Manifest, render_template
from backends.kubernetes.options import KubernetesOptions
from backends.models import JobSpec

_NO_GPU: Manifest = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}


@dataclass(frozen=True)
class PackagesParts:
    """``arguments`` of the store's container, and the ``container`` that installs the packages before the render."""

    arguments: tuple[str, ...]
    container: Manifest


def build_packages_parts(
    spec: JobSpec, options: KubernetesOptions, store: StoreFolder | None, values: Mapping[str, Any]
) -> PackagesParts | None:
    """Return the parts; None for a job whose packages are installed by the render itself, for itself alone.

    Without a store nothing keeps them. A Secret may name another index: which packages it gives cannot be seen here. A
    file's name says nothing of its content, and the job's own files are in the pod.
    ``values`` are those of the render's container.
    """
    if not (spec.packages and store) or options.secret_env or options.secret_files:
        return None
    if store.uri and (not options.store_secret or spec.env.keys() & set(names.STORE_SECRETS)):  # the job has it as well
        return None
    if not all(map(_is_remote, spec.packages)):
        return None
    env = {each["name"]: each for each in values["env"]}
    wanted = [spec.image, spec.packages, sorted(spec.env.items())]
    digest = hashlib.sha256(json.dumps(wanted).encode()).hexdigest()
    (container,) = render_template(
        "packages",
        {
            **values,
            "packages_arguments": [str(options.ephemeral_storage)],
            "packages_env": list({**env, _NO_GPU["name"]: _NO_GPU}.values()),
            "packages_resources": dict.fromkeys(("requests", "limits"), values["resources"]["requests"]),  # no GPU
            "packages_mounts": [
                {"name": "inputs", "mountPath": str(names.INPUTS), "readOnly": True},
                {"name": "work", "mountPath": str(names.WORK)},
                {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own
                {"name": "control", "mountPath": str(names.CONTROL), "readOnly": True},
            ],
        },
    )
    return PackagesParts(("--packages", store.packages.uri_in_pod, digest), container)


def _is_remote(line: str) -> bool:
    """Return whether what a line of requirements names is in an index or at a URL, and not in a file."""
    words = line.partition(" #")[0].partition(";")[0]
    has_place = "@" in words or words.startswith(("--index-url", "--extra-index-url", "--find-links"))
    return "file:" not in words.lower() and (not has_place or "://" in words)
