"""Keeps the packages of jobs in their store: the whole environment, as the container ``packages`` has installed it.

That container ends before the render begins. It runs no code of the job, only that of the packages, and reaches nothing
of the store. The store's container, which runs no code of either, chooses the key of an environment by itself. So an
environment is filled by nothing but packages that each job which uses it has asked for.

In the store, KEY/SHA256.tar.gz is an environment, and KEY/entry.json, which is written last, says which one is valid,
with a message authentication code (MAC): who can write to the store, but does not have its secret, cannot forge it.

Of pods that start together, one installs: it creates KEY/installing, and the others wait for what it stores. It changes
that file all the time, so that nobody waits for a pod that has died.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from importlib.metadata import distributions
from io import BufferedReader
from pathlib import Path
from typing import Any, Callable, NamedTuple, TypeVar

from backends.errors import RendererError
from backends.exit_codes import ExitCode
from backends.kubernetes import names
from backends.kubernetes.pod.claim import ClaimFolder
from backends.kubernetes.pod.outcome import read_outcome
from backends.kubernetes.pod.paths import (
    ANSWER,
    INPUTS,
    PACKAGES,
    PACKED,
    POLL_INTERVAL_S,
    STORED_PACKAGES,
    WORK,
    write_whole,
)
from backends.kubernetes.pod.report import write_report
from backends.problem import Problem
from backends.processes import isolated_command
from backends.storage import Storage, remove_old
from backends.untrusted import open_beneath
from backends.worker_protocol import INSTALLER

_log = logging.getLogger(__name__)

KEPT_S = 30 * 86400.0  # how long the store keeps an environment
DISK_SHARE = 1 / 3  # of the pod's disk: the packages' downloads, the environment and its archive are there together
ENTRY = "entry.json"
MARK = "installing"
MARK_INTERVAL_S = 4.0  # how often that file changes, and is looked at
MARK_LOOKS = 8  # a pod that has not changed it meanwhile has died
MAX_WAIT_S = 900.0  # for other pods altogether: who can write to the store could hold up all others
ENTRY_BYTES = 1000
COPY_BYTES = 2**20
STORED, MISSING, TAKEN = "stored", "missing", "taken"  # what ANSWER says
_ResultT = TypeVar("_ResultT")


class _Entry(NamedTuple):
    """What entry.json says: which archive is the environment, signed by a store's container."""

    sha256: str
    size: int
    mac: str


