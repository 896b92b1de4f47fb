"""Downloads outputs from the pods that wait with them, and lets the pods end."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from backends import output_stream as stream
from backends.errors import OutputError, RendererError
from backends.kubernetes import names
from backends.kubernetes.client.client import Api
from backends.kubernetes.client.errors import ApiError
from backends.kubernetes.client.pod_exec import NotReadyError, run_command
from backends.kubernetes.client.threads import ThreadPool
from backends.kubernetes.objects.pod import Pod
from backends.kubernetes.transfer.download import PodGoneError, download_stream
from backends.kubernetes.transfer.shelf import Shelf
from backends.kubernetes.transfer.spool import Spool
from backends.untrusted import Limits, OutputCounter
from backends.untrusted.text import show_line
from backends.untrusted.trees import remove_tree

_log = logging.getLogger(__name__)

MAX_DOWNLOADS = 4  # how many run at the same time
MAX_REFUSAL = 500  # characters


class Collector:
    """Downloads the outputs of one job from its pods to the spool, for a job without a store.

    A pod keeps its GPU until this is done. On a machine that has no spool for the job, nothing is downloaded. If the
    job has a ``shelf``, what is downloaded goes on to that, and the spool is empty again.
    """

    def __init__(self, api: Api, spool: Spool, limits: Limits, shelf: Shelf | None = None) -> None:
        self.shelf = shelf
        self._api, self.spool, self._limits = api, spool, limits
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

    def collect_together(self, pods: Iterable[Pod]) -> None:
        """Download from each pod that waits with outputs, from a few at the same time.

        Raises, after all others, the first error of those of ``collect``; OSError when this machine's disk is full.
        """
        errors: list[Exception] = []

        def collect(pod: Pod) -> None:
            try:
                self.collect(pod)
            except PodGoneError:
                return
            except (RendererError, ApiError, OSError) as error:
                errors.append(error)

        for pod in pods:
            if pod.holds_outputs:
                self._pool.submit(functools.partial(collect, pod))
        self._pool.finish()
        if errors:
            raise errors[0]

    def collect_later(self, pod: Pod) -> None:
        """Download in another thread. Errors are ignored: the pod's next change, or ``renderer fetch``, tries again."""

        def collect() -> None:
            with suppress(RendererError, ApiError, OSError):
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
            if not self._has(pod):
                try:
                    self._download(pod)
                except NotReadyError:
                    return
                except PodGoneError:
                    raise
                except OutputError as error:
                    if self.shelf is None:  # otherwise nobody is there who could raise the limits
                        raise
                    _log.warning("the outputs of pod %s were refused: %s", pod.name, error)
                    self._release(pod, "--refusal", show_line(str(error))[:MAX_REFUSAL])
                    return
            self._release(pod)

    def _has(self, pod: Pod) -> bool:
        """Return whether this pod's outputs are downloaded, and not only those of another attempt."""
        return self.shelf.has(pod) if self.shelf else self.spool.read_source(pod.index) == pod.name

    def _release(self, pod: Pod, *refusal: str) -> None:
        """Let the pod end."""
        with suppress(ApiError, RendererError):  # the pod may end before the command; otherwise it is called again
            run_command(self._api, self.spool.handle.parts[1], pod.name, [*names.POD_COMMAND, "release", *refusal])
            _log.debug("released pod %s", pod.name)

    def _download(self, pod: Pod) -> None:
        partial = self.spool.path / f"{pod.index}.stream"
        folder = self.spool.path / f"{pod.index}.new"
        limits = self._limits if self.shelf else self.spool.remaining(self._limits)
        for is_last_attempt in (False, True):
            try:
                download_stream(self._api, self.spool.handle, pod.name, partial, limits)
                stream.make_empty(folder)
                with partial.open("rb") as file:
                    stream.unpack(file, folder, limits)
                break
            except PodGoneError:
                partial.unlink(missing_ok=True)
                raise
            except OutputError:
                partial.unlink(missing_ok=True)
                if is_last_attempt:
                    raise
        if self.shelf:
            remove_tree(folder)
            with self.spool.wait_lock("shelf"):  # otherwise several could take what is left of the limits
                self._check_total(self.shelf, pod, partial)
                self.shelf.put(pod, partial)
        else:
            self.spool.accept(pod.index, pod.name, folder)
        partial.unlink()

    def _check_total(self, shelf: Shelf, pod: Pod, partial: Path) -> None:
        """Raise OutputError, and remove the pod's stream ``partial``, if it is too much beside what is on the shelf."""
        counter = OutputCounter(self._limits)
        counter.add(shelf.measure(without=pod.index))
        try:
            counter.add(partial.stat().st_size)
        except OutputError:
            partial.unlink()
            raise
