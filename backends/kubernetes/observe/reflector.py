"""Lists the pods of a Job, then watches them for changes."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from backends.errors import TransientError
from backends.kubernetes import names
from backends.kubernetes.client.client import Api
from backends.kubernetes.client.errors import ApiError, ForbiddenError
from backends.kubernetes.client.paths import core_path
from backends.kubernetes.objects.pod import Pod, parse_pod

_log = logging.getLogger(__name__)

# Of a large job: the pods that have not succeeded, and those that have not ended. What became of the others is known
# from the Job's own indexes.
NOT_SUCCEEDED = "status.phase!=Succeeded"
NOT_ENDED = f"{NOT_SUCCEEDED},status.phase!=Failed"
FAILED = "status.phase=Failed"
RUNNING = "status.phase=Running"


class PodReflector:
    """Lists and watches the pods of one Job. Raises ApiError, TransientError when they cannot be read."""

    def __init__(self, api: Api, namespace: str, job_name: str, *, fields: str = "") -> None:
        """Take only pods for which the field selector ``fields`` holds."""
        self._api = api
        self._path = core_path(namespace, "pods")
        self._selector = {"labelSelector": f"{names.LABEL_JOB_NAME}={job_name}"}
        if fields:
            self._selector["fieldSelector"] = fields
        self._job_name = job_name
        self._version: str | None = None

    @property
    def must_list(self) -> bool:
        """Whether ``list_pods`` must be called: at the beginning, and after a watch that broke and may miss changes."""
        return self._version is None

    def list_pods(self) -> Iterator[Pod]:
        """Yield every pod, one page of them in memory at a time."""
        version = None
        for page in self._api.list_pages(self._path, **self._selector):
            version = version or page["metadata"]["resourceVersion"]
            yield from map(parse_pod, page.get("items") or [])
        self._version = version

    def watch_pods(self, seconds: int) -> Iterator[tuple[Pod, bool]]:
        """Yield each pod that changes within ``seconds``, and whether it still exists. The caller may stop early."""
        _log.debug("watch of the pods of %s opens for %d s", self._job_name, seconds)
        try:
            yield from self._watch(seconds)
        except TransientError:
            return
        except ApiError as error:
            if isinstance(error, ForbiddenError):
                raise
        finally:
            _log.debug("watch of the pods of %s ends%s", self._job_name, "; list again" if self.must_list else "")

    def _watch(self, seconds: int) -> Iterator[tuple[Pod, bool]]:
        version, self._version = self._version or "", None
        for event in self._api.watch(self._path, version, seconds, **self._selector):
            if event["type"] == "ERROR":  # in most cases the version is too old by now
                return
            version = event["object"]["metadata"]["resourceVersion"]
            if event["type"] != "BOOKMARK":
                self._version = version  # the caller may stop here
                yield parse_pod(event["object"]), event["type"] != "DELETED"
                self._version = None
        self._version = version
