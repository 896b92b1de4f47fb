"""Reads kubeconfig files as kubectl does: KUBECONFIG's list merged, files relative to their own, exec plugins.

The official client reads them too, but its import alone takes several times as long as a whole ``kubectl apply``.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from backends.errors import BackendError, SpecError

IN_CLUSTER = "in-cluster"
POD_CREDENTIALS = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SETUP_HINT = "set KUBECONFIG or --context; `kubectl config get-contexts` lists what there is"


@dataclass(frozen=True, kw_only=True)
class Context:
    """One context: where its API server is and how to be known there. ``user`` and ``cluster`` as the file has them."""

    name: str
    namespace: str
    cluster: Mapping[str, Any]
    user: Mapping[str, Any]

    @property
    def server(self) -> str:
        """The API server's URL."""
        return str(self.cluster["server"]).rstrip("/")


@dataclass(frozen=True)
class Identity:
    """What proves who we are: a header, or a certificate and key in PEM."""

    authorization: str | None = None
    certificate: str | None = None
    key: str | None = None


def load(name: str | None, environ: Mapping[str, str] | None = None) -> Context:
    """Find a context, the current one by default. Raises SpecError, BackendError."""
    environ = os.environ if environ is None else environ
    files = _files(environ)
    merged = _merge(_read(path) for path in files)
    if not merged["contexts"] and (name in (None, IN_CLUSTER)) and "KUBERNETES_SERVICE_HOST" in environ:
        return _in_cluster(environ)
    chosen = name or merged["current-context"]
    if not chosen:
        where = ", ".join(str(path) for path in files)
        raise SpecError(f"no Kubernetes context is set (looked in {where})", hint=_SETUP_HINT)
    if chosen not in merged["contexts"]:
        known = ", ".join(sorted(merged["contexts"])) or "none"
        raise SpecError(f"there is no Kubernetes context {chosen!r}", hint=f"contexts: {known}")
    context = merged["contexts"][chosen]
    try:
        cluster, user = merged["clusters"][context["cluster"]], merged["users"].get(context.get("user"), {})
        cluster["server"]
    except KeyError as error:
        raise SpecError(f"the Kubernetes context {chosen!r} lacks {error}", hint=_SETUP_HINT) from error
    return Context(name=chosen, namespace=context.get("namespace") or "default", cluster=cluster, user=user)


def _files(environ: Mapping[str, str]) -> list[Path]:
    named = [Path(part) for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return named or [Path(environ.get("HOME", "~")).expanduser() / ".kube" / "config"]


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text("utf-8"), Loader=_LOADER)  # noqa: S506 - a safe loader
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"cannot read the kubeconfig {path}", hint=_SETUP_HINT) from error
    if not isinstance(content, dict):
        return {}
    for kind, inner in (("clusters", "cluster"), ("users", "user")):
        for entry in content.get(kind) or []:
            entry[inner] = _absolute(entry.get(inner) or {}, path.parent)
    return content


def _absolute(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    keys = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
    return values | {key: str(folder / values[key]) for key in keys if values.get(key)}


def _merge(contents: Any) -> dict[str, Any]:
    """Lay the files together; what comes first counts."""
    merged: dict[str, Any] = {"current-context": None, "contexts": {}, "clusters": {}, "users": {}}
    for content in contents:
        merged["current-context"] = merged["current-context"] or content.get("current-context")
        for kind in ("contexts", "clusters", "users"):
            for entry in content.get(kind) or []:
                merged[kind].setdefault(entry["name"], entry.get(kind[:-1]) or {})
    return merged


def _in_cluster(environ: Mapping[str, str]) -> Context:
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    namespace = POD_CREDENTIALS / "namespace"
    return Context(
        name=IN_CLUSTER,
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
        cluster={
            "server": f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
            "certificate-authority": str(POD_CREDENTIALS / "ca.crt"),
        },
        user={"tokenFile": str(POD_CREDENTIALS / "token")},
    )


def identity(context: Context) -> Identity:
    """Read the credentials as they are now: a token's file and an exec plugin may have new ones. BackendError."""
    user = context.user
    if "exec" in user:
        return _from_plugin(user["exec"], context)
    if user.get("tokenFile") or user.get("token"):
        try:
            token = Path(user["tokenFile"]).read_text().strip() if user.get("tokenFile") else user["token"]
        except OSError as error:
            raise BackendError(f"cannot read the token of the Kubernetes context {context.name!r}") from error
        return Identity(authorization=f"Bearer {token}")
    if user.get("username"):
        pair = base64.b64encode(f"{user['username']}:{user.get('password', '')}".encode()).decode()
        return Identity(authorization=f"Basic {pair}")
    if "auth-provider" in user:
        raise BackendError(
            f"the Kubernetes context {context.name!r} uses an auth-provider, which kubectl has dropped too",
            hint="use an exec plugin, for example `kubectl oidc-login`",
        )
    return Identity(certificate=pem(user, "client-certificate"), key=pem(user, "client-key"))


def _from_plugin(plugin: Mapping[str, Any], context: Context) -> Identity:
    command = [plugin["command"], *(plugin.get("args") or [])]
    info: dict[str, Any] = {
        "apiVersion": plugin.get("apiVersion"),
        "kind": "ExecCredential",
        "spec": {"interactive": False},
    }
    if plugin.get("provideClusterInfo"):
        info["spec"]["cluster"] = {"server": context.server, "certificate-authority-data": _encoded_authority(context)}
    extra = {item["name"]: item["value"] for item in plugin.get("env") or []}
    environment = {**os.environ, **extra, "KUBERNETES_EXEC_INFO": json.dumps(info)}
    try:
        answer = subprocess.run(command, env=environment, capture_output=True, check=True, text=True, timeout=60)
        status = json.loads(answer.stdout)["status"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        said = (getattr(error, "stderr", "") or "").strip().splitlines()
        raise BackendError(
            f"the credential plugin {command[0]!r} of the Kubernetes context {context.name!r} failed"
            + (f": {said[-1]}" if said else ""),
            hint=str(plugin.get("installHint") or "log in to the cluster again").strip().splitlines()[0],
        ) from error
    token = status.get("token")
    return Identity(
        f"Bearer {token}" if token else None, status.get("clientCertificateData"), status.get("clientKeyData")
    )


def _encoded_authority(context: Context) -> str | None:
    authority = pem(context.cluster, "certificate-authority")
    return base64.b64encode(authority.encode()).decode() if authority else None


def pem(values: Mapping[str, Any], key: str) -> str | None:
    """Give the text of KEY-data or of the file KEY; None when neither is given. Raises BackendError."""
    try:
        if values.get(f"{key}-data"):
            return base64.b64decode(values[f"{key}-data"]).decode()
        return Path(values[key]).read_text() if values.get(key) else None
    except (OSError, ValueError) as error:
        raise BackendError(f"cannot read the {key} of the kubeconfig", hint=_SETUP_HINT) from error


def as_file(text: str) -> Path:
    """Write a key where OpenSSL can read it, for the moment that it takes; the caller removes it."""
    descriptor, path = tempfile.mkstemp(prefix="renderer-")  # readable by its owner alone
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    return Path(path)
