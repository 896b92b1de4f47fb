"""Makes the mobjects of an SVG file once: equal files, such as those of equal texts, give copies of the first ones."""

from __future__ import annotations

import copyreg
import io
import pickle
import re
from collections.abc import Mapping
from operator import is_
from pathlib import Path
from typing import Any

import numpy as np
from manim import ManimColor, Mobject, Rectangle, SVGMobject, VGroup
from manim.mobject.svg import svg_mobject
from manim.mobject.svg.svg_mobject import VMobjectFromSVGPath

from renderer.engine.patches import kept_mobjects
from renderer.engine.patches.outlines import PROTOCOL, seal
from renderer.mirrors import mirrors

MAX_FILE_BYTES = 2**18
_SURFACE = re.compile(rb'(?<= id="surface)\d+(?=")')  # cairo counts the files that a process has made
_KINDS = (VMobjectFromSVGPath, Rectangle)  # of the mobjects in texts and formulas
_METHODS = (
    "apply_style_to_mobject", "generate_config_style_dict", "get_mob_from_shape_element", "get_mobjects_from",
    "handle_transform", "modify_xml_tree", "path_to_mobject", "rect_to_mobject",
)  # fmt: skip
_PLAIN_TYPES = (bool, int, float, str, type(None))
_MANIM_METHODS = {name: getattr(SVGMobject, name) for name in _METHODS}
_MANIM_GENERATE = SVGMobject.generate_mobject
_MANIM_GLOBALS = dict(vars(svg_mobject))
_MANIM_CLASSES = {
    base: dict(vars(base))
    for kind in (SVGMobject, VGroup, ManimColor, svg_mobject.se.Path, *_KINDS)
    for base in kind.__mro__
    if base is not object
}

_unchanged: dict[type, tuple[object, ...]] = {}  # what the classes had when they were looked at last


@mirrors("manim.mobject.svg.svg_mobject:SVGMobject.generate_mobject", sha256="ed76ca67478c9a20")
def generate_mobject(self: Any) -> Any:
    """Add the mobjects of the SVG file, which are new ones."""
    path = self.get_file_path()
    key, surface = _compute_key(self, path)
    kept = kept_mobjects.find(key)
    if kept is not None:
        names, mobjects, groups = pickle.loads(kept)  # noqa: S301  # from this process, or from `renderer watch`
        groups = {surface if name is None else name: group for name, group in zip(names, groups, strict=True)}
    else:
        mobjects, groups = _read(self, path)
        if key:
            for glyph in (mobject for mobject in mobjects if type(mobject) is VMobjectFromSVGPath):
                seal(glyph)
            if kept_mobjects.is_wanted(key):
                _keep(key, surface, mobjects, groups)
    self.add(*mobjects)
    self.id_to_vgroup_dict = groups
    self.flip(svg_mobject.RIGHT)
    return self


def _read(svg: Any, path: Path) -> Any:
    """Return the mobjects in the file, and those of each group in it, as Manim does."""
    tree = svg.modify_xml_tree(svg_mobject.ET.parse(path))
    modified = path.with_name(f"{path.stem}_{path.suffix}")
    tree.write(modified)
    parsed = svg_mobject.se.SVG.parse(modified)
    modified.unlink()
    return svg.get_mobjects_from(parsed)


def _compute_key(svg: Any, path: Path) -> tuple[bytes, str]:
    """Return what decides which mobjects a file gives, and the name that cairo gave it.

    The key is empty if the scene has a part in it, or if the file is large.
    """
    options = svg.path_string_config
    is_plain = type(options) is dict and all(type(value) in _PLAIN_TYPES for value in options.values())
    if not is_plain or not _has_manim_methods(svg) or path.stat().st_size > MAX_FILE_BYTES:
        return b"", ""
    content = path.read_bytes()
    surfaces = _SURFACE.findall(content)
    surface = f"surface{surfaces[0].decode()}" if len(surfaces) == 1 else ""
    text = _SURFACE.sub(b"", content) if surface else content
    return repr((svg.generate_config_style_dict(), options)).encode("utf-8", "surrogatepass") + b"\n" + text, surface


def _has_manim_methods(svg: Any) -> bool:
    """Return whether no code and no default of the scene changes what mobjects the file gives."""
    kind = type(svg)
    if not all(getattr(kind, name) is method for name, method in _MANIM_METHODS.items()):
        return False
    if not vars(svg).keys().isdisjoint(_METHODS):
        return False
    if any(vars(svg_mobject).get(name) is not value for name, value in _MANIM_GLOBALS.items()):
        return False
    return all(_is_unchanged(base, known) for base, known in _MANIM_CLASSES.items())


def _is_unchanged(kind: type, known: Mapping[str, object]) -> bool:
    """Return whether a class is as it was before the scene was imported, but for the engine's own changes."""
    values = tuple(vars(kind).values())
    looked_at = _unchanged.get(kind, ())
    if len(values) == len(looked_at) and all(map(is_, values, looked_at)):
        return True
    for name, value in vars(kind).items():
        if known.get(name) is not value and name != "__slotnames__" and not _is_own(value):  # pickle adds that
            return False
    _unchanged[kind] = values
    return known.keys() <= vars(kind).keys()


def _is_own(value: object) -> bool:
    """Return whether the engine has made a function or descriptor, or has wrapped one of Manim's."""
    code = getattr(value, "__globals__", None)
    module = code.get("__name__") if isinstance(code, dict) else type(value).__module__
    return str(module).startswith("renderer.engine.")


def _keep(key: bytes, surface: str, mobjects: list[Any], groups: Mapping[str, Any]) -> None:
    """Keep the mobjects for equal files, unless a copy would not be the same in every way."""
    if not all(map(_can_copy, mobjects)):
        return
    names = [None if surface and name == surface else name for name in groups]
    written = io.BytesIO()
    try:
        _Pickler(written, PROTOCOL).dump((names, mobjects, list(groups.values())))
    except (AttributeError, RecursionError, TypeError, pickle.PicklingError):
        return
    content = written.getvalue()
    if not surface or surface.encode() not in content:
        kept_mobjects.keep(key, content)


class _Pickler(pickle.Pickler):
    """Pickles a mobject as its class and attributes, so that loading does not ask it for methods that it lacks."""

    def reducer_override(self, thing: Any) -> Any:
        """Return how to make a mobject again."""
        if isinstance(thing, Mobject):
            return copyreg.__newobj__, (type(thing),), vars(thing), None, None, _set_attributes  # type: ignore[attr-defined]
        return NotImplemented


def _set_attributes(mobject: Mobject, attributes: Mapping[str, object]) -> None:
    vars(mobject).update(attributes)


def _can_copy(mobject: Any) -> bool:
    arrays = (value for value in vars(mobject).values() if isinstance(value, np.ndarray))
    return type(mobject) in _KINDS and all(array.flags.c_contiguous for array in arrays)
