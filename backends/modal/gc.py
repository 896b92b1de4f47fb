"""Removes what old jobs left at Modal, whichever machine submitted them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

from backends.modal import calls
from backends.modal.call_store import CallStore
from backends.modal.session import Session
from backends.modal.volume import Files
from backends.models import Garbage

# Files without a record may belong to a job that waits at Modal for its first container: Modal does not list it.
UNKNOWN_KEPT = timedelta(days=30)
CLOCK_TOLERANCE_S = 86400.0  # a job can set the times of its files: one in the future is ignored


class GarbageCollector:
    """Finds and removes old files on the volumes.

    Refresh ``records`` before: a call whose record has units that have not ended counts as running.
    """

    def __init__(self, session: Session, outputs: Files, inputs: Files, records: CallStore) -> None:
        self.session = session
        self.outputs = outputs
        self.inputs = inputs
        self.records = records

    def find(self, older_than: timedelta) -> Iterator[Garbage]:
        """Yield what is older than ``older_than`` and does not belong to a running job, also one of another machine.

        That is a job with all its files, or something that an older version left.
        """
        owners = self._find_owners()
        needed = self._find_needed(owners)
        for path in self._list_paths():
            size, modified = self._measure(path)
            age = timedelta(seconds=time.time() - modified)
            known = path in owners or path.startswith("jobs/fc-")
            least = older_than if known else max(older_than, UNKNOWN_KEPT)
            if age >= least and not needed & {path, path.partition("/")[0]}:
                yield Garbage(path=path, size=size, age=age)

    def remove(self, garbage: Garbage) -> bool:
        """Remove the files, and the record of their job. Return False if they were changed in the meantime."""
        _, modified = self._measure(garbage.path)
        if timedelta(seconds=time.time() - modified) < garbage.age:
            return False
        call = self._find_owners().get(garbage.path) or garbage.path.removeprefix("jobs/")
        for files, path in self._parts(garbage.path):
            files.remove(path)
        if call.startswith("fc-"):
            self.inputs.remove(f"calls/{call}")
            self.records.remove(call)
        return True

    def _list_paths(self) -> list[str]:
        """Return the folder of each job, as ``jobs/FOLDER``, and the inputs and marks of older versions."""
        jobs = {_name(entry.path) for files, top in ((self.outputs, "jobs"), (self.inputs, "inputs"))
                for entry in files.list(top, recursive=False)}  # fmt: skip
        old = {entry.path.strip("/") for top in ("inputs", "withdrawn") for entry in self.outputs.list(top)}
        return sorted(old | {f"jobs/{name}" for name in jobs})

    def _parts(self, path: str) -> list[tuple[Files, str]]:
        """Return where the files of a path are."""
        parts = [(self.outputs, path)]
        if path.startswith("jobs/"):
            parts.append((self.inputs, f"inputs/{_name(path)}"))
        return parts

    def _measure(self, path: str) -> tuple[int, float]:
        """Return the size of all files, and when the last of them was changed (seconds since 1970)."""
        listed = (entry for files, part in self._parts(path) for entry in files.list(part))
        entries = [entry for entry in listed if entry.type.name == "FILE"]
        latest = time.time() + CLOCK_TOLERANCE_S
        size = sum(entry.size for entry in entries)
        return size, max((entry.mtime for entry in entries if entry.mtime <= latest), default=0.0)

    def _find_owners(self) -> dict[str, str]:
        """Return the call of each job folder of which a record tells, on this machine or on the volume."""
        owners = {record.outputs: record.call for record in self.records.newest_first()}
        for entry in self.inputs.list("calls"):
            call, _, name = entry.path.strip("/").removeprefix("calls/").partition("/")
            if name:
                owners[f"jobs/{name.removesuffix('.json')}"] = call
        return owners

    def _find_needed(self, owners: dict[str, str]) -> set[str]:
        """Return the paths that running jobs need: jobs of this machine, and those of other machines that run."""
        here = {record.call: record for record in self.records.newest_first()}
        needed = {path for record in here.values() if record.open for path in (record.outputs, *record.inputs)}
        for entry in self.outputs.list("jobs", recursive=False):
            if (name := _name(entry.path)).startswith("fc-") and name not in here and self._is_running(name):
                needed |= {f"jobs/{name}", "inputs"}  # of an older version: which inputs it needs is not known
        return needed | {path for path, call in owners.items() if call not in here and self._is_running(call)}

    def _is_running(self, call: str) -> bool:
        is_call = call.startswith("fc-") and call.removeprefix("fc-").isalnum()
        return is_call and "PENDING" in calls.list_input_states(self.session, call)


def _name(path: str) -> str:
    return path.rpartition("/")[2]
