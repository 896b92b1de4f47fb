"""``--patch FILE``: YAML that is merged into the Job."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TypeGuard

import yaml

from backends.errors import SpecError
from backends.kubernetes.manifests.templates import Manifest


def merge_patch(manifest: Manifest, patch: Mapping[str, object]) -> Manifest:
    """Return a copy of ``manifest`` with ``patch`` merged into it.

    Mappings are merged, null removes a key, lists of items with names are merged by name, other values are replaced.
    """
    merged = dict(manifest)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge_value(merged.get(key), value)
    return merged


def _merge_value(old: object, new: object) -> object:
    if isinstance(new, Mapping):
        return merge_patch(old if isinstance(old, dict) else {}, new)
    if _has_named_items(old) and _has_named_items(new):
        by_name = {item["name"]: item for item in old}
        for item in new:
            by_name[item["name"]] = merge_patch(by_name.get(item["name"], {}), item)
        return list(by_name.values())
    return copy.deepcopy(new)


def _has_named_items(value: object) -> TypeGuard[list[Manifest]]:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) and "name" in item for item in value)


def read_patch(path: Path) -> Manifest:
    """Read a patch from a file. Raises SpecError if the file is not a YAML mapping."""
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot read the patch {path}: {error}", hint="--patch takes a YAML file") from error
    except yaml.YAMLError as error:
        raise SpecError(
            f"the patch {path} is not YAML: {str(error).splitlines()[0]}", hint="correct the syntax of the file"
        ) from error
    if not isinstance(content, dict):
        raise SpecError(
            f"the patch {path} is not a part of a Job", hint="begin it as a Job's manifest begins, with `spec:`"
        )
    return content
