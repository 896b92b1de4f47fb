"""Imports Manim as the worker does, without three packages, and compares what Manim makes with these packages' own."""

from __future__ import annotations

import importlib
import random
import sys
from typing import Any

import numpy as np

from renderer.engine.adapter.preload import warm_up
from renderer.engine.patches.lean_import import DeferredRotation, has_compared_scipy

PACKAGES = {"bs4", "networkx", *(["scipy"] if has_compared_scipy() else [])}


def compare_rotations() -> None:
    """Compare matrices of rotations by small, usual, large and odd angles about any axis."""
    scipy_rotation = importlib.import_module("scipy.spatial.transform").Rotation
    rotation = DeferredRotation()
    rng = random.Random(0)  # noqa: S311  # for numbers, not for secrets
    for number in range(20_000):
        axis = np.array([rng.gauss() for _ in range(3)] if number % 2 else [0.0, 0.0, 1.0])
        sizes = (rng.gauss(), rng.uniform(-2e-3, 2e-3), np.pi / rng.randint(1, 12), 1e3 * rng.gauss())
        vector = rng.choice((*sizes, 0.0, 1e-3, np.inf, 10.0 ** rng.randint(-320, 300))) * axis / np.linalg.norm(axis)
        found, expected = (kind.from_rotvec(vector).as_matrix() for kind in (rotation, scipy_rotation))
        assert found.tobytes() == expected.tobytes(), vector.tolist()
        assert (found.dtype, found.strides) == (expected.dtype, expected.strides)
    others: tuple[Any, ...] = ([0, 0, 1], np.ones((2, 3)), np.ones(3, np.float32))
    for other in others:
        found, expected = (kind.from_rotvec(other).as_matrix() for kind in (rotation, scipy_rotation))
        assert found.tobytes() == expected.tobytes()
    vector = np.array([0.1, 0.2, 0.3])
    assert np.array_equal(
        rotation.from_rotvec(vector).apply([1, 2, 3]), scipy_rotation.from_rotvec(vector).apply([1, 2, 3])
    )
    assert np.array_equal(rotation.from_euler("z", 1).as_quat(), scipy_rotation.from_euler("z", 1).as_quat())
    assert isinstance(rotation.identity(), rotation)  # type: ignore[arg-type]


def compare_standard_library(before: set[str]) -> None:
    """Check that a scene finds each module below the packages that it imports, such as ``concurrent.futures``.

    Plain Manim imports them by the way, so that a scene works there that imports ``concurrent`` alone.
    """
    packages = sys.stdlib_module_names & before - {"encodings", "importlib"}  # these import modules for themselves
    added = {name for name in sys.modules.keys() - before if "." in name and name.partition(".")[0] in packages}
    assert not added


def main() -> None:
    """Compare all."""
    warm_up()
    before = set(sys.modules)
    from manim import Code, Graph, Square
    from manim.mobject import graph

    square = Square().rotate(0.5)
    assert not PACKAGES & sys.modules.keys()

    nx = importlib.import_module("networkx")
    corners = Graph([1, 2, 3], [(1, 2), (2, 3)], layout="circular", layout_scale=1)
    found = [corners.vertices[number].get_center()[:2] for number in (1, 2, 3)]
    expected = nx.circular_layout(nx.Graph([(1, 2), (2, 3)]))
    assert np.allclose(found, [expected[number] for number in (1, 2, 3)])
    assert isinstance(Graph._empty_networkx_graph(), nx.Graph)
    assert graph.nx.is_tree(nx.Graph([(1, 2)]))
    assert len(Code(code_string="a = 1\nb = 2", language="python").code_lines) == 2

    compare_rotations()
    compare_standard_library(before)
    turned = importlib.import_module("scipy.spatial.transform").Rotation.from_rotvec([0, 0, 0.5]).apply(Square().points)
    assert np.allclose(square.points, turned)


if __name__ == "__main__":
    main()
