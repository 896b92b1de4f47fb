"""Prints the version of this checkout: the tag's own, and after a tag the next one's with `.dev0`.

The build reads it, see `tool.hatch.version` in pyproject.toml. All commits between two tags have the same version, so
that what is named by it (an app of Modal, an image) stays the same, and so does an environment that was set up earlier.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ARCHIVED = "$Format:%(describe:tags=true,match=v[0-9]*)$"  # git fills it in where it packs a tarball (.gitattributes)
UNKNOWN = "0.1.0.dev0"  # a clone without tags


def version() -> str:
    """Return the version, which has neither `+` nor a commit's hash in it: tags of images take no `+`."""
    described = describe() if ARCHIVED.startswith("$") else ARCHIVED
    found = re.fullmatch(r"v(\d+(?:\.\d+)*(?:(?:a|b|rc)\d+)?)(-\d+-g[0-9a-f]+)?", described)
    if found is None:
        return UNKNOWN
    release, commits_after = found.groups()
    return release if commits_after is None else re.sub(r"\d+$", lambda last: f"{int(last[0]) + 1}.dev0", release)


def describe() -> str:
    """Return the newest tag before this commit, with what lies between them; "" where git knows none."""
    if not (ROOT / ".git").exists():
        return ""  # the repository above this folder, if there is one, is another project's
    git = ["git", "-c", "safe.directory=*", "describe", "--tags", "--match=v[0-9]*"]
    try:
        return subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""  # git is not installed


if __name__ == "__main__":
    sys.stdout.write(version() + "\n")
