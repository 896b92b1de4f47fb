"""Spans of OpenTelemetry for what the client does with a job, if OpenTelemetry's own variables ask for them.

Without these nothing is imported. A span has the job's handle, its backend and how it ended, and nothing that the user
gave: no settings, no variables, no paths, no messages.
"""

from __future__ import annotations

import functools
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from backends import JobHandle, JobStatus

_SWITCHES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
# A collector that does not answer keeps a command no longer, unless OTEL_EXPORTER_OTLP_TIMEOUT says so.
_TIMEOUT_S = 3.0
_MOST_SUBMITS = 10_000
_submits = OrderedDict[JobHandle, Any]()  # contexts of spans, whose children are the other spans of the job
_log = logging.getLogger(__name__)


def is_wanted() -> bool:
    """Return whether the variables ask for spans."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return any(os.environ.get(name) for name in _SWITCHES)


@functools.cache
def _find_tracer() -> Any:
    """Return the tracer; None if the packages are not installed or a variable is wrong."""
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        _log.info("there are no spans: %s is missing; pip install 'manim-renderer[otel]'", error.name)
        return None
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):  # else the program that uses the library has one
        is_named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        )
        timeout = None if "OTEL_EXPORTER_OTLP_TIMEOUT" in os.environ else _TIMEOUT_S
        try:
            exporter = OTLPSpanExporter(timeout=timeout)
        except ValueError as error:
            _log.info("there are no spans: a variable of OpenTelemetry is wrong: %s", error)
            return None
        provider = TracerProvider(resource=Resource.create({} if is_named else {"service.name": "renderer"}))
        provider.add_span_processor(BatchSpanProcessor(exporter))  # it ends with the process
    return provider.get_tracer("manim-renderer")


def _find_parent(handle: JobHandle | None = None) -> Any:
    """Return the context of the job's submit, if this process has made it.

    Otherwise it is that in which the program was started, by the variables TRACEPARENT and TRACESTATE.
    """
    from opentelemetry.trace import NonRecordingSpan, set_span_in_context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    if handle and (submitted := _submits.get(handle)):
        return set_span_in_context(NonRecordingSpan(submitted))
    names = {"traceparent": "TRACEPARENT", "tracestate": "TRACESTATE"}
    carrier = {name: os.environ[variable] for name, variable in names.items() if variable in os.environ}
    return TraceContextTextMapPropagator().extract(carrier) if carrier else None


@contextmanager
def span(name: str, handle: JobHandle | None = None) -> Iterator[Callable[[JobHandle], object]]:
    """Make a span of the block, for a job. The function that it gets names one that is submitted in the block."""
    tracer = _find_tracer() if is_wanted() else None
    if tracer is None:
        yield lambda _handle: None
        return
    from opentelemetry.trace import StatusCode

    facts = _describe(handle) if handle else None
    with tracer.start_as_current_span(
        name, _find_parent(handle), attributes=facts, record_exception=False, set_status_on_exception=False
    ) as made:

        def name_job(submitted: JobHandle) -> None:
            made.set_attributes(_describe(submitted))
            _submits[submitted] = made.get_span_context()
            if len(_submits) > _MOST_SUBMITS:
                _submits.popitem(last=False)

        try:
            yield name_job
        except BaseException as error:
            made.set_status(StatusCode.ERROR, type(error).__name__)  # its message may have what the user gave
            raise


def record_run(status: JobStatus, running: datetime | None) -> None:
    """Make the spans `wait` and `render` of a job that has ended. ``running`` is when it was first seen to run."""
    if status.created is None or status.finished is None or not is_wanted() or (tracer := _find_tracer()) is None:
        return
    facts = {**_describe(status.handle), "renderer.state": str(status.state)}
    if status.exit_code is not None:
        facts["renderer.exit_code"] = int(status.exit_code)
    begin = min(max(running or status.created, status.created), status.finished)
    for name, first, last in (("wait", status.created, begin), ("render", begin, status.finished)):
        made = tracer.start_span(name, _find_parent(status.handle), attributes=facts, start_time=_nanoseconds(first))
        made.end(_nanoseconds(last))


def _describe(handle: JobHandle) -> dict[str, str | int]:
    return {"renderer.backend": handle.backend, "renderer.job": str(handle)}


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1e9)
