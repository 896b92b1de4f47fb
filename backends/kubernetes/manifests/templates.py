"""Fills the templates of the folder k8s/. They have no logic, and one filter quotes every value for YAML."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

import jinja2
import yaml

from backends.files import data_dir

Manifest = dict[str, Any]


def quote_yaml(value: object) -> str:
    """Return a value as one line of YAML that every YAML reader reads back as the same value."""
    if isinstance(value, jinja2.Undefined):
        raise jinja2.UndefinedError(f"{value._undefined_name} is not given")  # noqa: SLF001 - no public name for it
    if isinstance(value, str) and _is_plain(value):
        return value  # a shortcut: yaml.dump takes a millisecond
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=10**9, allow_unicode=False)
    return text.removesuffix("\n").removesuffix("\n...")


def render_template(template: str, values: Mapping[str, object]) -> list[Manifest]:
    """Return the objects of ``k8s/TEMPLATE.yaml.j2``, without the fields that are empty."""
    text = _environment().get_template(f"{template}.yaml.j2").render(values)
    return [_drop_empty(document) for document in yaml.load_all(text, Loader=_LOADER)]


def dump_manifests(manifests: list[Manifest]) -> str:
    """Return the objects as one YAML stream for kubectl."""
    return yaml.dump_all(manifests, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=False)


KEPT_EMPTY = ("emptyDir", "podSelector")  # an empty podSelector selects every pod
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_RESERVED = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})


class _Dumper(_DUMPER):  # type: ignore[misc]
    """Quotes every text that some YAML reader takes for another type: kubectl, for example, reads 1e3 as a number."""


def _is_plain(value: str) -> bool:
    return bool(_PLAIN.fullmatch(value)) and value.lower() not in _RESERVED


def _represent_text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if _is_plain(value) else '"')


_Dumper.add_representer(str, _represent_text)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(data_dir("k8s")),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - this is YAML, and quote_yaml escapes
        keep_trailing_newline=True,
    )
    environment.filters["q"] = quote_yaml
    return environment


def _drop_empty(value: Any) -> Any:
    """Remove None, {} and [] from mappings, but for KEPT_EMPTY, so that options that are not set have no field."""
    if isinstance(value, dict):
        cleaned = {key: _drop_empty(item) for key, item in value.items()}
        return {key: item for key, item in cleaned.items() if key in KEPT_EMPTY or item not in (None, {}, [])}
    return [_drop_empty(item) for item in value] if isinstance(value, list) else value