class PackageStore:
    """The environment that one job asks for, in the folder ``store`` of all packages.

    ``wanted`` is a digest of what the job asks for, ``limit`` the size of the largest archive in bytes, ``scratch`` a
    folder for files that no other container can write.
    """

    def __init__(self, store: Storage | ClaimFolder, wanted: str, limit: int, scratch: Path) -> None:
        self._store, self._limit, self._scratch = store, limit, scratch
        self._key = _compute_key(wanted)
        self._secret = _find_secret(store.uri)
        self._known: _Entry | None = None

    def wait(self, target: Path, interval_s: float = MARK_INTERVAL_S) -> bool:
        """Download as ``get`` does, and as long as another pod installs what is not there yet, wait for that.

        After False the caller installs, within ``keep_mark``. If another pod ends and has stored nothing, all that have
        waited for it install: what has failed there would otherwise fail one after the other.
        Raises RendererError, OSError.
        """
        mark, looks, end = "", 0, time.monotonic() + MAX_WAIT_S
        while self._secret and not self.get(target) and time.monotonic() < end:
            found = self._read_mark()
            if not found and mark:
                return self.get(target)
            if not found and self._store.create(self._mark, self._write_mark()):
                break
            looks = looks + 1 if found == mark else 0
            mark = found
            if looks > MARK_LOOKS:
                self._store.remove([self._mark])
                mark = ""
            else:
                time.sleep(interval_s)
        return target.exists()

    @contextmanager
    def keep_mark(self) -> Iterator[None]:
        """Let other pods know, as long as the block runs, that this one installs what they may wait for."""
        if not self._secret:
            yield
            return
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(MARK_INTERVAL_S):
                _trying(lambda: self._store.put(self._mark, self._write_mark()))

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            _trying(lambda: self._store.remove([self._mark]))

    def get(self, target: Path) -> bool:
        """Download the archive; return False, and leave no file, if there is none that is signed and not damaged.

        Raises RendererError, OSError.
        """
        self._known = entry = self._find_entry()
        if entry is None or self._store.size(self._locate(entry)) != entry.size or entry.size > self._limit:
            return False
        partial = self._scratch / "packages.part"
        self._store.get(self._locate(entry), partial)
        with partial.open("rb") as file:
            is_right = _digest(file) == entry.sha256
        if is_right:
            partial.replace(target)
        else:
            partial.unlink()
            _log.warning("the packages in the store are damaged, and are installed")
        return is_right

    def put(self, archive: BufferedReader) -> None:
        """Store an archive, unless another pod has done it since ``get``; remove all that are old.

        Raises RendererError, OSError.
        """
        size = os.fstat(archive.fileno()).st_size
        if not 0 < size <= self._limit or not self._secret or self._find_entry() != self._known:
            return
        sha256 = _digest(archive)
        entry = _Entry(sha256, size, self._sign(sha256, size))
        self._store.put(self._locate(entry), Path(f"/proc/self/fd/{archive.fileno()}"))
        written = self._scratch / ENTRY
        written.write_text(json.dumps(entry._asdict()), "utf-8")
        self._store.put(f"{self._key}/{ENTRY}", written)
        remove_old(self._store, KEPT_S)

    def _find_entry(self) -> _Entry | None:
        """Return the entry; None if there is nothing, or something that no store's container has signed."""
        size = self._store.size(f"{self._key}/{ENTRY}")
        if size is None or size > ENTRY_BYTES:
            return None
        copy = self._scratch / ENTRY
        self._store.get(f"{self._key}/{ENTRY}", copy)
        try:
            found: Any = json.loads(copy.read_bytes())
            entry = _Entry(str(found["sha256"]), int(found["size"]), str(found["mac"]))
            is_signed = hmac.compare_digest(self._sign(entry.sha256, entry.size), entry.mac)
        except (ValueError, KeyError, TypeError):
            return None
        return entry if is_signed and self._secret else None

    @property
    def _mark(self) -> str:
        return f"{self._key}/{MARK}"

    def _write_mark(self) -> Path:
        written = self._scratch / MARK
        written.write_text(uuid.uuid4().hex, "ascii")
        return written

    def _read_mark(self) -> str:
        """Return what the file of the pod that installs holds; an empty text if no pod does."""
        copy = self._scratch / f"{MARK}.copy"
        size = self._store.size(self._mark)
        with suppress(RendererError):  # it is removed at this moment
            if size and size < ENTRY_BYTES:
                self._store.get(self._mark, copy)
                return copy.read_text("ascii", "replace")
        return ""

    def _sign(self, sha256: str, size: int) -> str:
        return hmac.new(self._secret, json.dumps([self._key, sha256, size]).encode(), "sha256").hexdigest()

    def _locate(self, entry: _Entry) -> str:
        return f"{self._key}/{entry.sha256}.tar.gz"


def share_packages(packages: PackageStore) -> None:
    """Provide what the store has for the container ``packages``, or keep what that installs; return when it has ended.

    An error of the store is only logged: the packages are then installed.
    """
    if _read_answer() == TAKEN:  # this container has been restarted
        return
    is_stored = bool(_trying(lambda: packages.wait(STORED_PACKAGES)))
    with nullcontext() if is_stored else packages.keep_mark():
        write_whole(ANSWER, STORED if is_stored else MISSING)
        while not os.path.lexists(PACKED):
            time.sleep(POLL_INTERVAL_S)
        if is_stored:
            STORED_PACKAGES.unlink()
        else:
            _trying(lambda: _keep(packages))
    write_whole(ANSWER, TAKEN)


