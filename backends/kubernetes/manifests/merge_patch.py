"""``--patch FILE``: merges what no option says into the Job."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from backends.errors import SpecError


def merge(manifest: dict[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Lay ``patch`` over a copy: mappings merge, null removes, lists of named things merge by name, others replace."""
    merged = dict(manifest)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge_value(merged.get(key), value)
    return merged


def _merge_value(old: Any, new: Any) -> Any:
    if isinstance(new, Mapping):
        return merge(old if isinstance(old, dict) else {}, new)
    if _is_named(old) and _is_named(new):
        by_name = {item["name"]: item for item in old}
        for item in new:
            by_name[item["name"]] = merge(by_name.get(item["name"], {}), item)
        return list(by_name.values())
    return copy.deepcopy(new)


def _is_named(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) and "name" in item for item in value)


def read(path: Path) -> dict[str, Any]:
    """Read a patch. Raises SpecError for a file that is none."""
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot read the patch {path}: {error}", hint="--patch takes a YAML file") from error
    except yaml.YAMLError as error:
        raise SpecError(f"the patch {path} is not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict):
        raise SpecError(f"the patch {path} is not a part of a Job", hint="it begins like the Job itself: spec: …")
    return content
