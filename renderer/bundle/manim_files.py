"""Recognizes the files that Manim has made, in its media folder or wherever ``media_dir`` put them.

Other files in such a folder are the user's own, such as recorded voices and pictures.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

SEGMENTS = "partial_movie_files"
_QUALITY = re.compile(r"\d+p\d+(\.\d+)?")  # 1080p60
_RENDERED = frozenset({".gif", ".mov", ".mp4", ".srt", ".wav", ".webm"})
_IMAGE = re.compile(r"_ManimCE_v\d[^/]*\.(png|gif)$")
_CACHED = re.compile(r"[0-9a-f]{16}(?![0-9a-f])|texput\.|missfont\.log$")
_CACHES = frozenset({"Tex", "text", "texts"})


def is_made_by_manim(name: str, beside: frozenset[str], *, is_folder: bool) -> bool:
    """Return whether Manim has made a file or folder. ``name`` is its path, ``beside`` the names in the same folder.

    Manim's defaults are: ``media/videos/FILE/1080p60/`` with ``Scene.mp4`` and the folders ``sections`` and
    ``partial_movie_files``; ``media/images/FILE/Scene_ManimCE_v0.22.0.png`` or ``…/Scene/Scene0000.png``; ``media/Tex``
    and ``media/texts`` with files whose names are hashes; and ``media/logs``.
    """
    path = PurePosixPath(name)
    folder = path.parent
    is_output = bool(_QUALITY.fullmatch(folder.name)) and (SEGMENTS in beside or "/media/videos/" in f"/{name}")
    if is_folder:
        return path.name == SEGMENTS or (path.name == "sections" and is_output)
    return (
        bool(_IMAGE.search(path.name))
        or (is_output and path.suffix in _RENDERED)
        or (folder.name in _CACHES and bool(_CACHED.match(path.name)))
        or (
            folder.parts[-3:-2] == ("images",)
            and bool(re.fullmatch(re.escape(folder.name) + r"\d{4,}\.png", path.name))
        )
        or (folder.parts[-2:] == ("media", "logs") and path.suffix == ".log")
    )
