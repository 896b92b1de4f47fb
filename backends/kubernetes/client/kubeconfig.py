"""Finds the cluster and the credentials of a context, as kubectl does; the official client reads the files.

The client's messages about a broken kubeconfig may contain a token. So errors of this module never contain them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypedDict

import yaml

from backends.errors import BackendError, SpecError

IN_CLUSTER = "in-cluster"
POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError)
_SETUP_HINT = "set KUBECONFIG or --context; `kubectl config get-contexts` lists the contexts"
_LOGIN_HINT = "log in to the cluster again"


class Configuration(Protocol):
    """The settings of the official client that this module sets or reads."""

    host: str
    proxy: str | None
    proxy_headers: Mapping[str, str] | None
    verify_ssl: bool
    tls_server_name: str | None
    ssl_ca_cert: str | None
    cert_file: str | None
    key_file: str | None
    api_key: Mapping[str, str]
    refresh_api_key_hook: Callable[[Configuration], None] | None

    def get_api_key_with_prefix(self, identifier: str) -> str | None:
        """Return the value of the Authorization header; None without a token."""


class _Plugin(TypedDict, total=False):
    command: str
    installHint: str


class _ContextEntry(TypedDict, total=False):
    cluster: str
    user: str
    namespace: str


class _UserEntry(TypedDict, total=False):
    exec: _Plugin


@dataclass(frozen=True)
class Context:
    """One context of the kubeconfig.

    ``configure(configuration, folder)`` sets the server and the credentials in the client's configuration. It writes
    certificates and keys to ``folder``, where OpenSSL reads them. It raises BackendError.
    """

    name: str
    namespace: str
    configure: Callable[[Configuration, str], None]


@dataclass(frozen=True)
class _Kubeconfig:
    """The content of all files of KUBECONFIG, by name. If two files define a name, the first one counts."""

    files: str
    merger: Any
    current: str | None
    contexts: dict[str, _ContextEntry]
    clusters: dict[str, object]
    users: dict[str, _UserEntry]


def load_context(name: str | None) -> Context:
    """Return a context, by default the current one; in a pod without kubeconfig, the pod's own.

    Raises SpecError, BackendError.
    """
    found = _read_files(os.environ.get("KUBECONFIG") or "~/.kube/config")
    if not found.contexts and name in {None, IN_CLUSTER} and "KUBERNETES_SERVICE_HOST" in os.environ:
        namespace = POD_NAMESPACE.read_text().strip() if POD_NAMESPACE.exists() else "default"
        return Context(IN_CLUSTER, namespace, _configure_in_cluster)
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
    return Context(chosen, context.get("namespace") or "default", lambda *target: _configure(found, chosen, *target))


def _read_files(files: str) -> _Kubeconfig:
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
        # Of several current contexts kubectl takes the first, and the client the last.
        current = next(filter(None, (content.get("current-context") for content in merger.config_files.values())), None)
        content = merger.config.value
        return _Kubeconfig(
            files,
            merger,
            current,
            _key_by_name(content["contexts"], "context"),
            _key_by_name(content["clusters"], "cluster"),
            _key_by_name(content["users"], "user"),
        )
    except ConfigException:  # an empty file
        return _Kubeconfig(files, None, None, {}, {}, {})
    except _BROKEN:
        raise SpecError(f"cannot read the kubeconfig {files}", hint=_SETUP_HINT) from None


def _key_by_name(nodes: list[Any], kind: str) -> dict[str, Any]:
    return {node.value["name"]: node.value.get(kind) or {} for node in nodes}


def _configure(found: _Kubeconfig, context: str, configuration: Configuration, folder: str) -> None:
    from kubernetes.config.config_exception import ConfigException
    from kubernetes.config.kube_config import KubeConfigLoader

    with _capturing_log() as messages:
        try:
            loader = KubeConfigLoader(
                found.merger.config,
                context,
                config_base_path=None,  # relative paths start at each file's own folder
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
        raise _explain_plugin_failure(plugin, context, messages)


def _explain_plugin_failure(plugin: _Plugin, context: str, messages: list[str]) -> BackendError:
    reason = next((text.strip() for text in messages if text.startswith(("exec: ", "[Errno "))), "")
    return BackendError(
        f"the credential plugin {plugin.get('command')!r} of the Kubernetes context {context!r} failed"
        + (f": {reason.splitlines()[-1].removeprefix('exec: ')}" if reason else ""),
        hint=str(plugin.get("installHint") or _LOGIN_HINT).strip().splitlines()[0],
    )


def _configure_in_cluster(configuration: Configuration, _: str) -> None:
    from kubernetes.config import ConfigException, load_incluster_config

    try:
        load_incluster_config(configuration)
    except ConfigException as error:
        raise BackendError(f"cannot use the pod's own credentials: {error}") from error


@contextmanager
def _capturing_log() -> Iterator[list[str]]:
    """Collect what the client logs within the block, and hide it. Only its log says why a credential plugin failed."""
    messages: list[str] = []

    def capture(record: logging.LogRecord) -> bool:
        messages.append(record.getMessage())
        return False

    # Without any handler, the first message would set up logging for the whole process.
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)
    root.addFilter(capture)
    try:
        yield messages
    finally:
        root.removeFilter(capture)
        root.removeHandler(handler)
