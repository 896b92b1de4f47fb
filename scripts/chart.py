"""Writes the templates of the Helm chart k8s/chart from those of `renderer setup k8s --serve`: both have one source.

In a chart, every value of a template is an expression of Helm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import jinja2

from backends.kubernetes.manifests.serve import EGRESS, SELECTOR
from backends.kubernetes.manifests.templates import quote_yaml

FOLDER = Path(__file__).parents[1] / "k8s"
HEADER = "# Generated from k8s/{}.yaml.j2 by scripts/chart.py: change that file.\n"


class Expression(str):
    """An expression of Helm, such as ``.Values.image``."""

    __slots__ = ()


VALUES: Mapping[str, object] = {
    "namespace": Expression(".Release.Namespace"),
    "jobs_namespace": Expression(".Values.jobsNamespace"),
    "binding": Expression('printf "renderer-serve-%s" .Release.Namespace'),
    "image": Expression('required "set image to the image of renderer" .Values.image'),
    "store": Expression('required "set store to where outputs are kept: s3://BUCKET/PREFIX" .Values.store'),
    "replicas": Expression(".Values.replicas"),
    "image_pull_secrets": Expression(".Values.imagePullSecrets"),
    "egress_ports": Expression(f"concat (fromJsonArray `{json.dumps(EGRESS)}`) .Values.egressPorts"),
    "resources": Expression(".Values.resources"),
    "untrusted_binding": Expression('printf "renderer-serve-untrusted-%s" .Release.Namespace'),
    "runtime_class": Expression(".Values.untrusted.runtimeClass"),
    "host": Expression(".Values.ingress.host"),
    "ingress_class": Expression(".Values.ingress.className"),
    "labels": dict(SELECTOR),
    "selector": dict(SELECTOR),
}


def build_chart() -> dict[Path, str]:
    """Return the templates of the chart: the text of each file."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  # this is YAML
        keep_trailing_newline=True,
    )
    environment.filters["q"] = _quote
    texts = {
        name: HEADER.format(name) + environment.get_template(f"{name}.yaml.j2").render(VALUES)
        for name in ("serve", "serve-untrusted", "serve-ingress")
    }
    for name, value in (("serve-untrusted", "untrusted.runtimeClass"), ("serve-ingress", "ingress.host")):
        texts[name] = f"{{{{- if .Values.{value} }}}}\n{texts[name]}{{{{- end }}}}\n"
    return {FOLDER / "chart" / "templates" / f"{name}.yaml": text for name, text in texts.items()}


def _quote(value: object) -> str:
    return f"{{{{ {value} | toJson }}}}" if isinstance(value, Expression) else quote_yaml(value)


if __name__ == "__main__":
    for path, text in build_chart().items():
        path.write_text(text, "utf-8")