def prepare_packages(limit_mib: int) -> int:
    """Unpack or install the job's packages: the command of the container ``packages``. Return its exit code."""
    answer = _wait_for_answer(STORED, MISSING)
    if answer is None:  # there is nothing to render, and the render says why
        return ExitCode.OK
    if not (answer == STORED and _unpack()):
        code = _install()
        if code:
            return code
    _pack(get_limit(limit_mib) if answer == MISSING else 0)
    _wait_for_answer(TAKEN)
    PACKED.unlink()
    return ExitCode.OK


def _keep(packages: PackageStore) -> None:
    with open_beneath(WORK, PACKED.name) as archive:
        packages.put(archive)


def get_limit(disk_mib: int) -> int:
    """Return the size of the largest environment that a pod with this disk keeps, in bytes."""
    return int(disk_mib * 2**20 * DISK_SHARE)


def _compute_key(wanted: str) -> str:
    """Return the key of an environment with what the job asks for, over this image: its Python and its packages."""
    found = sorted(f"{each.metadata['Name']}=={each.version}" for each in distributions())
    content = [wanted, sys.executable, sys.version, os.uname().machine, found]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _find_secret(uri: str) -> bytes:
    """Return what entries are signed with: the store's own secret, which no job has; nothing where there is none.

    A cloud's identity is that of the whole pod: with it a job could write to the store by itself. No job has the PVC.
    """
    if uri.startswith("file://"):
        return b"PVC"
    return "\n".join(filter(None, map(os.environ.get, names.STORE_SECRETS))).encode()


def _trying(action: Callable[[], _ResultT]) -> _ResultT | None:
    """Return what the action returns; None where the store, or the disk, does not do it."""
    try:
        return action()
    except (RendererError, OSError) as error:
        _log.warning("the store is not used for packages: %s", error)
        return None


def _digest(file: Any) -> str:
    hasher = hashlib.sha256()
    while data := file.read(COPY_BYTES):
        hasher.update(data)
    return hasher.hexdigest()


def _unpack() -> bool:
    """Unpack what the store had; return False, and leave nothing, if that fails.

    The archive may write where the packages in it could as well: nothing else is in this container's reach.
    """
    try:
        with tarfile.open(STORED_PACKAGES) as archive:
            archive.extraction_filter = lambda member, _: member  # links to the image's Python are absolute
            archive.extractall(WORK)  # noqa: S202
    except (OSError, EOFError, ValueError, tarfile.TarError) as error:
        _say(f"the packages of the store cannot be unpacked: {error}")
        shutil.rmtree(PACKAGES, ignore_errors=True)
        return False
    _say("the packages come from the store")
    return True


def _install() -> int:
    """Install the packages; return the exit code."""
    lines = json.loads((INPUTS / names.TASK_KEY).read_bytes())["packages"]
    done = subprocess.run(
        isolated_command(INSTALLER),
        input="\n".join(lines),
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        write_report(Problem(message=done.stderr.strip() or "the packages cannot be installed"))
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def _pack(limit: int) -> None:
    """Make the archive of the packages, if they are not larger than ``limit`` bytes; otherwise an empty one."""
    partial = PACKED.with_suffix(".part")
    partial.touch()
    if limit and sum(path.lstat().st_size for path in PACKAGES.rglob("*")) <= limit:
        with tarfile.open(partial, "w:gz", compresslevel=1) as archive:
            archive.add(PACKAGES, PACKAGES.name)
    elif limit:
        _say("the packages need more than a third of --ephemeral-storage: the store does not keep them")
    partial.replace(PACKED)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _wait_for_answer(*awaited: str) -> str | None:
    """Return what the store's container tells; None if it has ended its work without rendering anything."""
    while (answer := _read_answer()) not in awaited:
        if read_outcome():
            return None
        time.sleep(POLL_INTERVAL_S)
    return answer


def _read_answer() -> str:
    try:
        return ANSWER.read_text("ascii")
    except FileNotFoundError:
        return ""
