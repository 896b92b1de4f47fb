"""Functions of Manim that the engine mirrors are those of the installed Manim."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import renderer
from renderer.mirrors import ATTRIBUTE, mirrors

pytestmark = pytest.mark.filterwarnings("ignore")  # of what Manim imports

DIGITS = 16  # of a hash


def find_mirrors() -> Iterator[tuple[str, str, str]]:
    """Yield each mirror, its original and the expected hash."""
    for folder in ("engine", "video"):
        package = Path(renderer.__file__).parent / folder
        for module in pkgutil.walk_packages([str(package)], f"renderer.{folder}."):
            code = importlib.import_module(module.name)
            owners: list[Any] = [code, *(kind for _, kind in inspect.getmembers(code, inspect.isclass))]
            for value in (value for owner in owners for value in vars(owner).values()):
                if getattr(value, "__module__", None) == module.name:
                    for original, expected in vars(value).get(ATTRIBUTE, ()) if hasattr(value, "__dict__") else ():
                        yield f"{module.name}:{value.__qualname__}", original, expected


def hash_source(original: str) -> str | None:
    """Return the hash of the source of a function or class; None if it is not there. Patches do not count."""
    module, _, qualified = original.partition(":")
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return None
    text = Path(spec.origin).read_text("utf-8")
    node: ast.AST | None = ast.parse(text)
    for name in qualified.split("."):
        found = [part for part in getattr(node, "body", []) if getattr(part, "name", None) == name]
        node = found[-1] if found else None  # the last one is the implementation of overloads
    if not isinstance(node, ast.FunctionDef | ast.ClassDef):
        return None
    start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
    source = "\n".join(text.splitlines()[start : node.end_lineno])
    return hashlib.sha256(source.encode()).hexdigest()[:DIGITS]


def describe_changes(found: Iterator[tuple[str, str, str]]) -> list[str]:
    version = importlib.metadata.version("manim")
    return [
        f"{original} differs in Manim {version}: compare it with {mirror}, adapt that, and set sha256={now!r} there"
        if now
        else f"{original} is not in Manim {version}: find what {mirror} has to mirror now"
        for mirror, original, expected in found
        if (now := hash_source(original)) != expected
    ]


def test_every_function_that_is_mirrored_is_the_installed_manims() -> None:
    changes = describe_changes(find_mirrors())
    assert not changes, "\n".join(changes)


def test_every_patch_names_what_it_mirrors() -> None:
    from renderer.engine.patches.installer import PATCHES

    marked = {mirror for mirror, _, _ in find_mirrors()}
    assert {f"{patch.__module__}:{patch.__name__}" for _, _, patch in PATCHES} <= marked


@pytest.mark.parametrize(
    ("original", "sentence"),
    [
        ("manim.mobject.mobject:Mobject.update", "manim.mobject.mobject:Mobject.update differs in Manim"),
        ("manim.mobject.mobject:Mobject.gone", "manim.mobject.mobject:Mobject.gone is not in Manim"),
    ],
)
def test_a_change_is_described_in_a_sentence(original: str, sentence: str) -> None:
    @mirrors(original, sha256="0")
    def mirror() -> None: ...

    marks: Any = vars(mirror)[ATTRIBUTE]
    (change,) = describe_changes(("renderer.mirror", name, expected) for name, expected in marks)
    assert change.startswith(sentence)
    assert "renderer.mirror" in change
