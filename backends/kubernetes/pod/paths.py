"""Files in the container that the commands of this package share."""

from __future__ import annotations

from pathlib import Path

from backends.kubernetes import names

INPUTS, WORK, STORE = Path(names.INPUTS), Path(names.WORK), Path(names.STORE)
OUTPUT = WORK / names.UNITS
HEADER = WORK / "header"  # the first line of the stream of outputs
READY = Path(names.READY)
RELEASED = WORK / "released"  # exists once the outputs are downloaded
CONTACT = WORK / "contact"  # its modification time is that of the last contact with a client
