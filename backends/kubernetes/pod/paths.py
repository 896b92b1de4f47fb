"""Files in the containers that the commands of this package share, and how much a unit may leave there."""

from __future__ import annotations

from pathlib import Path

from backends.kubernetes import names
from backends.untrusted import Limits

MAX_FILES = 100_000  # of one unit
POLL_INTERVAL_S = 0.05  # of a container that waits for a file of another one
INPUTS, WORK, STORE, CONTROL = Path(names.INPUTS), Path(names.WORK), Path(names.STORE), Path(names.CONTROL)
OUTPUT = WORK / names.UNITS
SCRATCH = WORK / "scratch"  # of the worker: on the same disk as OUTPUT, so that outputs need not be copied
# Without a store. The job can write these as well: all that it can do with them is to spoil its own outputs.
HEADER = WORK / "header"  # the first line of the stream of outputs
READY = Path(names.READY)
RELEASED = WORK / "released"  # exists once the outputs are downloaded
CONTACT = WORK / "contact"  # its modification time is that of the last contact with a client
# With a store: the render can read what is in CONTROL, and the store's container can read what is in WORK.
STORED_BUNDLE = CONTROL / names.BUNDLE_KEY
OUTCOME = CONTROL / "outcome.json"  # how the work of the store's container ended; its format is in outcome.py
EARLIER = CONTROL / "earlier.json"  # what earlier pods have stored of this pod's units
PACKAGES = Path(names.PACKAGES)
PACKED = WORK / "packages.tar.gz"  # PACKAGES, once they are there; an empty file where the store shall not keep them
STORED_PACKAGES = CONTROL / "packages.tar.gz"  # what the store has of them
ANSWER = CONTROL / "packages"  # what the store's container tells that of the packages
RENDERED = WORK / "rendered"  # exists once the worker has ended


def write_whole(path: Path, text: str) -> None:
    """Write a file that another container never sees in parts."""
    partial = path.with_suffix(".part")
    partial.write_text(text, "utf-8")
    partial.replace(path)


def scratch_limits(scratch_mib: int) -> Limits:
    """Return the limits on a unit's outputs: only sparse files can seem larger than the scratch disk that holds them.

    The client has limits of its own.
    """
    return Limits(total=scratch_mib * 2**20, files=MAX_FILES)
