"""Fills the templates of k8s/: every value passes one quoting filter, and there is no logic in them."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

import jinja2
import yaml

from backends.data_files import data_dir

Manifest = dict[str, Any]


def quote(value: object) -> str:
    """Write any value as YAML in one line, plain enough for every YAML reader."""
    if isinstance(value, jinja2.Undefined):
        raise jinja2.UndefinedError(f"{value._undefined_name} is not given")  # noqa: SLF001 - no public name for it
    if isinstance(value, str) and _is_plain(value):
        return value  # most values are such words, and yaml takes a millisecond for each
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=10**9, allow_unicode=False)
    return text.removesuffix("\n").removesuffix("\n...")


def render(template: str, values: Mapping[str, Any]) -> list[Manifest]:
    """Fill ``k8s/TEMPLATE.yaml.j2`` and give its objects, without the fields that came out empty."""
    text = _environment().get_template(f"{template}.yaml.j2").render(values)
    return [_without_empty(document) for document in yaml.load_all(text, Loader=_LOADER)]


def dump(manifests: list[Manifest]) -> str:
    """Write objects as one YAML stream for kubectl."""
    return yaml.dump_all(manifests, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=False)


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})


class _Dumper(_DUMPER):  # type: ignore[misc]
    """Quotes whatever any reader of YAML could take for a number or a truth: Go reads 1e3 as a number."""


def _is_plain(value: str) -> bool:
    return bool(_PLAIN.fullmatch(value)) and value.lower() not in _WORDS


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if _is_plain(value) else '"')


_Dumper.add_representer(str, _text)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(data_dir("k8s")),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - this is YAML, and quote() escapes
        keep_trailing_newline=True,
    )
    environment.filters["q"] = quote
    return environment


def _without_empty(value: Any) -> Any:
    """Drop None, {} and [] of mappings: an option that was not given leaves no trace. ``emptyDir: {}`` stays."""
    if isinstance(value, dict):
        cleaned = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in cleaned.items() if key == "emptyDir" or item not in (None, {}, [])}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value
