"""Installs a job's packages into an environment over those that Python has already, which are not changed.

An environment is a virtual environment that also sees the packages of the Python that made it. What these satisfy is
not installed again: with --with einops, the torch of an image stays the one that scripts import.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import logging
import os
import re
import shutil
import site
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from backends.errors import RendererError
from backends.exit_codes import ExitCode
from backends.worker_protocol import PACKAGES

KEPT_S = 30 * 86400.0  # an environment that no job has used for so long is removed
_COMPLETE = "complete"  # the file that is written last
_REMEDY = "`renderer image build --with PACKAGE` makes an image that has them"
_NO_NETWORK = (
    r"(?i)network is unreachable|name or service not known|name resolution|dns error|no route to host|timed out"
    r"|connection refused|could not connect|error sending request|failed to establish a new connection|tcp connect"
)
_WHEEL = re.compile(r"(?m)^ \+ (\S+?)==(\S+?)(?: \(from (.+)\))?$")  # uv's line for a package that it would install
_log = logging.getLogger(__name__)


class PackageError(RendererError):
    """The packages cannot be installed."""

    exit_code = ExitCode.USER_CODE


def make_environment(requirements: Sequence[str], scratch: Path) -> Path:
    """Return an environment with the packages, lines of a requirements file: an earlier one, or a new one.

    It is in the folder that the variable PACKAGES names, otherwise in ``scratch``. Raises PackageError.
    """
    key = hashlib.sha256(json.dumps([sys.executable, sys.version, list(requirements)]).encode()).hexdigest()[:24]
    folder = Path(os.environ.get(PACKAGES) or scratch / "packages")
    folder.mkdir(parents=True, exist_ok=True)
    environment = folder / key
    if not _use(environment):
        with _lock(folder / f"{key}.lock"):
            if not _use(environment):
                _remove_old(folder)
                shutil.rmtree(environment, ignore_errors=True)
                _install(environment, requirements)
                (environment / _COMPLETE).touch()
    return environment


def find_python(environment: Path) -> str:
    """Return the environment's Python."""
    return str(environment / "bin" / "python")


def use_in_this_process(environment: Path) -> None:
    """Let this process import the packages of the environment before others of the same name."""
    before = list(sys.path)
    site.addsitedir(str(_find_site(environment)))
    added = [path for path in sys.path if path not in before]
    sys.path[:] = [*before[:1], *added, *before[1:]]


def _use(environment: Path) -> bool:
    """Return whether the environment is complete; note that it is used."""
    try:
        os.utime(environment / _COMPLETE)
    except FileNotFoundError:
        return False
    except OSError:  # in an image, where it cannot be changed
        return (environment / _COMPLETE).exists()
    return True


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remove_old(folder: Path) -> None:
    for mark in folder.glob(f"*/{_COMPLETE}"):
        if time.time() - mark.stat().st_mtime > KEPT_S:
            shutil.rmtree(mark.parent, ignore_errors=True)


def _install(environment: Path, requirements: Sequence[str]) -> None:
    print(f"openjd_status: installing {', '.join(requirements)[:200]}", flush=True)
    started = time.monotonic()
    _make_empty(environment)
    listed = environment / "requirements.txt"
    listed.write_text("\n".join(requirements) + "\n", "utf-8")
    own = str(Path(sys.executable).parent)
    if uv := shutil.which("uv") or shutil.which("uv", path=own):
        _install_by_uv(uv, environment, listed, requirements)
    elif importlib.util.find_spec("pip"):
        options = ["--disable-pip-version-check", "--no-input", "--retries", "1", "--timeout", "15"]
        _run([find_python(environment), "-m", "pip", "install", "-q", *options, "-r", str(listed)])
    else:
        raise PackageError(f"the packages cannot be installed: there is neither uv nor pip here; {_REMEDY}")
    _log.debug("installed %s in %.1f s", requirements, time.monotonic() - started)


def _make_empty(environment: Path) -> None:
    """Make an environment that sees the packages of this Python."""
    try:
        import venv

        venv.create(environment, with_pip=False, symlinks=True)
    except (ImportError, OSError, subprocess.CalledProcessError) as error:
        raise PackageError(f"the packages cannot be installed: Python makes no environment here ({error})") from error
    named = [path for path in sys.path if Path(path).name in {"site-packages", "dist-packages"}]
    paths = list(dict.fromkeys([*named, *site.getsitepackages()]))
    code = f"import site; list(map(site.addsitedir, {paths!r}))\n"
    (_find_site(environment) / "renderer-base.pth").write_text(code, "utf-8")


def _find_site(environment: Path) -> Path:
    return environment / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"


def _install_by_uv(uv: str, environment: Path, listed: Path, requirements: Sequence[str]) -> None:
    """Ask uv what is missing beside the packages that are there, and install just that."""
    install = [uv, "--no-config", "pip", "install", "--python"]
    missing = _WHEEL.findall(
        _run([*install, sys.executable, "--break-system-packages", "--dry-run", "-r", str(listed)])
    )
    if missing:
        options = [line for line in requirements if line.startswith("--") and not line.startswith("--hash")]
        exact = [f"{name} @ {url}" if url else f"{name}=={version}" for name, version, url in missing]
        listed.write_text("\n".join([*options, *exact]) + "\n", "utf-8")
        _run([*install, find_python(environment), "-q", "--no-deps", "-r", str(listed)])


def _run(command: list[str]) -> str:
    """Return what a command prints. Raises PackageError."""
    environment = {"UV_HTTP_RETRIES": "1", **os.environ}
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, errors="replace"
    )
    if done.returncode == 0:
        return done.stdout
    print(done.stdout, flush=True)
    if re.search(_NO_NETWORK, done.stdout):
        raise PackageError(f"the packages cannot be installed: the job has no network to their index; {_REMEDY}")
    said = " ".join(done.stdout.split())[-600:]
    raise PackageError(f"the packages cannot be installed: {said}")


def check_python(wanted: str, file: str) -> None:
    """Raise PackageError if this Python is not one that a script asks for: ``>=3.11,<4`` (PEP 440)."""
    for clause in filter(None, (part.strip() for part in wanted.split(","))):
        found = re.fullmatch(r"(>=|<=|==|!=|~=|>|<)\s*(\d+(?:\.\d+)*)(\.\*)?", clause)
        if found and not _holds(found[1], tuple(map(int, found[2].split("."))), prefix=bool(found[3])):
            here = ".".join(map(str, sys.version_info[:3]))
            raise PackageError(f"{file} needs Python {wanted}, and here is {here}; choose another --image or Python")


def _holds(operator: str, wanted: tuple[int, ...], *, prefix: bool) -> bool:
    here = tuple(sys.version_info[:3])
    padded = (*wanted, 0, 0)[:3]
    if operator == "~=":
        return here >= padded and here[: len(wanted) - 1] == wanted[:-1]
    if operator in {"==", "!="}:
        same = here[: len(wanted)] == wanted if prefix else here == padded
        return same is (operator == "==")
    return {">=": here >= padded, "<=": here <= padded, ">": here > padded, "<": here < padded}[operator]


def main() -> int:
    """Make the environment of the requirements on stdin, in the folder of PACKAGES: before a job starts."""
    try:
        make_environment(sys.stdin.read().splitlines(), Path())
    except PackageError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
