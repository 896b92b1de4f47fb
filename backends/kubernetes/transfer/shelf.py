"""A store for the outputs of jobs that cannot reach one: who downloads them from the pods puts them there.

`renderer serve` keeps the outputs of untrusted jobs so, with its own credentials, before it lets their pods end. Then
each of its replicas finds them. Each pod's stream of outputs is one object, which is there whole or not at all, and no
other pod's stream has its name. So two machines that store the same one do no harm, and no late one replaces a newer.

What is read from the shelf is checked again: it is what the job has sent.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from backends import output_stream as stream
from backends.kubernetes.manifests.store_uri import parse_shelf_uri
from backends.kubernetes.objects.job import Job
from backends.kubernetes.objects.pod import Pod
from backends.storage import Storage
from backends.untrusted import Limits

_STREAMS = "streams"
_MAX_FILES = 10**6  # of a stream that was accepted before
_HEADER_BYTES = 2**16  # read at first; most headers are shorter


class Shelf:
    """The streams of one job's pods, in the job's folder of a store: ``UID/streams/INDEX/ATTEMPT,CREATED,POD``."""

    def __init__(self, uri: str, job: Job) -> None:
        """Raise SpecError for a store that cannot be a shelf."""
        self._storage = Storage(parse_shelf_uri(uri, job.name).uri_in_pod)
        self._folder = f"{job.uid}/{_STREAMS}"

    def has(self, pod: Pod) -> bool:
        """Return whether the stream of a pod is stored."""
        return self._storage.size(self._path(pod)) is not None

    def put(self, pod: Pod, source: Path) -> None:
        """Store the stream of a pod."""
        self._storage.put(self._path(pod), source)

    def find_latest(self) -> Mapping[int, str]:
        """Return the path of the stream of each completion index: that of the last attempt."""
        found: dict[int, str] = {}
        for path in sorted(self._storage.list(self._folder)):
            index = path.split("/")[-2]
            if index.isascii() and index.isdecimal():
                found[int(index)] = path
        return found

    def measure(self, without: int) -> int:
        """Return how many bytes are stored of all completion indexes but one; of each, of the last attempt."""
        sizes = {file.path: file.size for file in self._storage.list_files()}
        return sum(sizes.get(path, 0) for index, path in self.find_latest().items() if index != without)

    def unpack(self, path: str, folder: Path, limits: Limits) -> Limits:
        """Write the files of a stream into ``folder``, and return what they leave of the limits.

        Raises OutputError for a stream that is damaged or exceeds the limits.
        """
        partial = folder.with_name(f"{folder.name}.stream")
        self._storage.get(path, partial)
        with partial.open("rb") as file:
            taken = stream.unpack(file, folder, limits)
        partial.unlink()
        total = limits.total - sum(entry.size for entry in taken)
        return replace(limits, total=total, files=limits.files - len(taken))

    def read_file(self, path: str, name: str, most: int) -> bytes:
        """Return the first ``most`` bytes of a file in a stream; nothing if the stream does not have it."""
        size, wanted, entries = self._storage.size(path) or 0, _HEADER_BYTES, None
        while entries is None:
            header = io.BytesIO(self._storage.get_bytes(path, most=wanted))
            entries = stream.read_header(header, Limits(total=size, files=_MAX_FILES))
            if entries is None and wanted >= size:
                return b""
            wanted *= 4
        start = header.tell()
        for entry in entries:
            if entry.path == name:
                length = min(entry.size, most)
                return self._storage.read(path, start, length) if length else b""
            start += entry.size
        return b""

    def _path(self, pod: Pod) -> str:
        return f"{self._folder}/{pod.index}/{pod.attempt:04d},{pod.created.replace(':', '')},{pod.name}"
