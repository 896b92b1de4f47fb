"""Downloads outputs from the pods that wait with them, and lets the pods end."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress

from backends import output_stream as stream
from backends.errors import OutputError, RendererError
from backends.kubernetes import names
from backends.kubernetes.client.client import Api
from backends.kubernetes.client.errors import ApiError
from backends.kubernetes.client.pod_exec import NotReadyError, run_command
from backends.kubernetes.client.threads import ThreadPool
from backends.kubernetes.objects.pod import Pod
from backends.kubernetes.transfer.download import PodGoneError, download_stream
from backends.kubernetes.transfer.spool import Spool
from backends.untrusted import Limits

_log = logging.getLogger(__name__)

MAX_DOWNLOADS = 4  # how many run at the same time


class Collector:
    """Downloads the outputs of one job from its pods to the spool, for a job without a store.

    A pod keeps its GPU until this is done. On a machine that has no spool for the job, nothing is downloaded.
    """

    def __init__(self, api: Api, namespace: str, spool: Spool, limits: Limits) -> None:
        self._api, self._namespace, self.spool, self._limits = api, namespace, spool, limits
        self._pool = ThreadPool(MAX_DOWNLOADS)

    def collect_all(self, pods: Iterable[Pod]) -> None:
        """Download from each pod that waits with outputs. A pod that is gone by now is passed over.

        Raises TransientError, ApiError, BackendError when this machine's disk is full, and after the other pods
        OutputError for outputs that cannot be accepted.
        """
        refused: OutputError | None = None
        for pod in pods:
            try:
                self.collect(pod)
            except PodGoneError:
                continue
            except OutputError as error:
                refused = error
        if refused:
            raise refused

    def collect_later(self, pod: Pod) -> None:
        """Download in another thread. Errors are ignored: the pod's next change, or ``renderer fetch``, tries again."""

        def collect() -> None:
            with suppress(RendererError, ApiError):
                self.collect(pod)

        if pod.holds_outputs:
            self._pool.submit(collect)

    def finish(self) -> None:
        """Wait until all downloads of ``collect_later`` have ended."""
        self._pool.finish()

    def collect(self, pod: Pod) -> None:
        """Download a pod's outputs, and let the pod end. Do nothing if another process is downloading them.

        Raises TransientError, ApiError, BackendError, PodGoneError, OutputError for outputs that cannot be accepted.
        """
        if not pod.holds_outputs or not self.spool.exists:
            return
        with self.spool.lock(pod.index) as locked:
            if not locked:
                return
            if self.spool.read_source(pod.index) != pod.name:  # another attempt may have been downloaded
                try:
                    self._download(pod)
                except NotReadyError:
                    return
            with suppress(ApiError, RendererError):  # the pod may end before the command; otherwise it is called again
                run_command(self._api, self._namespace, pod.name, [*names.POD_COMMAND, "release"])
                _log.debug("released pod %s", pod.name)

    def _download(self, pod: Pod) -> None:
        partial = self.spool.path / f"{pod.index}.stream"
        folder = self.spool.path / f"{pod.index}.new"
        limits = self.spool.remaining(self._limits)
        for is_last_attempt in (False, True):
            try:
                download_stream(self._api, self._namespace, pod.name, partial, limits)
                stream.make_empty(folder)
                with partial.open("rb") as file:
                    stream.unpack(file, folder, limits)
                break
            except PodGoneError:
                raise
            except OutputError:
                partial.unlink(missing_ok=True)
                if is_last_attempt:
                    raise
        self.spool.accept(pod.index, pod.name, folder)
        partial.unlink()
