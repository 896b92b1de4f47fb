"""The command of the store's container: it alone has the store's credentials and the PVC.

It gets the inputs, waits until the render has ended and stores what the render left. The folder of the render is
untrusted data: no link in it is followed, and only regular files are read.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from backends import output_stream as stream
from backends.cache.server import CacheServer
from backends.cache.shared_store import open_shared_store, read_mounted_key
from backends.chunk_store import SHARDS, ChunkStore, FolderChunks, StoredChunks
from backends.chunk_store.server import ChunkServer
from backends.errors import BackendError, OutputError, RendererError
from backends.kubernetes import names
from backends.kubernetes.pod.claim import ClaimFolder
from backends.kubernetes.pod.outcome import DONE, read_outcome, write_outcome
from backends.kubernetes.pod.packages import PackageStore, get_limit, share_packages
from backends.kubernetes.pod.paths import (
    CONTROL,
    OUTPUT,
    POLL_INTERVAL_S,
    RENDERED,
    STORED_BUNDLE,
    WORK,
    scratch_limits,
)
from backends.kubernetes.pod.units import PodUnits, is_final, write_earlier
from backends.problem import Problem
from backends.storage import Storage
from backends.untrusted import Limits, check_relative_name, open_beneath, parse_result
from backends.untrusted.unit_states import UnitReported
from backends.worker_protocol import RESULT, UnitResult

_log = logging.getLogger(__name__)

STORE_ATTEMPTS = 9  # a minute: what a unit has rendered is worth more than that


def keep_store(
    uri: str,
    limit_mib: int,
    units: PodUnits,
    cache: str | None = None,
    *,
    has_chunks: bool = False,
    packages: Sequence[str] | None = None,
) -> int:
    """Move the inputs and the outputs of this pod's units; then wait for the signal that ends the pod.

    ``uri`` is the job's folder in the store; ``limit_mib`` is the size of the render's scratch disk. ``cache`` is the
    URI of the shared cache. With ``has_chunks``, the render reads and writes the chunks of its job, and nothing else of
    the store. ``packages`` are the URI of the folder of packages and the digest of those that the job asks for.
    """
    if cache:
        _serve_cache(cache)
    if has_chunks and (uri.startswith("file://") or importlib.util.find_spec("obstore")):
        _serve_chunks(uri)
    if read_outcome() is None:  # otherwise this container has been restarted after its work
        write_outcome(_move_files(uri, limit_mib, units, packages))
    while True:
        signal.pause()


def _serve_cache(uri: str) -> None:
    """Answer the render's questions about the shared cache in a thread of this process."""
    spool = CONTROL / "spool"
    spool.mkdir(mode=0o700, exist_ok=True)
    if uri.startswith("file://"):
        with suppress(OSError):  # the cache then says that its folder is not there
            Path(uri[len("file://") :]).parent.mkdir(parents=True, exist_ok=True)
    socket = Path(names.CACHE_SOCKET)
    if os.path.lexists(socket):
        socket.unlink()  # of this container before it was restarted
    key = Path(names.CACHE_SECRET) / names.CACHE_KEY
    server = CacheServer(socket, open_shared_store(uri, lambda: read_mounted_key(key), spool), spool)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def _open_store(uri: str) -> Storage | ClaimFolder:
    """Return the job's folder in its store. Raises BackendError for a bucket in an image that cannot reach one."""
    if importlib.util.find_spec("obstore"):
        return Storage(uri, attempts=STORE_ATTEMPTS)
    if uri.startswith("file://"):
        return ClaimFolder(uri)
    raise BackendError(
        "this image cannot use a bucket: the Python package obstore is missing",
        hint="use --store pvc://CLAIM, or an image of `renderer image build`",
    )


def _serve_chunks(uri: str) -> None:
    """Start to answer the requests of the render for chunks of this Job."""
    folder = f"{uri}/{os.environ[names.JOB_UID]}/{SHARDS}"
    chunks: ChunkStore
    if uri.startswith("file://"):
        chunks = FolderChunks(Path(folder[len("file://") :]))
    else:
        chunks = StoredChunks(Storage(folder, attempts=STORE_ATTEMPTS))
    server = ChunkServer(Path(names.CHUNKS), chunks, Path(names.CONTROL))
    threading.Thread(target=server.serve, daemon=True).start()


