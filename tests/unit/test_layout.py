"""The layout of the code, and the form of its docstrings."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_FILES = 14  # Python files in a folder, without __init__.py and __main__.py
UNUSUAL_VERB = re.compile(r"(Give|Tell|Say|Take note)s?\b")  # usual are "Return …", "Raise …", "Yield …"


@pytest.mark.parametrize("package", ["backends", "renderer", "tests"])
def test_no_folder_has_many_files(package: str) -> None:
    files = Counter(path.parent.relative_to(ROOT) for path in (ROOT / package).rglob("[!_]*.py"))
    assert {str(folder): count for folder, count in files.items() if count > MAX_FILES} == {}


@pytest.mark.parametrize("package", ["backends", "renderer"])
def test_docstrings_begin_with_a_usual_verb(package: str) -> None:
    found = []
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
                text = ast.get_docstring(node) or ""
                if UNUSUAL_VERB.match(text):
                    found.append(f"{path.relative_to(ROOT)}: {text.splitlines()[0]}")
    assert found == []
