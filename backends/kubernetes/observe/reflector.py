"""A Job's pods: listed page by page, then watched for changes."""

from __future__ import annotations

from collections.abc import Iterator

from backends.errors import TransientError
from backends.kubernetes.client.client import Api
from backends.kubernetes.client.errors import ApiError
from backends.kubernetes.client.paths import core
from backends.kubernetes.observe import unit_pods
from backends.kubernetes.observe.unit_pods import Pod

_FORBIDDEN = 403


class Pods:
    """The pods of one Job. Raises ApiError, TransientError when they cannot be read."""

    def __init__(self, api: Api, namespace: str, job: str) -> None:
        self._api = api
        self._path = core(namespace, "pods")
        self._selector = {"labelSelector": f"batch.kubernetes.io/job-name={job}"}
        self._version: str | None = None

    @property
    def lost(self) -> bool:
        """Whether what has changed is not known: before they were read, and after a watch that was cut or came late."""
        return self._version is None

    def read(self) -> Iterator[Pod]:
        """Give every pod."""
        version = None
        for page in self._api.pages(self._path, **self._selector):
            version = version or page["metadata"]["resourceVersion"]
            yield from map(unit_pods.pod, page.get("items") or [])
        self._version = version

    def changes(self, seconds: int) -> Iterator[tuple[Pod, bool]]:
        """Give what changes within so many seconds after they were read: the pod, and whether it is still there."""
        version, self._version = self._version or "", None
        try:
            for event in self._api.watch(self._path, version, seconds, **self._selector):
                if event["type"] == "ERROR":  # most often: the version is too old by now
                    return
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._version = version  # should the caller stop here
                    yield unit_pods.pod(event["object"]), event["type"] != "DELETED"
                    self._version = None
            self._version = version
        except TransientError:
            return
        except ApiError as error:
            if error.code == _FORBIDDEN:
                raise
