"""Imports the modules of the worker's archive, which are one file in it: together they compress better than alone.

In the archive this is the module ``renderer_modules``. The packages ``backends`` and ``renderer`` import it first.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import json
import sys
from importlib.machinery import ModuleSpec
from types import CodeType
from typing import Any

MODULES = "modules.json"


class ArchivedModules(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds and loads the modules ``sources``, by their names in the archive, as if they lay in the folder ``root``."""

    def __init__(self, root: str, sources: dict[str, str]) -> None:
        self.root, self.sources = root, sources

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        """Return the spec of a module of the archive; None for any other."""
        if not (file := self._find_file(fullname)):
            return None
        origin = f"{self.root}/{file}"
        spec = importlib.util.spec_from_loader(fullname, self, origin=origin, is_package=self.is_package(fullname))
        if spec:
            spec.has_location = True  # the module gets the attribute __file__
            if spec.submodule_search_locations is not None:
                spec.submodule_search_locations.append(origin.rpartition("/")[0])
        return spec

    def is_package(self, fullname: str) -> bool:
        """Return whether a module of the archive is a package."""
        return self._find_file(fullname).endswith("/__init__.py")

    def get_source(self, fullname: str) -> str:
        """Return the source, which tracebacks show as well."""
        return self.sources[self._find_file(fullname)]

    def get_code(self, fullname: str) -> CodeType:
        """Return the compiled module."""
        return compile(self.get_source(fullname), f"{self.root}/{self._find_file(fullname)}", "exec", dont_inherit=True)

    def _find_file(self, fullname: str) -> str:
        path = fullname.replace(".", "/")
        return next((file for file in (f"{path}/__init__.py", f"{path}.py") if file in self.sources), "")


def _install(loader: Any, root: str) -> None:
    sys.meta_path.insert(0, ArchivedModules(root, json.loads(loader.get_data(f"{root}/{MODULES}"))))


if __name__ == "renderer_modules":
    _install(sys.modules[__name__].__loader__, __file__.rpartition("/")[0])
