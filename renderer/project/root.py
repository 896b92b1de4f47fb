"""Chooses the root of a job: the folder that is uploaded, and in which the scene or script runs."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

from backends.errors import SpecError
from backends.files import state_folder
from renderer.bundle.credentials import keeps_credentials

# folders with files of all users or of the system, on Linux, macOS and Windows
_SHARED = """
/bin /boot /dev/shm /etc /home /lib /media /mnt /opt /run /sbin /srv /tmp /usr /usr/local /var /var/tmp
/Applications /Library /System /Users /Volumes /private/tmp /private/var
C:/ProgramData C:/Users C:/Windows
"""


def choose_root(path: Path, chosen: Path | None = None, *, untrusted: bool = False) -> Path:
    """Return the root of a job that runs the file ``path``: ``chosen``, the current folder, or the file's folder.

    The current folder is the root if the file is in it or below it, as for `manim render`: its manim.cfg counts, and
    the job's relative paths start there. If it holds more than a project (see ``is_private``), or if the file is
    somewhere else, the file's folder is the root. So it is for an ``untrusted`` job, which must not get what lies
    beside the file's folder.
    """
    if chosen is not None:
        return chosen
    here = Path.cwd()
    if untrusted or is_private(here) or not locate(path).is_relative_to(here.resolve()):
        return path.parent
    return here


def check_root(path: Path, root: Path, *, is_chosen: bool) -> None:
    """Raise SpecError if the folder cannot be the root of a job that runs the file. ``is_chosen``: by the user."""
    if not root.is_dir():
        raise SpecError(f"--root {root} is not a folder")
    if is_chosen and is_private(root):
        raise SpecError(
            f"--root {root} is not the folder of a project: it holds private files or those of others",
            hint="move the project to a folder of its own, and choose that",
        )
    if path.resolve().is_relative_to(root.resolve()):
        return
    if path.is_symlink() and not is_chosen:
        raise SpecError(f"{path} is a link to {path.readlink()}, outside its folder", hint="name the file itself")
    raise SpecError(f"{path} is not inside --root {root}", hint="choose a folder that holds the file")


def locate(path: Path) -> Path:
    """Return where the file is, without links in the path of its folder. The file itself may be a link."""
    return path.parent.resolve() / path.name


def show_folder(folder: Path) -> str:
    """Return a short name of a folder, relative to the current one if it is below it, with a slash at its end."""
    here, real = Path.cwd().resolve(), folder.resolve()
    return f"./{real.relative_to(here).as_posix()}/".replace("/./", "/") if real.is_relative_to(here) else f"{real}/"


def is_private(folder: Path) -> bool:
    """Return whether a folder contains more than a project: the home folder or one above it, a system or shared folder.

    So does a folder such as ``~/.ssh``, in which programs keep credentials. From such a folder, a job gets only the
    file itself and the modules that it imports.
    """
    folder = folder.resolve()
    private = [Path("/root"), Path(folder.anchor)]
    with suppress(RuntimeError):  # there is no home
        home = Path.home().resolve()
        private += [home, state_folder("").resolve()]
        if folder.is_relative_to(home) and keeps_credentials(folder.relative_to(home)):
            return True
    holds_one = any(each.is_relative_to(folder) for each in private)
    shared = {Path(each).resolve() for each in (*_SHARED.split(), tempfile.gettempdir())}
    return holds_one or (folder / ".ssh").is_dir() or folder in shared