def _move_files(uri: str, limit_mib: int, units: PodUnits, packages: Sequence[str] | None) -> Problem:
    target = f"{os.environ[names.JOB_UID]}/{names.UNITS}"
    try:
        store = _open_store(uri)
        earlier = _find_earlier(store, target, units)
        left = [unit for unit in units.indexes if unit not in earlier]
        if units.shared:
            write_earlier(earlier)
        if left:
            _get_bundle(store)
            if packages:
                share_packages(PackageStore(_open_store(packages[0]), packages[1], get_limit(limit_mib), CONTROL))
            _store_units(store, target, left, scratch_limits(limit_mib))
    except RendererError as error:
        return Problem(message=str(error), hint=error.hint, exit_code=error.exit_code)
    except OSError as error:
        return Problem(message=f"the outputs cannot be read: {error.strerror}", exit_code=OutputError.exit_code)
    return DONE


def _find_earlier(store: Storage | ClaimFolder, target: str, units: PodUnits) -> dict[int, UnitReported]:
    """Return the units that earlier pods of the same Job have finished: they are not rendered again.

    A pod with one unit fails for good, if its unit does: only in one with several can failures be among them.
    """
    found = {}
    for unit in units.indexes:
        result = _read_stored_result(store, f"{target}/{unit}")
        if result and (is_final(result.exit_code) if units.shared else result.exit_code == 0):
            found[unit] = UnitReported(result.exit_code, message=result.error.message if result.error else None)
    return found


def _read_stored_result(store: Storage | ClaimFolder, target: str) -> UnitResult | None:
    """Return the result that an earlier attempt of the same Job has stored, if it is not damaged.

    The folder has the Job's uid in its name, so that no file can be older than the Job.
    """
    size = store.size(f"{target}/{RESULT}")
    if size is None or size > Limits().result:
        return None
    copy = STORED_BUNDLE.with_name(RESULT)
    store.get(f"{target}/{RESULT}", copy)
    try:
        return parse_result(copy.read_bytes(), unit=target)
    except OutputError:
        return None


def _store_units(store: Storage | ClaimFolder, target: str, units: Sequence[int], limits: Limits) -> None:
    """Store each unit's outputs as soon as it has its result, and the others when the worker has ended."""
    left = list(units)
    while left:
        ended = os.path.lexists(RENDERED)  # before the results: all that there will be are there then
        for unit in list(left):
            if ended or (len(units) > 1 and os.path.lexists(OUTPUT / str(unit) / RESULT)):
                _store_outputs(store, f"{target}/{unit}", unit, limits)
                left.remove(unit)
        time.sleep(POLL_INTERVAL_S if left else 0)


def _get_bundle(store: Storage | ClaimFolder) -> None:
    partial = STORED_BUNDLE.with_suffix(".part")
    store.get(names.BUNDLE_KEY, partial)
    partial.replace(STORED_BUNDLE)
    _log.debug("downloaded the bundle, %d bytes", STORED_BUNDLE.stat().st_size)


def _store_outputs(store: Storage | ClaimFolder, target: str, unit: int, limits: Limits) -> None:
    """Store the unit's files; result.json comes last, as the sign that everything else is there."""
    with suppress(FileNotFoundError), _open_outputs(unit) as folder:  # none where the worker was killed
        names_found = [name for name, _ in stream.list_files(folder, limits)]
        for name in sorted(names_found, key=lambda name: (name == RESULT, name)):
            with open_beneath(folder, name) as file:  # put() gets the file that was opened, whatever has its name now
                store.put(f"{target}/{check_relative_name(name)}", Path(f"/proc/self/fd/{file.fileno()}"))
            _log.debug("uploaded %s", name)


@contextmanager
def _open_outputs(unit: int) -> Iterator[int]:
    """Yield a descriptor of the unit's folder; a link on the way to it is not followed but an OSError."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    folder = os.open(WORK, flags)
    try:
        for part in (names.UNITS, str(unit)):
            inner = os.open(part, flags, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)
