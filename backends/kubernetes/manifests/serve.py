"""The objects that run `renderer serve` in a cluster, for `renderer setup k8s --serve`. The Helm chart has the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backends.kubernetes import names
from backends.kubernetes.manifests.setup import DEFAULT_NAMESPACE
from backends.kubernetes.manifests.templates import Manifest, render_template

SELECTOR: Mapping[str, str] = {names.LABEL_APP: names.APP, names.LABEL_COMPONENT: "serve"}
RESOURCES: Mapping[str, Mapping[str, str]] = {
    "requests": {"cpu": "250m", "memory": "512Mi", "ephemeral-storage": "4Gi"},
    "limits": {"memory": "2Gi"},
}
SANDBOX = "gvisor"  # the RuntimeClass of `renderer setup k8s --untrusted --cluster`
EGRESS = tuple(
    {"protocol": protocol, "port": port} for protocol, port in (("UDP", 53), ("TCP", 53), ("TCP", 443), ("TCP", 6443))
)


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """A server in ``namespace``, whose jobs run in ``jobs_namespace``, in ``image`` and with ``store``.

    With ``host``, an Ingress of the class ``ingress_class`` leads to it. It may reach ``egress_ports`` besides EGRESS.
    With ``runtime_class``, which is a sandbox, it can submit untrusted jobs.
    """

    image: str
    store: str
    namespace: str = f"{DEFAULT_NAMESPACE}-serve"
    jobs_namespace: str = DEFAULT_NAMESPACE
    image_pull_secrets: tuple[str, ...] = ()
    replicas: int = 2  # so that one goes on when the other's node is drained
    host: str | None = None
    ingress_class: str | None = None
    runtime_class: str | None = None
    egress_ports: tuple[int, ...] = ()


def build_serve(options: ServeOptions) -> list[Manifest]:
    """Return the objects in the order in which they must be created."""
    values: dict[str, object] = {
        **vars(options),
        "image_pull_secrets": [{"name": name} for name in options.image_pull_secrets],
        "egress_ports": [*EGRESS, *({"protocol": "TCP", "port": port} for port in options.egress_ports)],
        "binding": f"renderer-serve-{options.namespace}",
        "untrusted_binding": f"renderer-serve-untrusted-{options.namespace}",
        "labels": dict(SELECTOR),
        "selector": dict(SELECTOR),
        "resources": {key: dict(value) for key, value in RESOURCES.items()},
    }
    untrusted = ["serve-untrusted"] if options.runtime_class else []
    templates = ["serve-namespace", *untrusted, "serve", *(["serve-ingress"] if options.host else [])]
    return [manifest for template in templates for manifest in render_template(template, values)]
