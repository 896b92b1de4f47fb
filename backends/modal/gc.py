"""Removes what old jobs left at Modal: outputs that nobody deleted, and inputs that no job has used for a long time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

from backends.modal import calls
from backends.modal.call_store import CallRecord, CallStore
from backends.modal.session import Session
from backends.modal.volume import Files
from backends.models import Garbage

# Modal cannot tell which jobs wait for their first container. Submit uploads inputs again that are older than seven
# days, so a job would have to wait for 23 days before it misses them.
INPUTS_KEPT = timedelta(days=30)


class GarbageCollector:
    """Finds and removes old files on the volume.

    Refresh ``records`` before: a call whose record has units that have not ended counts as running.
    """

    def __init__(self, session: Session, files: Files, records: CallStore) -> None:
        self.session = session
        self.files = files
        self.records = records

    def find(self, older_than: timedelta) -> Iterator[Garbage]:
        """Yield what is older than ``older_than`` and does not belong to a running job, also one of another machine.

        Inputs and withdrawn tickets are kept for at least INPUTS_KEPT.
        """
        newest: dict[str, float] = {}
        sizes: dict[str, int] = {}
        for folder in ("jobs", "inputs", "withdrawn"):
            for entry in self.files.list(folder):
                path = "/".join(entry.path.strip("/").split("/")[:2])
                newest[path] = max(newest.get(path, 0.0), entry.mtime)
                sizes[path] = sizes.get(path, 0) + entry.size
        needed = self._needed_paths([path.removeprefix("jobs/") for path in newest if path.startswith("jobs/")])
        for path, modified in sorted(newest.items()):
            folder, age = path.partition("/")[0], timedelta(seconds=time.time() - modified)
            least = older_than if folder == "jobs" else max(older_than, INPUTS_KEPT)
            if age >= least and not needed & {path, folder}:
                yield Garbage(path=path, size=sizes[path], age=age)

    def remove(self, garbage: Garbage) -> bool:
        """Remove the files, and the record of their job. Return False if a job has used them again in the meantime."""
        now = time.time()
        if any(timedelta(seconds=now - entry.mtime) < garbage.age for entry in self.files.list(garbage.path)):
            return False
        self.files.remove(garbage.path)
        if garbage.path.startswith("jobs/"):
            self.records.remove(garbage.path.removeprefix("jobs/"))
        return True

    def _needed_paths(self, stored_calls: list[str]) -> set[str]:
        """Return the paths that running jobs need: jobs of this machine, and those of ``stored_calls`` that run."""
        running = [record for record in self.records.newest_first() if record.open]
        needed = {path for record in running for path in (f"jobs/{record.call}", *record.inputs)}
        for call in stored_calls:
            if not self.records.load(call) and self._is_running(call):
                content = self.files.read(f"jobs/{call}/job.json")
                needed |= {f"jobs/{call}", *(CallRecord.from_json(content).inputs if content else ["inputs"])}
        return needed

    def _is_running(self, call: str) -> bool:
        is_call = call.startswith("fc-") and call.removeprefix("fc-").isalnum()
        return is_call and "PENDING" in calls.list_input_states(self.session, call)
