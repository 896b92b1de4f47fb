"""Which files a bundle leaves out: ignored ones, what tools left behind, and files that look like credentials."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

OWN_IGNORE_FILE = ".rendererignore"
IGNORE_FILES = (".gitignore", OWN_IGNORE_FILE)  # the later one wins, in whichever folder it is
STAGING = ".renderer-"  # prefix of the folders that downloads are verified in
_LEFTOVERS = frozenset({".git", ".hg", ".svn", ".DS_Store"})
_LEFTOVER_FOLDERS = frozenset({
    "__pycache__", ".venv", "venv", "node_modules", "media", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache",
    ".ruff_cache",
})  # fmt: skip
_NAMES = frozenset({
    ".boto", ".dockercfg", ".env", ".envrc", ".git-credentials", ".htpasswd", ".modal.toml", ".netrc", ".npmrc",
    ".pgpass", ".pypirc", ".s3cfg", ".vault-token", "application_default_credentials.json", "credentials",
    "credentials.json", "kubeconfig", "rclone.conf", "secrets.json", "secrets.toml", "secrets.yaml", "secrets.yml",
    "terraform.tfvars", "token.json", "token.txt",
})  # fmt: skip
_BEGINNINGS = (".env.", "id_dsa", "id_ecdsa", "id_ed25519", "id_rsa", "kubeconfig.")
_BEGINNINGS_OF_JSON = ("client_secret", "service-account", "service_account")
_ENDINGS = (
    "-key.json", "_key.json", "_secret.json", ".env", ".gpg", ".jks", ".kdbx", ".key", ".keystore", ".kubeconfig",
    ".p12", ".pem", ".pfx", ".ppk", ".token",
)  # fmt: skip
_FOLDERS = (".aws", ".azure", ".config/gcloud", ".gnupg", ".kube", ".ssh", "credentials")
_HARMLESS = frozenset({".env.example", ".env.sample", ".env.template"})


def looks_like_credential(path: Path) -> bool:
    """Return whether the path, relative to the bundle's root, has a name that credentials have; case is ignored."""
    name, whole = path.name.lower(), f"/{path.as_posix().lower()}"
    if name in _HARMLESS or name.endswith(".pub"):
        return False
    return (
        name in _NAMES
        or name.startswith(_BEGINNINGS)
        or name.endswith(_ENDINGS)
        or (name.startswith(_BEGINNINGS_OF_JSON) and name.endswith(".json"))
        or any(f"/{folder}/" in whole for folder in _FOLDERS)
        or whole.endswith("/.docker/config.json")
    )


@dataclass(frozen=True)
class _Level:
    folder: Path
    file: str
    spec: GitIgnoreSpec


@dataclass(frozen=True)
class IgnoreRules:
    """The ignore files that apply in a folder: its own and those above it, up to the top of the git checkout."""

    root: Path
    levels: tuple[_Level, ...] = ()

    def enter(self, folder: Path) -> IgnoreRules:
        """Return the rules inside ``folder``, which is directly in this folder or is the root itself."""
        folders = _down_from_checkout(folder) if folder == self.root else [folder]
        found = [level for inner in folders for level in _levels(inner)]
        ordered = sorted([*self.levels, *found], key=lambda level: IGNORE_FILES.index(level.file))
        return replace(self, levels=tuple(ordered))

    def ignores(self, path: Path, *, is_folder: bool) -> bool:
        """Return whether the path is left out. The last match in the deepest ignore file decides, as in git."""
        if _is_leftover(path, is_folder=is_folder):
            return True
        slash = "/" if is_folder else ""
        for level in reversed(self.levels):
            decided = level.spec.check_file(path.relative_to(level.folder).as_posix() + slash).include
            if decided is not None:
                return decided
        return False


def _levels(folder: Path) -> list[_Level]:
    return [_read(file) for file in (folder / name for name in IGNORE_FILES) if file.is_file()]


def _read(file: Path) -> _Level:
    from pathspec import GitIgnoreSpec  # slow to import, and most folders have no ignore file

    lines = file.read_text("utf-8", "replace").splitlines()
    try:
        spec = GitIgnoreSpec.from_lines(lines)
    except (ValueError, re.error):  # git skips a line that it does not understand
        spec = GitIgnoreSpec.from_lines(line for line in lines if _is_pattern(line))
    return _Level(file.parent, file.name, spec)


def _is_pattern(line: str) -> bool:
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False
    return True


def _down_from_checkout(root: Path) -> list[Path]:
    """Return the folders from the top of the git checkout down to ``root``; only ``root`` outside a checkout."""
    for parent in (root, *root.parents):
        if (parent / ".git").exists():
            between = [folder for folder in root.parents if folder.is_relative_to(parent)]
            return [*reversed(between), root]
    return [root]


def _is_leftover(path: Path, *, is_folder: bool) -> bool:
    if path.name in _LEFTOVERS or path.name.endswith(".pyc") or path.name.startswith(STAGING):
        return True
    return is_folder and (path.name in _LEFTOVER_FOLDERS or (path / "pyvenv.cfg").is_file())
