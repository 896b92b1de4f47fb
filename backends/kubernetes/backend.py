"""The Kubernetes backend: a job is one Indexed Job. No server or controller of renderer runs in the cluster."""

from __future__ import annotations

import functools
import itertools
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from backends.base import Backend, Plan
from backends.chunk_store.shards import label_line
from backends.diagnostics import Check
from backends.errors import JobNotFoundError, RendererError, TransientError
from backends.gpus import request as gpu_request
from backends.kubernetes import names
from backends.kubernetes.client import threads
from backends.kubernetes.client.client import PAGE_SIZE, Api
from backends.kubernetes.client.errors import ApiError, NotFoundError, translating_errors
from backends.kubernetes.client.paths import core_path, jobs_path
from backends.kubernetes.isolation import check_untrusted, describe_open_network, prove_isolation
from backends.kubernetes.manifests.job import KubernetesRequest, build_request
from backends.kubernetes.manifests.merge_patch import read_patch
from backends.kubernetes.objects.job import Job, parse_job
from backends.kubernetes.objects.pod import Pod, parse_pod, select_latest
from backends.kubernetes.objects.snapshot import JobSnapshot
from backends.kubernetes.observe.informer import Informer
from backends.kubernetes.observe.log_follower import LogFollower
from backends.kubernetes.observe.logs import assign_line, read_log
from backends.kubernetes.observe.reflector import FAILED, NOT_ENDED, NOT_SUCCEEDED, RUNNING, PodReflector
from backends.kubernetes.observe.status import ALL_LOGS, read_status, summarize_jobs
from backends.kubernetes.options import KubernetesOptions
from backends.kubernetes.submit import create_inputs, create_job, resolve_runtime_class, upload_bundle
from backends.kubernetes.transfer.job_records import JobRecord, list_records, read_stored_status
from backends.kubernetes.transfer.outputs import delete_stored_files, fetch_outputs, find_store_folder, open_collector
from backends.kubernetes.transfer.spool import Spool
from backends.kubernetes.transfer.stored_logs import StoredLogs
from backends.kubernetes.transfer.stored_packages import collect_packages, find_package_stores
from backends.models import Garbage, JobHandle, JobSpec, JobState, JobStatus, LogLine

_log = logging.getLogger(__name__)

NO_LABELS: Mapping[str, str] = MappingProxyType({})
DELETION_TIMEOUT_S = 120.0  # how long pods may take to end
COLLECT_TIMEOUT_S = 60.0  # how long a cancellation waits for downloads from pods that may not be reachable
RELEASE_TIMEOUT_S = 10.0  # how long pods may take to end whose outputs were downloaded
FIRST_POLL_S, MAX_POLL_S = 0.1, 1.0  # between looks whether pods have ended: a job may have thousands
# How long `wait` watches at most before it reads the status again. Of a running job, that is for its progress.
MAX_WATCH_S = {JobState.PENDING: 16.0, JobState.RUNNING: 4.0}


