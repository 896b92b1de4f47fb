"""Finds the cluster and the credentials as kubectl does: the official client reads them, the words are ours.

What the client says of a broken kubeconfig may quote a token of it: nothing of that is passed on, nor named as a cause.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from backends.errors import BackendError, SpecError

IN_CLUSTER = "in-cluster"
POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError)
_SETUP_HINT = "set KUBECONFIG or --context; `kubectl config get-contexts` lists what there is"
_LOGIN_HINT = "log in to the cluster again"


@dataclass(frozen=True)
class Context:
    """One context; ``fill(configuration, folder)`` gives the client's configuration its server and credentials.

    The files that OpenSSL wants are written into the folder. It raises BackendError.
    """

    name: str
    namespace: str
    fill: Callable[[Any, str], None]


@dataclass(frozen=True)
class _Kubeconfig:
    """The files that KUBECONFIG names, laid together; what comes first counts. Tables by name."""

    files: str
    merger: Any
    current: str | None
    contexts: dict[str, dict[str, Any]]
    clusters: dict[str, dict[str, Any]]
    users: dict[str, dict[str, Any]]


def load(name: str | None) -> Context:
    """Find a context, the current one by default. Raises SpecError, BackendError."""
    found = _read(os.environ.get("KUBECONFIG") or "~/.kube/config")
    if not found.contexts and name in {None, IN_CLUSTER} and "KUBERNETES_SERVICE_HOST" in os.environ:
        namespace = POD_NAMESPACE.read_text().strip() if POD_NAMESPACE.exists() else "default"
        return Context(IN_CLUSTER, namespace, _fill_in_cluster)
    chosen = name or found.current
    if not chosen:
        raise SpecError(f"no Kubernetes context is set (looked in {found.files})", hint=_SETUP_HINT)
    if chosen not in found.contexts:
        names = ", ".join(sorted(found.contexts)) or "none"
        raise SpecError(f"there is no Kubernetes context {chosen!r}", hint=f"contexts: {names}")
    context = found.contexts[chosen]
    for kind, known in (("cluster", found.clusters), ("user", {"": {}, **found.users})):
        wanted = str(context.get(kind) or "")
        if wanted not in known:
            raise SpecError(f"the Kubernetes context {chosen!r} lacks its {kind} {wanted!r}", hint=_SETUP_HINT)
    return Context(chosen, context.get("namespace") or "default", lambda *into: _fill(found, chosen, *into))


def _read(files: str) -> _Kubeconfig:
    try:
        from kubernetes.config.config_exception import ConfigException
        from kubernetes.config.kube_config import KubeConfigMerger
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        raise BackendError(
            f"the backend 'k8s' needs the Python package {package!r}", hint="pip install 'manim-renderer[k8s]'"
        ) from error
    try:
        merger = KubeConfigMerger(files)
        if merger.config is None:
            return _Kubeconfig(files, merger, None, {}, {}, {})
        # Not the client's choice: of several current contexts it takes the last, kubectl the first.
        current = next(filter(None, (content.get("current-context") for content in merger.config_files.values())), None)
        tables = [_by_name(merger.config.value[f"{kind}s"], kind) for kind in ("context", "cluster", "user")]
        return _Kubeconfig(files, merger, current, *tables)
    except ConfigException:  # an empty file
        return _Kubeconfig(files, None, None, {}, {}, {})
    except _BROKEN:
        raise SpecError(f"cannot read the kubeconfig {files}", hint=_SETUP_HINT) from None


def _by_name(nodes: list[Any], kind: str) -> dict[str, dict[str, Any]]:
    return {node.value["name"]: node.value.get(kind) or {} for node in nodes}


def _fill(found: _Kubeconfig, context: str, configuration: Any, folder: str) -> None:
    from kubernetes.config.config_exception import ConfigException
    from kubernetes.config.kube_config import KubeConfigLoader

    with _complaints() as heard:
        try:
            loader = KubeConfigLoader(
                found.merger.config,
                context,
                config_base_path=None,  # each file's own folder
                config_persister=found.merger.save_changes,
                temp_file_path=folder,
            )
            loader.load_and_set(configuration)
        except (ConfigException, *_BROKEN):
            raise BackendError(
                f"cannot read the credentials of the Kubernetes context {context!r}", hint=_LOGIN_HINT
            ) from None
    plugin = found.users.get(found.contexts[context].get("user", ""), {}).get("exec")
    if plugin and not (configuration.api_key or configuration.cert_file):
        raise _plugin_failed(plugin, context, heard)


def _plugin_failed(plugin: dict[str, Any], context: str, heard: list[str]) -> BackendError:
    said = next((words.strip() for words in heard if words.startswith(("exec: ", "[Errno "))), "")
    return BackendError(
        f"the credential plugin {plugin.get('command')!r} of the Kubernetes context {context!r} failed"
        + (f": {said.splitlines()[-1].removeprefix('exec: ')}" if said else ""),
        hint=str(plugin.get("installHint") or _LOGIN_HINT).strip().splitlines()[0],
    )


def _fill_in_cluster(configuration: Any, _: str) -> None:
    from kubernetes.config import ConfigException, load_incluster_config

    try:
        load_incluster_config(configuration)
    except ConfigException as error:
        raise BackendError(f"cannot use the pod's own credentials: {error}") from error


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect what the client logs instead of raising it: why a plugin failed. Nobody else sees it."""
    heard: list[str] = []

    def hear(record: logging.LogRecord) -> bool:
        heard.append(record.getMessage())
        return False

    root, silent = logging.getLogger(), logging.NullHandler()  # without any handler logging sets one up, for good
    root.addHandler(silent)
    root.addFilter(hear)
    try:
        yield heard
    finally:
        root.removeFilter(hear)
        root.removeHandler(silent)
