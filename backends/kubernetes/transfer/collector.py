"""Downloads outputs from pods that hold them, and releases the pods."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress

from backends import output_stream as stream
from backends.errors import OutputError, RendererError
from backends.kubernetes.client.client import Api
from backends.kubernetes.client.errors import ApiError
from backends.kubernetes.client.pod_exec import NotReadyError, run_command
from backends.kubernetes.client.threads import ThreadPool
from backends.kubernetes.objects.pod import Pod
from backends.kubernetes.transfer.download import POD_COMMAND, download_stream
from backends.kubernetes.transfer.spool import Spool

_log = logging.getLogger(__name__)

MAX_DOWNLOADS = 4  # at the same time


class Collector:
    """Moves the outputs of one job from its pods into the spool, if this machine has a spool for the job.

    Without a store, a pod holds its GPU until that has happened. Another machine leaves the outputs alone.
    """

    def __init__(self, api: Api, namespace: str, spool: Spool) -> None:
        self._api, self._namespace, self.spool = api, namespace, spool
        self._pool = ThreadPool(MAX_DOWNLOADS)

    def collect_all(self, pods: Iterable[Pod]) -> None:
        """Collect from each pod that holds outputs; one that is ending just now may be tried again.

        Raises TransientError, ApiError, BackendError when this machine's disk is full.
        """
        for pod in pods:
            with suppress(OutputError):
                self.collect(pod)

    def collect_later(self, pod: Pod) -> None:
        """Collect in another thread. An error is ignored: the next change of the pod, or fetch, tries again."""

        def collect() -> None:
            with suppress(RendererError, ApiError):
                self.collect(pod)

        if pod.holds_outputs:
            self._pool.submit(collect)

    def finish(self) -> None:
        """Wait for the other threads."""
        self._pool.finish()

    def collect(self, pod: Pod) -> None:
        """Download a pod's outputs and release the pod, unless another process does that just now.

        Raises TransientError, ApiError, OutputError when the pod is gone, BackendError.
        """
        if not pod.holds_outputs or not self.spool.exists:
            return
        with self.spool.lock(pod.unit) as locked:
            if not locked:
                return
            if not self.spool.unit_folder(pod.unit).is_dir():
                try:
                    self._download(pod)
                except NotReadyError:
                    return
            with suppress(ApiError, RendererError):  # the pod may end before the command; otherwise it is called again
                run_command(self._api, self._namespace, pod.name, [*POD_COMMAND, "release"])
                _log.debug("released pod %s", pod.name)

    def _download(self, pod: Pod) -> None:
        partial = self.spool.path / f"{pod.unit}.stream"
        folder = self.spool.path / f"{pod.unit}.new"
        for is_last_attempt in (False, True):
            download_stream(self._api, self._namespace, pod.name, partial)
            try:
                stream.make_empty(folder)
                with partial.open("rb") as file:
                    stream.unpack(file, folder)
                break
            except OutputError:
                partial.unlink()
                if is_last_attempt:
                    raise
        folder.rename(self.spool.unit_folder(pod.unit))
        partial.unlink()
