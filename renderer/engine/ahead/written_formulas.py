"""Finds formulas in the text of a scene: calls of Manim's classes whose arguments are all written out.

`MathTex(r"x^2", color=BLUE)` is one, `MathTex(f"x^{n}")` is not.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from manim import config
from manim.mobject.text import tex_mobject

_MODULES = {"manim.mobject.text.numbers", "manim.mobject.text.tex_mobject"}
_MENTION = re.compile(rb"\b(\w*Tex|Title|BulletedList|DecimalNumber|Integer|Variable)\b")
# In place of each formula, so that what is made of several formulas asks for all of them.
_PLACEHOLDER = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0H9V9H0Z"/></svg>'


@dataclass(frozen=True)
class Formula:
    """The arguments of Manim's ``tex_to_svg_file``."""

    expression: str
    environment: str | None
    template: Any


def mentions_formulas(scene: type) -> bool:
    """Return whether the scene's file names a class of formulas; a quick test."""
    source = _read_source(sys.modules.get(scene.__module__))
    return bool(source and _MENTION.search(source))


def find_formulas(scene: type, scratch: Path) -> list[Formula]:
    """Return the formulas in the text of the scene and of what it uses of its project, in the order of the text.

    Constructs the mobjects, so call it in a process that ends thereafter. ``scratch`` is a folder for a file.
    """
    placeholder = scratch / "placeholder.svg"
    placeholder.write_text(_PLACEHOLDER)
    found: dict[tuple[str, str | None, int], Formula] = {}

    def note(expression: str, environment: str | None = None, tex_template: Any = None) -> Path:
        template = config["tex_template"] if tex_template is None else tex_template
        found.setdefault((expression, environment, id(template)), Formula(expression, environment, template))
        return placeholder

    tex_mobject.tex_to_svg_file = note
    for module, node in _find_used_code(scene):
        for call in sorted(_find_calls(node), key=lambda call: (call.lineno, call.col_offset)):
            with suppress(Exception):  # what fails here fails in the scene, or is not reached there
                _make_mobject(call, vars(module))
    return list(found.values())


def _find_used_code(scene: type) -> Iterator[tuple[ModuleType, ast.AST]]:
    """Yield the scene's class, then what its names lead to in the project: functions, classes, constants."""
    waiting = [(scene.__module__, scene.__name__)]
    seen = set(waiting)
    parsed: dict[str, dict[str, ast.stmt]] = {}
    while waiting:
        module, name = waiting.pop(0)
        if module not in parsed:
            parsed[module] = _index_statements(sys.modules.get(module))
        if name not in parsed[module]:
            continue
        node = parsed[module][name]
        yield sys.modules[module], node
        for used in _find_names(node, module):
            if used not in seen:
                seen.add(used)
                waiting.append(used)


def _index_statements(module: ModuleType | None) -> dict[str, ast.stmt]:
    """Return the statements of a project's module by the names that they define."""
    source = _read_source(module)
    try:
        tree = ast.parse(source or b"")
    except (SyntaxError, ValueError, RecursionError):  # the file has been changed since it was run
        return {}
    named: dict[str, ast.stmt] = {}
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef):
            named[statement.name] = statement
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            named.update({target.id: statement for target in targets if isinstance(target, ast.Name)})
    return named


def _read_source(module: ModuleType | None) -> bytes | None:
    """Return the text of a module that lies in the current folder."""
    file = Path(str(getattr(module, "__file__", None)))
    with suppress(OSError):
        if file.absolute().is_relative_to(Path.cwd()) and "site-packages" not in file.parts:
            return file.read_bytes()
    return None


def _find_names(node: ast.AST, module: str) -> Iterator[tuple[str, str]]:
    """Yield the module and the name of all that a statement of the module names, wherever it was imported from."""
    known = vars(sys.modules[module])
    for item in ast.walk(node):
        if isinstance(item, ast.Name):
            value = known.get(item.id)
            yield getattr(value, "__module__", None) or module, getattr(value, "__name__", None) or item.id
        elif isinstance(item, ast.Attribute) and isinstance(item.value, ast.Name):
            owner = known.get(item.value.id)
            if isinstance(owner, ModuleType):
                yield owner.__name__, item.attr


def _find_calls(node: ast.AST) -> Iterator[ast.Call]:
    return (item for item in ast.walk(node) if isinstance(item, ast.Call))


def _make_mobject(call: ast.Call, known: dict[str, Any]) -> None:
    """Construct the mobject of the call, if it is one with formulas and all its arguments are written out."""
    made = _find_value(call.func, known)
    if not (isinstance(made, type) and made.__module__ in _MODULES):
        return
    arguments: list[Any] = []
    for argument in call.args:
        if isinstance(argument, ast.Starred):
            arguments += _evaluate(argument.value, known)
        else:
            arguments.append(_evaluate(argument, known))
    made(*arguments, **{str(keyword.arg): _evaluate(keyword.value, known) for keyword in call.keywords})


def _find_value(node: ast.expr, known: dict[str, Any]) -> Any:
    """Return the value of a name, or of a name in a module; None if there is none."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute) and isinstance(owner := _find_value(node.value, known), ModuleType):
        return vars(owner).get(node.attr)
    return None


def _evaluate(node: ast.expr, known: dict[str, Any]) -> Any:
    """Return the value of a literal, whose items may be names. Raises ValueError for all else."""
    if isinstance(node, ast.Name | ast.Attribute):
        if (value := _find_value(node, known)) is None:
            raise ValueError("not known before the scene runs")
        return value
    if isinstance(node, ast.List | ast.Tuple):
        return [_evaluate(item, known) for item in node.elts]
    if isinstance(node, ast.Dict):
        items = zip(node.keys, node.values, strict=True)
        return {_evaluate(key, known): _evaluate(value, known) for key, value in items if key}
    return ast.literal_eval(node)
