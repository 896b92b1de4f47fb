"""Commands that the client calls in a pod to move files."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from backends import output_stream as stream
from backends.errors import OutputError
from backends.exit_codes import ExitCode
from backends.kubernetes import names
from backends.kubernetes.pod.claim import ClaimFolder
from backends.kubernetes.pod.paths import CONTACT, HEADER, OUTPUT, RELEASED, STORE, write_whole
from backends.storage import remove_old
from backends.untrusted import Limits, show_line
from backends.untrusted.trees import remove_tree

EVERYTHING = Limits(total=2**63, files=10**7)  # of a folder of the PVC: the client has limits of its own
KEEPALIVE_INTERVAL_S = 10.0


def send(offset: int, folder: str | None) -> int:
    """Write the stream of the pod's outputs, or of a ``folder`` of the PVC, to stdout, from byte ``offset`` on."""
    if folder:
        path = _locate(folder)
        with _keeping_alive():
            header = stream.build_header(path, EVERYTHING) if path.is_dir() else b"\n"
        _write(stream.send(path, header, offset))
        return ExitCode.OK
    CONTACT.touch()
    if not HEADER.exists():  # a kubelet that has just started calls every pod ready for a moment
        return names.NOT_READY_EXIT_CODE
    _write(_touching_contact(stream.send(OUTPUT, HEADER.read_bytes(), offset)))
    return ExitCode.OK


def release(refusal: str) -> int:
    """Let the command ``run`` of this pod end: the outputs are downloaded, or refused for the reason ``refusal``."""
    write_whole(RELEASED, refusal)
    return ExitCode.OK


def receive(path: str, size: int) -> int:
    """Write stdin to a file of the PVC; where it ends early, the file is not created."""
    target = _locate(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.part")
    left = size
    with partial.open("wb") as file:
        while left > 0 and (chunk := os.read(0, min(left, stream.CHUNK))):
            file.write(chunk)
            left -= len(chunk)
    if left:
        return ExitCode.INPUT
    partial.replace(target)
    return ExitCode.OK


def remove(folder: str) -> int:
    """Remove a folder of the PVC."""
    with _keeping_alive():
        path = _locate(folder)
        if path.exists():
            remove_tree(path)
    return ExitCode.OK


def expire(folder: str, age_s: float, *, dry_run: bool) -> int:
    """Remove what was stored in a folder of the PVC longer ago; print a line with path, size and age of each file."""
    with _keeping_alive():
        for file in remove_old(ClaimFolder(f"file://{_locate(folder)}"), age_s, dry_run=dry_run):
            sys.stdout.write(f"{json.dumps([file.path, file.size, time.time() - file.modified])}\n")
    return ExitCode.OK


def _locate(path: str) -> Path:
    """Return a path in the PVC. Raises OutputError where a link leads elsewhere: many may write to a PVC."""
    found = STORE / path
    if found.resolve() != found:
        raise OutputError(f"a link in the PVC leads away from {show_line(path)}", hint="remove it from the PVC")
    return found


def _write(chunks: Iterator[bytes]) -> None:
    for chunk in chunks:
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def _touching_contact(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the chunks. After each, update the file CONTACT, so that ``run`` sees that a client still downloads."""
    for chunk in chunks:
        yield chunk
        CONTACT.touch()


@contextlib.contextmanager
def _keeping_alive() -> Iterator[None]:
    """Write an empty line to stderr every few seconds within the block: the client closes a silent connection."""
    done = threading.Event()

    def write_lines() -> None:
        while not done.wait(KEEPALIVE_INTERVAL_S):
            sys.stderr.write("\n")
            sys.stderr.flush()

    threading.Thread(target=write_lines, daemon=True).start()
    try:
        yield
    finally:
        done.set()
