"""The backend of a Kubernetes cluster: one Indexed Job is one job, and nothing of ours runs there besides."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from backends.base import Backend, Plan
from backends.diagnostics import Check
from backends.errors import JobNotFoundError, OutputError, RendererError, TransientError
from backends.kubernetes import names
from backends.kubernetes.client.client import Api, Object
from backends.kubernetes.client.errors import ApiError
from backends.kubernetes.client.errors import explained as _words
from backends.kubernetes.client.paths import core, jobs
from backends.kubernetes.manifests import merge_patch
from backends.kubernetes.manifests.job import KubernetesRequest, build
from backends.kubernetes.observe import unit_pods
from backends.kubernetes.observe.informer import Watched
from backends.kubernetes.observe.logs import Follower, of_pod
from backends.kubernetes.observe.reflector import Pods
from backends.kubernetes.observe.snapshot import JobView
from backends.kubernetes.observe.status import read as read_status
from backends.kubernetes.observe.status import summary
from backends.kubernetes.options import KubernetesOptions
from backends.kubernetes.submit import create, find_class, put_inputs
from backends.kubernetes.transfer import collector, outputs
from backends.kubernetes.transfer.collector import Spool
from backends.models import Garbage, JobHandle, JobSpec, JobState, JobStatus, LogLine

END_S = 60.0  # how long pods may take to go
POLL_S = 0.1
LONGEST_S = {JobState.PENDING: 16.0, JobState.RUNNING: 4.0}  # between two looks; of a running job for its progress


class KubernetesBackend(Backend[KubernetesRequest]):
    """Runs jobs on the cluster of one kubeconfig context."""

    name: ClassVar[str] = names.BACKEND

    def __init__(self, options: KubernetesOptions | None = None) -> None:
        self.options = options or KubernetesOptions()
        self._apis: dict[str | None, Api] = {}

    @functools.cached_property
    def _patch(self) -> Mapping[str, Any]:
        return merge_patch.read(self.options.patch) if self.options.patch else {}

    def plan(self, spec: JobSpec) -> Plan[KubernetesRequest]:
        """Give the objects that would be created."""
        return Plan(spec, build(spec, self.options, self._patch))

    def resolve(self, plan: Plan[KubernetesRequest], *, upload: bool = False) -> KubernetesRequest:
        """Give the request as submit would send it, with what only the cluster can tell; ``upload`` stores the inputs.

        A cluster that does not answer is no error unless it is needed.
        """
        if upload and plan.request.upload:
            api, namespace = self._here()
            with _words("upload the inputs"):
                put_inputs(api, namespace, plan.request, plan.spec.bundle)
        if not plan.request.find_class:
            return plan.request
        try:
            api = self.api()
            with api.impatient():
                return find_class(api, plan.request)
        except RendererError:
            return plan.request

    def doctor(self, *, image: str | None = None, store: str | None = None) -> Iterator[Check]:
        """Check the cluster as submit would use it."""
        from backends.kubernetes.doctor import examine

        api, namespace = self._here()
        return examine(api, namespace, self.options, image, store)

    def submit(self, plan: Plan[KubernetesRequest]) -> JobHandle:
        """Create them; a job with the same name and content that is there already is taken instead."""
        api, namespace = self._here()
        with _words(f"submit to the namespace {namespace!r}"):
            job = create(api, namespace, plan.request, plan.spec.bundle)
        handle = JobHandle(self.name, (api.context.name, namespace, job["metadata"]["name"]))
        if not plan.spec.store:
            Spool(handle, job).create()
        return handle

    def status(self, handle: JobHandle) -> JobStatus:
        """Read the Job, its pods and, while it waits, what the cluster says about that.

        Where this machine submitted the job, outputs that wait in a pod are collected on the way.
        """
        with _words(f"read the job {handle}"):
            return self._told(handle, self._view(handle))

    def statuses(self, handle: JobHandle, *, until: float | None = None) -> Iterator[JobStatus]:
        """Read them by a watch of the pods: a thousand that wait are listed once."""
        watched = Watched(*self._find(handle))
        while True:
            with _words(f"read the job {handle}"):
                status = self._told(handle, watched.view(self._job(handle)))
            yield status
            longest = LONGEST_S.get(status.state, 0.0)
            with _words(f"watch the job {handle}"):
                watched.pause(longest if until is None else min(longest, until - time.monotonic()))

    def logs(self, handle: JobHandle, *, follow: bool = False) -> Iterator[LogLine]:
        """Read the units' logs; with ``follow`` as they come, and outputs that wait are collected."""
        with _words(f"read the log of {handle}"):
            view = self._view(handle)
        if follow and not view.ended:
            return self._follow(handle, Spool(handle, view.job))
        return self._read_logs(handle, view)

    def cancel(self, handle: JobHandle) -> None:
        """Let the Job's deadline pass: Kubernetes ends its pods and keeps what is finished."""
        api, namespace, name = self._find(handle)
        with _words(f"cancel the job {handle}"):
            if self._view(handle).ended:
                return
            mark = {names.ANNOTATION_CANCELLED: datetime.now(UTC).isoformat(timespec="seconds")}
            api.patch(jobs(namespace, name), {"metadata": {"annotations": mark}, "spec": {"activeDeadlineSeconds": 1}})
            _wait_until(lambda: self._view(handle).ended)

    def fetch(self, handle: JobHandle, into: Path) -> list[Path]:
        """Copy the outputs from the store, or from the pods that wait with them."""
        api, _, _ = self._find(handle)
        with _words(f"fetch the outputs of {handle}"):
            return outputs.fetch(api, handle, self._view(handle), into)

    def delete(self, handle: JobHandle) -> None:
        """Delete its folder in the store, the Job with its pods and inputs, and what was collected here."""
        api, namespace, name = self._find(handle)
        with _words(f"delete the job {handle}"):
            job = self._job(handle)
            if where := outputs.place_of(job):  # first: only the Job tells where that is, should the store be away
                self.cancel(handle)
                _wait_until(lambda: all(pod.ended for pod in Pods(api, namespace, name).read()))
                outputs.delete(api, handle, job, where)
            for helper in api.items(core(namespace, "pods"), labelSelector=names.helpers(name)):
                api.delete(core(namespace, "pods", helper["metadata"]["name"]), gracePeriodSeconds=0)
            api.delete(jobs(namespace, name), propagationPolicy="Foreground")
            api.delete(core(namespace, "configmaps", names.inputs_name(name)))
            _wait_until(lambda: _gone(api, namespace, name))
            Spool(handle, job).delete()

    def collect_garbage(self, *, older_than: timedelta, dry_run: bool = False) -> Iterator[Garbage]:  # noqa: ARG002
        """Yield nothing: the cluster itself deletes finished Jobs, after the time that each Job states."""
        return iter(())

    def api(self, context: str | None = None) -> Api:
        """Give the API server of a context, the configured one by default."""
        context = context or self.options.context
        if context not in self._apis:
            api = Api(context)
            self._apis[context] = self._apis[api.context.name] = api
        return self._apis[context]

    def _here(self) -> tuple[Api, str]:
        api = self.api()
        return api, self.options.namespace or api.context.namespace

    def _find(self, handle: JobHandle) -> tuple[Api, str, str]:
        if handle.backend != self.name or len(handle.parts) != 3:  # noqa: PLR2004 - context, namespace, name
            raise JobNotFoundError(
                f"{handle} is no job on Kubernetes", hint="such a handle is k8s://CONTEXT/NAMESPACE/NAME"
            )
        context, namespace, name = handle.parts
        return self.api(context), namespace, name

    def _view(self, handle: JobHandle) -> JobView:
        api, namespace, name = self._find(handle)
        return JobView(self._job(handle), unit_pods.latest(Pods(api, namespace, name).read()))

    def _told(self, handle: JobHandle, view: JobView) -> JobStatus:
        api, namespace, _ = self._find(handle)
        spool = Spool(handle, view.job)
        for pod in view.pods.values():
            if pod.collectable and spool.exists:
                with suppress(OutputError):  # a pod that goes just now may be tried again; the status tells
                    collector.collect(api, namespace, pod.name, spool, pod.unit)
        return read_status(api, namespace, handle, view)

    def _job(self, handle: JobHandle) -> Object:
        api, namespace, name = self._find(handle)
        try:
            job = api.get(jobs(namespace, name))
        except ApiError as error:
            if error.code != 404:  # noqa: PLR2004 - HTTP's number
                raise
            job = {"metadata": {}}
        if (job["metadata"].get("labels") or {}).get(names.LABEL_MANAGED) != names.MANAGER:  # or somebody else's
            raise JobNotFoundError(
                f"there is no job {handle} of renderer", hint="`renderer list --backend k8s` shows the jobs"
            )
        return job

    def _follow(self, handle: JobHandle, spool: Spool) -> Iterator[LogLine]:
        api, namespace, name = self._find(handle)

        def on_ready(pod: unit_pods.Pod) -> None:
            if spool.exists:
                with suppress(RendererError, ApiError):  # tried again when the pod is seen again, and by fetch
                    collector.collect(api, namespace, pod.name, spool, pod.unit)

        def ended() -> bool:
            try:
                return JobView(self._job(handle), {}).ended
            except JobNotFoundError:
                return True

        yield from Follower(api, namespace, name, on_ready, ended).run()

    def _read_logs(self, handle: JobHandle, view: JobView) -> Iterator[LogLine]:
        api, namespace, _ = self._find(handle)
        with _words(f"read the log of {handle}"), outputs.KeptLogs(api, handle, view.job) as kept:
            for unit in range(len(unit_pods.unit_names(view.job))):
                pod = view.pods.get(unit)
                if pod and pod.has_log:
                    yield from (LogLine(unit, text) for _, text in of_pod(api, namespace, pod))
                elif view.over(unit):
                    yield from (LogLine(unit, text) for text in kept.of(unit))

    def list(self) -> Iterator[JobStatus]:
        """Read the Jobs of the namespace."""
        api, namespace = self._here()
        with _words(f"list the jobs of the namespace {namespace!r}"):
            selector = f"{names.LABEL_MANAGED}={names.MANAGER}"
            found = [
                summary(JobHandle(self.name, (api.context.name, namespace, job["metadata"]["name"])), job)
                for job in api.items(jobs(namespace), labelSelector=selector)
            ]
        yield from sorted(found, key=lambda item: (item.created, item.name), reverse=True)


def _gone(api: Api, namespace: str, name: str) -> bool:
    try:
        api.get(jobs(namespace, name))
    except ApiError as error:
        if error.code != 404:  # noqa: PLR2004 - HTTP's number
            raise
        return next(Pods(api, namespace, name).read(), None) is None
    return False


def _wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + END_S
    while not condition():
        if time.monotonic() > until:
            raise TransientError(
                f"the job's pods have not gone after {END_S:.0f} s", hint="try again; is their node there?"
            )
        time.sleep(POLL_S)
