"""Evaluates the expressions with which a file extends ``sys.path``, without running the file."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_MAX_DEPTH = 40  # of nested calls and operators
_JOINS = frozenset({"join", "joinpath", "Path", "PurePath", "PosixPath"})
_METHODS = frozenset({"absolute", "as_posix", "resolve"})
_KEEPS = _METHODS | {"abspath", "fspath", "normpath", "realpath", "str"}
_CONSTANTS = {"pardir": os.pardir, "curdir": os.curdir, "sep": "/"}


@dataclass
class PathChanges:
    """What a file adds to ``sys.path``: folders before the ones that are there, and folders after them."""

    first: list[Path] = field(default_factory=list)
    last: list[Path] = field(default_factory=list)


def find_path_changes(statements: Iterable[ast.stmt], file: Path, working_folder: Path) -> PathChanges:
    """Return what the statements of a file add to ``sys.path``. Expressions that only running tells are left out."""
    changes, evaluator = PathChanges(), _Evaluator(file, working_folder)
    for node in statements:
        target = (
            node.target
            if isinstance(node, ast.AnnAssign)
            else node.targets[0]
            if isinstance(node, ast.Assign)
            else None
        )
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name) and node.value:
            evaluator.assign(target.id, node.value)
        for is_first, expression in _find_additions(node):
            if (value := evaluator.evaluate(expression)) is not None:
                folder = Path(os.path.normpath(working_folder / value))
                changes.first.insert(0, folder) if is_first else changes.last.append(folder)
    return changes


def _find_additions(node: ast.stmt) -> Iterator[tuple[bool, ast.expr]]:
    """Yield the expressions that a statement adds to ``sys.path``, and whether it puts them first."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield from _find_added_arguments(node.value)
    elif isinstance(node, ast.AugAssign) and _is_sys_path(node.target):
        yield from ((False, item) for item in _list_items(node.value))
    elif isinstance(node, ast.Assign) and any(_is_sys_path(_sliced(target)) for target in node.targets):
        is_first = True
        for item in _added_items(node.value):
            if _is_sys_path(item):
                is_first = False
            else:
                yield is_first, item


def _find_added_arguments(call: ast.Call) -> Iterator[tuple[bool, ast.expr]]:
    function, arguments = call.func, call.args
    if not isinstance(function, ast.Attribute) or not arguments:
        return
    if function.attr == "addsitedir":
        yield False, arguments[0]
    elif _is_sys_path(function.value):
        if function.attr == "append":
            yield False, arguments[0]
        elif function.attr == "insert":
            yield True, arguments[-1]
        elif function.attr == "extend":
            yield from ((False, item) for item in _list_items(arguments[0]))


def _is_sys_path(node: ast.expr) -> bool:
    """Return whether the expression is ``sys.path`` or ``*sys.path``."""
    if isinstance(node, ast.Starred):
        return _is_sys_path(node.value)
    return isinstance(node, ast.Attribute) and node.attr == "path" and getattr(node.value, "id", "") == "sys"


def _sliced(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice) else node


def _list_items(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.List | ast.Tuple) else []


def _added_items(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the items of ``[a] + sys.path + [b]`` or ``[a, *sys.path]`` in their order."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _added_items(node.left)
        yield from _added_items(node.right)
    elif isinstance(node, ast.List | ast.Tuple):
        yield from node.elts
    elif _is_sys_path(node):
        yield node


class _Evaluator:
    """Evaluates expressions about paths to texts, None for what it does not know."""

    def __init__(self, file: Path, working_folder: Path) -> None:
        self._names: dict[str, str | None] = {"__file__": str(file)}
        self._working_folder = str(working_folder)

    def assign(self, name: str, node: ast.expr) -> None:
        self._names[name] = self.evaluate(node)

    def evaluate(self, node: ast.expr, depth: int = _MAX_DEPTH) -> str | None:
        kinds: dict[type[ast.expr], Callable[[Any, int], str | None]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.Attribute: self._attribute,
            ast.Subscript: self._subscript,
            ast.BinOp: self._operator,
            ast.JoinedStr: self._format,
            ast.Call: self._call,
        }
        return kinds[type(node)](node, depth) if type(node) in kinds and depth else None

    def _constant(self, node: ast.Constant, _: int) -> str | None:
        return node.value if isinstance(node.value, str) else None

    def _name(self, node: ast.Name, _: int) -> str | None:
        return self._names.get(node.id)

    def _attribute(self, node: ast.Attribute, depth: int) -> str | None:
        """Return the value of ``path.parent``, or of a constant of the module os."""
        return self._parent(node.value, 1, depth) if node.attr == "parent" else _CONSTANTS.get(node.attr)

    def _format(self, node: ast.JoinedStr, depth: int) -> str | None:
        return self._concatenate(
            [part.value if isinstance(part, ast.FormattedValue) else part for part in node.values], depth
        )

    def _parent(self, node: ast.expr, count: int, depth: int) -> str | None:
        value = self.evaluate(node, depth - 1)
        for _ in range(count if value is not None else 0):
            value = os.path.dirname(value or "") or os.curdir  # noqa: PTH120  # texts, as the file has them
        return value

    def _subscript(self, node: ast.Subscript, depth: int) -> str | None:
        """Return the value of ``path.parents[NUMBER]``, or of ``sys.path[0]``: the folder of the file that runs."""
        index = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if not isinstance(index, int) or not 0 <= index < _MAX_DEPTH:
            return None
        if isinstance(node.value, ast.Attribute) and node.value.attr == "parents":
            return self._parent(node.value.value, index + 1, depth)
        return os.path.dirname(self._names["__file__"] or "") if _is_sys_path(node.value) else None  # noqa: PTH120

    def _operator(self, node: ast.BinOp, depth: int) -> str | None:
        if isinstance(node.op, ast.Div):
            return self._join([node.left, node.right], depth)
        return self._concatenate([node.left, node.right], depth) if isinstance(node.op, ast.Add) else None

    def _call(self, node: ast.Call, depth: int) -> str | None:
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        owner = [function.value] if isinstance(function, ast.Attribute) else []
        if name in {"getcwd", "cwd"}:
            return self._working_folder
        if name in _JOINS:
            return self._join([*owner, *node.args] if name == "joinpath" else node.args, depth)
        argument = next(iter(owner if name in _METHODS else node.args), None)
        if argument is None:
            return None
        if name == "dirname":
            return self._parent(argument, 1, depth)
        return self.evaluate(argument, depth - 1) if name in _KEEPS else None

    def _join(self, nodes: list[ast.expr], depth: int) -> str | None:
        values = [self.evaluate(node, depth - 1) for node in nodes]
        known = [value for value in values if value is not None]
        return os.path.join(*known) if known and len(known) == len(nodes) else None  # noqa: PTH118

    def _concatenate(self, nodes: list[ast.expr], depth: int) -> str | None:
        values = [self.evaluate(node, depth - 1) for node in nodes]
        known = [value for value in values if value is not None]
        return "".join(known) if len(known) == len(nodes) else None
