"""Decides which names of outputs are safe in which folder: programs act on files with some names."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

# Kinds of files that no program runs or takes its settings from, wherever they are. Text files such as .txt and .json
# are not among them: CMakeLists.txt, requirements.txt and package.json are programs or name programs.
_DATA = frozenset({
    # films, sound and subtitles
    ".aac", ".ass", ".avi", ".flac", ".m4a", ".m4v", ".mka", ".mkv", ".mov", ".mp3", ".mp4", ".mpeg", ".mpg", ".oga",
    ".ogg", ".ogv", ".opus", ".srt", ".vtt", ".wav", ".webm", ".y4m",
    # images and shapes
    ".apng", ".avif", ".bmp", ".exr", ".gif", ".glb", ".hdr", ".heic", ".jpeg", ".jpg", ".jxl", ".pdf", ".pgm",
    ".ply", ".png", ".ppm", ".stl", ".tga", ".tif", ".tiff", ".webp",
    # numbers
    ".arrow", ".bin", ".csv", ".dat", ".feather", ".geojson", ".h5", ".hdf5", ".jsonl", ".mat", ".nc", ".ndjson",
    ".npy", ".npz", ".parquet", ".safetensors", ".tsv",
    ".log",
})  # fmt: skip

# Files that programs act on in any folder, or that say how to: also a new folder gets none of them.
_ACTED_ON = frozenset({
    "agents.md", "build", "build.bazel", "cargo.toml", "claude.md", "cmakelists.txt", "containerfile", "dockerfile",
    "gemfile", "gnumakefile", "justfile", "makefile", "manim.cfg", "meson.build", "package.json", "pipfile",
    "pyproject.toml", "pytest.ini", "rakefile", "renderer.toml", "setup.cfg", "sconstruct", "snakefile", "taskfile",
    "tox.ini", "vagrantfile", "workspace", "wscript",
})  # fmt: skip
_ACTED_ON_ENDINGS = frozenset({
    ".bat", ".cmd", ".com", ".desktop", ".dll", ".dylib", ".egg", ".exe", ".lnk", ".pth", ".ps1", ".py", ".pyc", ".pyd",
    ".pyi", ".pyw", ".so", ".url", ".whl",
})  # fmt: skip


def fold_name(name: str) -> str:
    """Return a form of the name that is the same for names which some file system cannot tell apart."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def is_data(path: PurePosixPath) -> bool:
    """Return whether a file of this name is only data, also among the files of a project."""
    return PurePosixPath(fold_name(path.name)).suffix in _DATA and not is_acted_on(path)


def is_acted_on(path: PurePosixPath) -> bool:
    """Return whether programs act on a file of this name in any folder, take it for an option, or it is hidden."""
    folded = PurePosixPath(fold_name(str(path)))
    name = folded.name.rstrip(". ")  # Windows leaves these out
    if any(part.startswith((".", "-")) for part in folded.parts):  # `rm *` reads the name -rf as an option
        return True
    return name in _ACTED_ON or any(name.endswith(ending) for ending in _ACTED_ON_ENDINGS) or "taskfile." in name
