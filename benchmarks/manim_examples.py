"""Twelve examples of Manim's documentation, chosen before anything was tuned for them, as files that can be rendered.

The installed Manim has them in its docstrings; this module reads them there.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

# example, file of Manim
EXAMPLES = {
    "Indications": "animation/indication.py",
    "TracedPathExample": "animation/changing.py",
    "ApplyMatrixExample": "animation/transform.py",
    "RotatingDemo": "animation/rotation.py",
    "MatchingEquationParts": "animation/transform_matching_parts.py",
    "MovingVertices": "mobject/graph.py",
    "CreateTableExample": "mobject/table.py",
    "VariablesWithValueTracker": "mobject/text/numbers.py",
    "StreamLineCreation": "mobject/vector_field.py",
    "MovingCameraOnGraph": "scene/moving_camera_scene.py",
    "ChangingZoomScale": "scene/zoomed_scene.py",
    "LinearTransformationSceneExample": "scene/vector_space_scene.py",
}


def write_examples(folder: Path) -> list[tuple[Path, str]]:
    """Write a file for each example; return file and name of each scene."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name, module in EXAMPLES.items():
        file = folder / f"{name}.py"
        code = read_example(name, module)
        file.write_text(code if code.startswith("from manim import *") else f"from manim import *\n\n\n{code}")
        found.append((file, name))
    return found


def read_example(name: str, module: str) -> str:
    """Return the code of an example in a docstring of Manim: what is indented below its directive."""
    spec = find_spec("manim")
    assert spec
    assert spec.origin
    source = (Path(spec.origin).parent / module).read_text()
    found = re.search(rf"^( *)\.\. manim:: {name}\n((?:\1 +.*\n| *\n)+)", source, re.MULTILINE)
    if not found:
        raise SystemExit(f"Manim's {module} has no example {name}")
    return dedent(re.sub(r"^ *:\w+:.*\n", "", found[2], flags=re.MULTILINE)).strip() + "\n"
