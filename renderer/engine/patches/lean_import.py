"""Imports Manim without three packages that most scenes do not use: half of the CPU time of `import manim` is theirs.

Manim takes networkx for graphs, Beautiful Soup for source code, and of SciPy one matrix. In Manim's modules, objects
that import the package when they are used take their place; the matrix is computed here, with the same bits.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import PackageNotFoundError, distribution
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TRANSFORM = "scipy.spatial.transform"
# the versions of SciPy with which the matrices were compared, in its own builds: another compiler may round differently
_COMPARED = re.compile(r"1\.1[3-8]\..*")
_BUILD = re.compile(r"^Tag: .*manylinux.*_x86_64$", re.MULTILINE)
_SMALL_ANGLE = 1e-3
_AXES = 3


class Deferred:
    """Stands for a module, or for something in it, and imports the module when that is called or compared with."""

    def __init__(self, module: str, path: str = "") -> None:
        self._module = module
        self._path = path

    def resolve(self) -> Any:
        """Import the module, and return what this object stands for."""
        found: Any = importlib.import_module(self._module)
        for name in self._path.split(".") if self._path else ():
            found = getattr(found, name)
        return found

    def __getattr__(self, name: str) -> Deferred:
        if name.startswith("__"):
            raise AttributeError(name)
        return Deferred(self._module, f"{self._path}.{name}" if self._path else name)

    def __call__(self, *arguments: object, **options: object) -> Any:  # noqa: D102
        return self.resolve()(*arguments, **options)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self.resolve())


class DeferredRotation(Deferred):
    """Stands for SciPy's class Rotation, which is imported for all but what Manim takes of it."""

    def __init__(self) -> None:
        super().__init__(_TRANSFORM, "Rotation")

    def from_rotvec(self, vector: Any, *arguments: object, **options: object) -> Any:
        """Return the rotation about the vector's direction, by its length in radians."""
        is_usual = isinstance(vector, np.ndarray) and vector.shape == (_AXES,) and vector.dtype == np.float64
        if is_usual and not arguments and not options:
            return _VectorRotation(vector)
        return self.resolve().from_rotvec(vector, *arguments, **options)


class _VectorRotation:
    """One rotation. For all but its matrix, it is SciPy's."""

    def __init__(self, vector: NDArray[np.float64]) -> None:
        self._vector = vector.copy()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(DeferredRotation().resolve().from_rotvec(self._vector), name)

    def as_matrix(self) -> NDArray[np.float64]:
        """Return the rotation matrix, of shape (3, 3), through a unit quaternion and in SciPy's order of operations."""
        x, y, z = self._vector.tolist()
        angle = math.sqrt(x * x + y * y + z * z)
        if not math.isfinite(angle):
            found: NDArray[np.float64] = DeferredRotation().resolve().from_rotvec(self._vector).as_matrix()
            return found
        if angle <= _SMALL_ANGLE:
            square = angle * angle
            scale = 0.5 - square / 48 + square * square / 3840
        else:
            scale = math.sin(angle / 2) / angle
        x, y, z, w = scale * x, scale * y, scale * z, math.cos(angle / 2)
        xx, yy, zz, ww = x * x, y * y, z * z, w * w
        xy, zw, xz, yw, yz, xw = x * y, z * w, x * z, y * w, y * z, x * w
        return np.array([
            [xx - yy - zz + ww, 2 * (xy - zw), 2 * (xz + yw)],
            [2 * (xy + zw), -xx + yy - zz + ww, 2 * (yz - xw)],
            [2 * (xz - yw), 2 * (yz + xw), -xx - yy + zz + ww],
        ])  # fmt: skip


def import_manim_lean() -> None:
    """Import Manim, in a version that the engine knows. SciPy is left out only if ``has_compared_scipy``."""
    if "manim" in sys.modules:
        return
    replaced: dict[str, tuple[str, object]] = {  # by the module of Manim that imports it
        "manim.mobject.graph": ("networkx", Deferred("networkx")),
        "manim.mobject.text.code_mobject": (
            "bs4",
            SimpleNamespace(BeautifulSoup=Deferred("bs4", "BeautifulSoup"), Tag=Deferred("bs4", "Tag")),
        ),
    }
    if has_compared_scipy():
        replaced["manim.utils.space_ops"] = (_TRANSFORM, SimpleNamespace(Rotation=DeferredRotation()))
    present = {module: item for module, item in replaced.items() if importlib.util.find_spec(item[0].partition(".")[0])}
    finder = _Finder(present)
    sys.meta_path.insert(0, finder)
    try:
        importlib.import_module("manim")
    finally:
        sys.meta_path.remove(finder)


def has_compared_scipy() -> bool:
    """Return whether this SciPy is a build whose matrices have the same bits as those here."""
    try:
        scipy = distribution("scipy")
    except PackageNotFoundError:
        return False
    is_own_build = _BUILD.search(scipy.read_text("WHEEL") or "")
    return platform.machine() == "x86_64" and bool(is_own_build) and bool(_COMPARED.fullmatch(scipy.version))


class _Finder:
    """Finds modules of Manim; while one of ``replaced`` is executed, what it imports is another object."""

    def __init__(self, replaced: dict[str, tuple[str, object]]) -> None:
        self._replaced = replaced

    def find_spec(self, name: str, path: Sequence[str] | None, _: ModuleType | None = None) -> ModuleSpec | None:
        """Return the usual spec with another loader; None for other modules."""
        if name not in self._replaced or (spec := PathFinder.find_spec(name, path)) is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_with_replacement(module: ModuleType) -> None:
            with _replaced(*self._replaced[name]):
                execute(module)

        spec.loader.exec_module = execute_with_replacement  # type: ignore[method-assign]
        return spec


@contextmanager
def _replaced(name: str, replacement: object) -> Iterator[None]:
    """Let an import of the module get the replacement within the block, unless the module is there already."""
    if name in sys.modules:
        yield
        return
    modules: dict[str, object] = sys.modules  # type: ignore[assignment]
    modules[name] = replacement
    try:
        yield
    finally:
        del modules[name]