class KubernetesBackend(Backend[KubernetesRequest]):
    """Runs jobs on the cluster of one kubeconfig context."""

    name: ClassVar[str] = names.BACKEND

    def __init__(self, options: KubernetesOptions | None = None) -> None:
        self.options = options or KubernetesOptions()
        self._apis: dict[str | None, Api] = {}
        # A store that new jobs cannot reach: this process puts there what it downloads from their pods. For servers.
        self.shelf: str | None = None
        self.annotations: Mapping[str, str] = {}  # of new Jobs. For servers.

    @functools.cached_property
    def _patch(self) -> Mapping[str, object]:
        return read_patch(self.options.patch) if self.options.patch else {}

    def plan(self, spec: JobSpec) -> Plan[KubernetesRequest]:
        """Return the objects that submit would create."""
        if spec.untrusted:
            check_untrusted(spec, self.options)
        notes = gpu_request.describe_choice(gpu_request.parse_gpu(spec.resources.gpu or "1"))
        notes = (*notes, *_find_unused(spec, self.options))
        return Plan(spec, build_request(spec, self.options, self._patch), notes=notes)

    def resolve(self, plan: Plan[KubernetesRequest], *, upload: bool = False) -> KubernetesRequest:
        """Return the request as submit would send it: with the RuntimeClass, if the cluster has it.

        With ``upload``, store the bundle. A cluster that does not answer is an error only then.
        """
        if upload and plan.request.upload:
            api, namespace = self._target()
            with translating_errors("upload the inputs"):
                upload_bundle(api, namespace, plan.request, plan.spec.bundle)
        if not plan.request.detect_runtime_class:
            return plan.request
        try:
            api = self.api()
            with api.without_retries():
                return resolve_runtime_class(api, plan.request)
        except RendererError:
            return plan.request

    def submit(self, plan: Plan[KubernetesRequest]) -> JobHandle:
        """Create the objects. If an identical job exists, return that one, unless it failed or was cancelled."""
        api, namespace = self._target()
        request = plan.request
        noted = threads.start_thread(lambda: describe_open_network(api, namespace))
        with translating_errors(f"submit to the namespace {namespace!r}"):
            if plan.spec.untrusted:
                request = prove_isolation(api, namespace, request)
            request = self._annotate(request)
            job = create_job(api, namespace, request, plan.spec.bundle)
            note = noted.result()
        self.notes = (note,) if note else ()
        handle = JobHandle(self.name, (api.context.name, namespace, job.name))
        self._remember(handle, plan, request, job)
        return handle

    def complete(self, handle: JobHandle, plan: Plan[KubernetesRequest]) -> None:
        """Finish a submit that was killed after it had created the Job. Do nothing for the Job of another plan."""
        api, namespace, name = self._locate(handle)
        request = self._annotate(plan.request)
        if request.job["metadata"]["name"] != name:
            return
        with translating_errors(f"create the inputs of {handle}"):
            job = self._read_job(handle)
            create_inputs(api, namespace, request, job, is_new=False)
        self._remember(handle, plan, request, job)

    def _annotate(self, request: KubernetesRequest) -> KubernetesRequest:
        return (request.with_shelf(self.shelf) if self.shelf else request).with_annotations(self.annotations)

    def _remember(self, handle: JobHandle, plan: Plan[KubernetesRequest], request: KubernetesRequest, job: Job) -> None:
        """Keep on this machine what cannot be read from the Job, or not for long."""
        if job.names is None and job.count > 1:
            JobRecord(handle).write_names(plan.spec.units)
        if plan.spec.store or self.shelf:
            JobRecord(handle).write(request.job, job)
        if not plan.spec.store:
            Spool(handle, job).create()

    def status(self, handle: JobHandle) -> JobStatus:
        """Read the Job, its pods and, while it waits, the reasons. Nothing is changed or downloaded."""
        api, namespace, _ = self._locate(handle)
        with translating_errors(f"read the job {handle}"):
            job = self._find_job(handle)
            if job.removed:
                return read_stored_status(api, handle, job)
            snapshot = self._read_large_snapshot(handle, job) if job.is_large else self._read_snapshot(handle, job)
            return read_status(api, namespace, handle, snapshot, most_logs=ALL_LOGS)

    def statuses(self, handle: JobHandle, *, until: float | None = None) -> Iterator[JobStatus]:
        """Yield the status each time that the Job or a pod changes.

        Before each status, outputs that wait in pods are downloaded, if the job was submitted on this machine.
        """
        api, namespace, name = self._locate(handle)
        informer = None
        while True:
            with translating_errors(f"read the job {handle}"):
                job = self._find_job(handle)
                if job.removed:
                    break
                informer = informer or Informer(api, namespace, name, fields=NOT_SUCCEEDED if job.is_large else "")
                snapshot = informer.take_snapshot(job)
                open_collector(api, handle, job, self.limits).collect_all(snapshot.pods.values())
                status = read_status(api, namespace, handle, snapshot)
            yield status
            max_s = MAX_WATCH_S.get(status.state, 0.0)
            with translating_errors(f"watch the job {handle}"):
                informer.wait_for_change(max_s if until is None else min(max_s, until - time.monotonic()))
        while True:
            with translating_errors(f"read the job {handle}"):
                status = read_stored_status(api, handle, job)
            yield status
            time.sleep(self.poll_s)

    def logs(self, handle: JobHandle, *, follow: bool = False) -> Iterator[LogLine]:
        """Yield the units' logs. With ``follow``, wait for new lines, and download outputs that wait in pods."""
        with translating_errors(f"read the log of {handle}"):
            snapshot = self._read_snapshot(handle)
        lines = (
            self._follow_logs(handle, snapshot)
            if follow and not snapshot.job.ended
            else self._read_logs(handle, snapshot)
        )
        return map(label_line, lines) if snapshot.job.shards else lines

    def cancel(self, handle: JobHandle) -> None:
        """Download what waits in pods, on the machine that submitted the job, and end the Job's other pods."""
        with translating_errors(f"cancel the job {handle}"):
            job = self._find_job(handle)
            if not (job.ended or job.store):
                self._collect_finished(handle, job)
                job = self._find_job(handle)  # it may have ended by that
            self._end(handle, job)

    def _collect_finished(self, handle: JobHandle, job: Job) -> None:
        """Download what waits in pods, and wait until these have ended: Kubernetes then counts them as completed."""
        api, namespace, name = self._locate(handle)
        collector = open_collector(api, handle, job, self.limits)
        if not collector.spool.exists:
            return
        try:
            running = PodReflector(api, namespace, name, fields=RUNNING)
            waiting = {pod.name: pod for pod in running.list_pods() if pod.holds_outputs}
            threads.start_thread(lambda: collector.collect_together(waiting.values())).result(COLLECT_TIMEOUT_S)
            with suppress(TransientError):  # a slow cluster may count some as cancelled, whose outputs are here
                _wait_until(
                    lambda: waiting.keys().isdisjoint(pod.name for pod in running.list_pods()), RELEASE_TIMEOUT_S
                )
        except (RendererError, ApiError, OSError) as error:  # the job is cancelled all the same
            why = f"it took more than {COLLECT_TIMEOUT_S:.0f} s" if isinstance(error, TimeoutError) else error
            _log.warning("some finished outputs of %s were not downloaded: %s", handle, why)

    def _end(self, handle: JobHandle, job: Job) -> None:
        """Set the Job's deadline to a time that has passed: Kubernetes then ends its pods and keeps completed units."""
        if job.ended:
            return
        api, namespace, name = self._locate(handle)
        mark = {names.ANNOTATION_CANCELLED: datetime.now(UTC).isoformat(timespec="seconds")}
        patch = {"metadata": {"annotations": mark}, "spec": {"activeDeadlineSeconds": 1}}
        api.patch(jobs_path(namespace, name), patch)
        _wait_until(lambda: self._read_job(handle).ended)

    def fetch(self, handle: JobHandle, into: Path, units: Collection[int] | None = None) -> list[Path]:
        """Copy the outputs from the store, from this machine's spool, or from the pods that hold them."""
        api, _, _ = self._locate(handle)
        with translating_errors(f"fetch the outputs of {handle}"):
            return fetch_outputs(api, handle, self._read_snapshot(handle), into, self.limits, units)

    def find_waiting(self) -> set[JobHandle]:
        """Return the jobs of the namespace with a shelf that have pods which wait with outputs."""
        api, namespace = self._target()
        with translating_errors(f"list the pods of the namespace {namespace!r}"):
            items = api.list_items(core_path(namespace, "pods"), labelSelector=names.LABEL_SHELF, fieldSelector=RUNNING)
            jobs = {item["metadata"]["labels"][names.LABEL_JOB] for item in items if parse_pod(item).holds_outputs}
        return {JobHandle(self.name, (api.context.name, namespace, job)) for job in jobs}

    def collect(self, handle: JobHandle) -> None:
        """Put the outputs that wait in the job's pods on its shelf, and let the pods end. Raises OSError as well."""
        target = api, _, _ = self._locate(handle)
        with translating_errors(f"download the outputs of {handle}"):
            job = self._read_job(handle)
            if job.shelf:
                collector = open_collector(api, handle, job, self.limits)
                collector.spool.create()
                collector.collect_together(PodReflector(*target, fields=RUNNING).list_pods())

    def list(self, labels: Mapping[str, str] = NO_LABELS) -> Iterator[JobStatus]:
        """Yield the jobs of the namespace that have these labels, newest first. Of failed ones, reads a pod."""
        api, namespace = self._target()
        selector = ",".join(f"{key}={value}" for key, value in {names.LABEL_MANAGED: names.MANAGER, **labels}.items())
        with translating_errors(f"list the jobs of the namespace {namespace!r}"):
            items = api.list_items(jobs_path(namespace), labelSelector=selector)
            jobs = {JobHandle(self.name, (api.context.name, namespace, job.name)): job for job in map(parse_job, items)}
            found = summarize_jobs(api, namespace, jobs)
        yield from sorted(found, key=lambda status: (status.created, status.name), reverse=True)

    def label(self, handle: JobHandle, labels: Mapping[str, str]) -> None:
        """Set these labels of a job."""
        api, namespace, name = self._locate(handle)
        with translating_errors(f"label the job {handle}"):
            api.patch(jobs_path(namespace, name), {"metadata": {"labels": dict(labels)}})

    def delete(self, handle: JobHandle) -> None:
        """Delete the job's files in the store, the Job with its pods and inputs, and the spool on this machine."""
        api, namespace, name = self._locate(handle)
        with translating_errors(f"delete the job {handle}"):
            job = self._find_job(handle)
            if store := find_store_folder(job):  # the Job comes last: if the store fails, it still names the store
                self._end(handle, job)
                _wait_until(lambda: all(pod.ended for pod in self._list_pods(handle)))
                delete_stored_files(api, handle, job, store)
            selector = names.transfer_pod_selector(name)
            for pod in api.list_items(core_path(namespace, "pods"), labelSelector=selector):
                api.delete(core_path(namespace, "pods", pod["metadata"]["name"]), gracePeriodSeconds=0)
            api.delete(jobs_path(namespace, name), propagationPolicy="Foreground")
            for inputs in job.inputs:
                api.delete(core_path(namespace, "configmaps", inputs))
            _wait_until(lambda: self._is_deleted(handle))
            Spool(handle, job).delete()
            JobRecord(handle).delete()

    def doctor(self, *, image: str | None = None, store: str | None = None) -> Iterator[Check]:
        """Check the cluster as submit would use it; with ``image``, run a small pod with this image for a moment."""
        from backends.kubernetes.doctor import run_checks

        api, namespace = self._target()
        return run_checks(api, namespace, self.options, image, store)

    def collect_garbage(self, *, older_than: timedelta, dry_run: bool = False) -> Iterator[Garbage]:
        """Remove old packages from stores of this machine's jobs, and what those left when the cluster deleted them.

        The cluster itself deletes finished Jobs, each after its own time (``--ttl``).
        """
        yield from self._collect_packages(older_than, dry_run=dry_run)  # while jobs' records name their stores
        for record in list_records():
            age = record.age()
            if age < older_than or not (known := record.read()) or not (store := find_store_folder(known)):
                continue
            try:
                if not self._find_job(record.handle).removed:
                    continue
                if not dry_run:
                    delete_stored_files(self.api(record.handle.parts[0]), record.handle, known, store)
                    record.delete()
            except (RendererError, ApiError) as error:  # the others are cleaned up all the same
                _log.warning("cannot clean up after %s: %s", record.handle, error)
                continue
            yield Garbage(path=f"{known.store or known.shelf}/jobs/{known.name}", size=0, age=age, removed=not dry_run)

    def _collect_packages(self, older_than: timedelta, *, dry_run: bool) -> Iterator[Garbage]:
        for handle, job, store in find_package_stores():
            try:
                api = self.api(handle.parts[0])
                yield from collect_packages(api, handle, job, store, older_than=older_than, dry_run=dry_run)
            except (RendererError, ApiError) as error:  # the others are cleaned up all the same
                _log.warning("cannot remove packages of the store of %s: %s", handle, error)

    def api(self, context: str | None = None) -> Api:
        """Return the API client of a context, by default of the configured one."""
        context = context or self.options.context
        if context not in self._apis:
            api = Api(context)
            self._apis[context] = self._apis[api.context.name] = api
        return self._apis[context]

    def _target(self) -> tuple[Api, str]:
        """Return the client and the namespace for new jobs."""
        api = self.api()
        return api, self.options.namespace or api.context.namespace

    def _locate(self, handle: JobHandle) -> tuple[Api, str, str]:
        """Return the client, the namespace and the name of a job."""
        if handle.backend != self.name or len(handle.parts) != 3:  # noqa: PLR2004 - context, namespace, name
            raise JobNotFoundError(
                f"{handle} is not the handle of a Kubernetes job", hint="such a handle is k8s://CONTEXT/NAMESPACE/NAME"
            )
        context, namespace, name = handle.parts
        return self.api(context), namespace, name

    def _read_job(self, handle: JobHandle) -> Job:
        """Read the Job. Raises JobNotFoundError, also for a Job that renderer did not create."""
        api, namespace, name = self._locate(handle)
        missing = JobNotFoundError(
            f"there is no renderer job {handle}", hint="`renderer list --backend k8s` shows yours"
        )
        try:
            job = parse_job(api.get(jobs_path(namespace, name)))
        except NotFoundError as error:
            raise missing from error
        if not job.managed:
            raise missing
        if job.names is None and job.count > 1:
            return replace(job, names=JobRecord(handle).read_names(job.count))
        return job

    def _find_job(self, handle: JobHandle) -> Job:
        """Read the Job, or the record of one that the cluster has deleted. Raises JobNotFoundError."""
        try:
            return self._read_job(handle)
        except JobNotFoundError:
            if known := JobRecord(handle).read():
                return known
            raise

    def _list_pods(self, handle: JobHandle) -> Iterator[Pod]:
        return PodReflector(*self._locate(handle)).list_pods()

    def _read_snapshot(self, handle: JobHandle, job: Job | None = None) -> JobSnapshot:
        job = job or self._find_job(handle)
        return JobSnapshot(job, {} if job.removed else select_latest(self._list_pods(handle)))

    def _read_large_snapshot(self, handle: JobHandle, job: Job) -> JobSnapshot:
        """Return the Job with the pods that have not ended, and some that failed: the Job knows of the others."""
        target = self._locate(handle)
        failed = (
            itertools.islice(PodReflector(*target, fields=FAILED).list_pods(), PAGE_SIZE) if job.failed_pods else ()
        )
        return JobSnapshot(job, select_latest([*failed, *PodReflector(*target, fields=NOT_ENDED).list_pods()]))

    def _is_deleted(self, handle: JobHandle) -> bool:
        api, namespace, name = self._locate(handle)
        try:
            api.get(jobs_path(namespace, name))
        except NotFoundError:
            return next(self._list_pods(handle), None) is None
        return False

    def _follow_logs(self, handle: JobHandle, snapshot: JobSnapshot) -> Iterator[LogLine]:
        api, namespace, name = self._locate(handle)

        def read_job() -> Job | None:
            try:
                return self._read_job(handle)
            except JobNotFoundError:
                return None

        informer = Informer(api, namespace, name)
        collector = open_collector(api, handle, snapshot.job, self.limits)
        informer.subscribe(collector.collect_later)
        yield from LogFollower(api, namespace, informer, snapshot.job, read_job).follow()
        collector.finish()

    def _read_logs(self, handle: JobHandle, snapshot: JobSnapshot) -> Iterator[LogLine]:
        api, namespace, _ = self._locate(handle)
        with translating_errors(f"read the log of {handle}"), StoredLogs(api, handle, snapshot.job) as stored:
            job = snapshot.job
            for index in range(job.pod_of(job.count - 1) + 1):
                pod, printed = snapshot.pods.get(index), set()
                if pod and pod.has_log:
                    for _, text in read_log(api, namespace, pod):
                        if line := assign_line(job, pod, text):
                            printed.add(line.unit)
                            yield line
                for unit in job.units_of(index):
                    # of several units in a pod, an earlier pod may have finished some
                    if unit not in printed and job.has_ended(unit) and (job.per_pod > 1 or not (pod and pod.has_log)):
                        yield from (LogLine(unit, text) for text in stored.read_lines(unit))


def _wait_until(condition: Callable[[], bool], timeout_s: float = DELETION_TIMEOUT_S) -> None:
    until = time.monotonic() + timeout_s
    pause = FIRST_POLL_S
    while not condition():
        if time.monotonic() > until:
            raise TransientError(
                f"the job's pods still exist after {timeout_s:.0f} s",
                hint="try again; `kubectl get nodes` shows whether their node still works",
            )
        time.sleep(pause)
        pause = min(pause * 1.1, MAX_POLL_S)


def _find_unused(spec: JobSpec, options: KubernetesOptions) -> Iterator[str]:
    """Yield a sentence for each option that has no effect on this job."""
    if options.store_secret and not spec.store:
        yield "store_secret: no effect without --store"
    if options.cache_secret and not spec.cache:
        yield "cache_secret: no effect without --cache"
    if "collect_timeout" in options.model_fields_set and spec.store:
        yield "collect_timeout: no effect with --store, which keeps the outputs"
