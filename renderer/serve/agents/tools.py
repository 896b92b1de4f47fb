"""What the tools do, wherever the jobs of an agent are: those of a folder, or those of a caller of the server."""

from __future__ import annotations

import importlib.metadata
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from typing import Annotated, Any, Concatenate, ParamSpec, Protocol

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import Field, ValidationError
from starlette.requests import Request

from backends import JobState, JobStatus, LogLine
from backends.errors import JobNotFoundError, RendererError, SpecError, TransientError
from backends.untrusted import show_line
from renderer import scenes as scene_files
from renderer.api import PlannedJob
from renderer.serve.agents.answers import (
    AgentFiles,
    describe_error,
    describe_files,
    describe_log,
    describe_status,
    make_answer,
)
from renderer.serve.callers import Policy
from renderer.serve.documents import progress_of
from renderer.serve.problems import explain, reword, word_error
from renderer.serve.schemas import Run

USUAL_WAIT_S = 50.0  # many clients give up after a minute
JOB_HINT = "name a job of an answer of render or preview"
LEAST_POLL_S = 0.2
MAX_LOG_LINES = 400
READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
RUNS = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
STOPS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)

Scenes = Annotated[tuple[str, ...], Field(description="scenes of the file; none: all of them")]
Settings = Annotated[
    dict[str, Any] | None, Field(description='settings such as {"quality": "l"}: l, m, h, p or k; l is quick')
]
At = Annotated[tuple[float, ...], Field(description="times in seconds of single frames, instead of all plays")]
Plays = Annotated[tuple[int, ...], Field(description="numbers of plays whose last frames are wanted, from 0")]
Arguments = Annotated[tuple[str, ...], Field(description="arguments, if the file is a script without scenes")]
Wait = Annotated[
    float,
    Field(ge=0, le=600, description="seconds to wait for the end. The job goes on after that: ask for its status"),
]
JobKey = Annotated[str, Field(max_length=1000, description="the job, as an earlier answer names it")]
Lines = Annotated[int, Field(ge=1, le=MAX_LOG_LINES, description="how many of the last lines")]

P = ParamSpec("P")
Answer = Coroutine[Any, Any, CallToolResult]


class AgentJob(Protocol):
    """A job that the agent may see. Its methods may block."""

    key: str
    backend: str
    name: str | None
    poll_s: float

    def status(self) -> JobStatus:
        """Return the job's state."""

    def logs(self) -> Iterator[LogLine]:
        """Yield the lines that it has printed so far."""

    def files(self) -> AgentFiles:
        """Return the files that it made, downloaded and verified."""

    def cancel(self) -> None:
        """Stop it."""

    def discard(self) -> None:
        """Remove a preview whose files were downloaded, if these do not need it any more."""


class AgentJobs(Protocol):
    """The jobs of one agent. The methods may block."""

    def check(self, run: Run, files: Mapping[str, str]) -> list[str]:
        """Check a request without running anything, and return what ``describe_plan`` does. Raises SpecError."""

    def submit(self, run: Run, files: Mapping[str, str]) -> AgentJob:
        """Submit a job. Raises SpecError and BackendError."""

    def find(self, key: str) -> AgentJob:
        """Return a job that the agent may see. Raises JobNotFoundError for all others."""


def _answering(
    method: Callable[Concatenate[Tools, P], Answer],
) -> Callable[Concatenate[Tools, P], Answer]:
    """Make a method answer to errors with a sentence and a hint, where the agent reads them."""

    async def answer(tools: Tools, /, *arguments: P.args, **options: P.kwargs) -> CallToolResult:
        try:
            return await method(tools, *arguments, **options)
        except JobNotFoundError as error:  # whose hint names a command or an address, and not a tool
            return describe_error(JobNotFoundError(str(error), hint=JOB_HINT))
        except RendererError as error:
            return describe_error(error)

    return answer


class Tools:
    """The tools.

    ``find_jobs`` returns the jobs of who asks; ``call`` runs what may block in a thread. Nobody waits for a job any
    longer once ``is_ending`` returns true.
    """

    def __init__(
        self,
        find_jobs: Callable[[Context[Any, Any]], AgentJobs],
        call: Callable[..., Awaitable[Any]],
        is_ending: Callable[[], bool] = lambda: False,
    ) -> None:
        self._find_jobs = find_jobs
        self._call = call
        self._is_ending = is_ending

    @_answering
    async def check(self, context: Context[Any, Any], fields: Mapping[str, Any], files: Mapping[str, str]) -> Any:
        """Answer whether a request is right."""
        lines: list[str] = await self._call("submit", self._find_jobs(context).check, make_run(fields), files)
        return make_answer(lines)

    @_answering
    async def run(
        self,
        context: Context[Any, Any],
        fields: Mapping[str, Any],
        files: Mapping[str, str],
        wait_s: float,
    ) -> Any:
        """Submit a job, wait for it, and answer with what came of it."""
        run = make_run(fields)
        job: AgentJob = await self._call("submit", self._find_jobs(context).submit, run, files)
        status = await self._wait(context, job, wait_s)
        if status.state is not JobState.SUCCEEDED or not run.preview:
            return await self._describe(job, status, with_files=status.state.terminal)
        answer = await self._describe(job, status, with_files=True, with_key=False)
        await self._call(job.backend, job.discard)
        return answer

    @_answering
    async def status(self, context: Context[Any, Any], key: str) -> Any:
        """Answer with the state of a job."""
        job = await self._find(context, key)
        status: JobStatus = await self._call(job.backend, job.status)
        return await self._describe(job, status, with_files=False)

    @_answering
    async def fetch(self, context: Context[Any, Any], key: str) -> Any:
        """Answer with the files of a job, and the pictures among them."""
        job = await self._find(context, key)
        status: JobStatus = await self._call(job.backend, job.status)
        if not status.state.terminal:
            raise SpecError("the job has not ended, so it has no files yet", hint="ask for its status again")
        return await self._describe(job, status, with_files=True)

    @_answering
    async def logs(self, context: Context[Any, Any], key: str, last: int) -> Any:
        """Answer with the last lines of a log."""
        job = await self._find(context, key)

        def read() -> tuple[list[str], int]:
            total, kept = 0, deque[str](maxlen=last)
            for line in job.logs():
                total += 1
                kept.append(line.text)
            return list(kept), total

        return describe_log(*await self._call(job.backend, read))

    @_answering
    async def cancel(self, context: Context[Any, Any], key: str) -> Any:
        """Stop a job."""
        job = await self._find(context, key)
        await self._call(job.backend, job.cancel)
        return await self._describe(job, await self._call(job.backend, job.status), with_files=False)

    async def _find(self, context: Context[Any, Any], key: str) -> AgentJob:
        job: AgentJob = await self._call("submit", self._find_jobs(context).find, key)
        return job

    async def _wait(self, context: Context[Any, Any], job: AgentJob, wait_s: float) -> JobStatus:
        """Return the status of a job at its end, or after so many seconds; at once if nobody gets the answer."""
        end, reported = time.monotonic() + wait_s, -1.0
        while True:
            is_late = time.monotonic() >= end or self._is_ending() or await _is_gone(context)
            try:
                status: JobStatus = await self._call(job.backend, job.status)
            except TransientError:
                if is_late:
                    raise
            else:
                if status.state.terminal or is_late:
                    return status
                progress = progress_of(status) or 0.0
                if progress > reported:
                    await context.report_progress(progress, 100, str(status.state))
                    reported = progress
            await anyio.sleep(max(0.0, min(max(job.poll_s, LEAST_POLL_S), end - time.monotonic())))

    async def _describe(
        self, job: AgentJob, status: JobStatus, *, with_files: bool, with_key: bool = True
    ) -> CallToolResult:
        lines = describe_status(job.key if with_key else None, job.name or status.name, status)
        is_error = status.state is JobState.FAILED
        if not with_files:
            if status.state is JobState.SUCCEEDED:
                lines.append("fetch downloads its files and shows its pictures")
            return make_answer(lines, is_error=is_error)
        try:
            files: AgentFiles = await self._call(job.backend, job.files)
            more, pictures = await self._call(job.backend, describe_files, files)
        except RendererError as error:
            message, advice = word_error(error)
            hint = [f"hint: {show_line(advice)}"] if advice else []
            lines += [f"its files could not be downloaded: {show_line(message)}", *hint]
            return make_answer(lines, is_error=True)
        return make_answer([*lines, *more], pictures, is_error=is_error)


async def _is_gone(context: Context[Any, Any]) -> bool:
    """Return whether the client of a request over HTTP has closed its connection."""
    request = context.request_context.request
    return isinstance(request, Request) and await request.is_disconnected()


class _Server(MCPServer[Any]):
    """A server that says in words what is wrong with a call of a tool."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool."""
        known = {tool.name: tool.input_schema["properties"] for tool in await self.list_tools()}
        if name not in known:
            return describe_error(SpecError(f"there is no tool {name!r}", hint=f"tools are {', '.join(known)}"))
        for unknown in arguments.keys() - known[name].keys():
            hint = f"its arguments are {', '.join(known[name])}"
            return describe_error(SpecError(f"{name} has no argument {unknown!r}", hint=hint))
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            if type(error) is ToolError and isinstance(error.__cause__, ValidationError):  # no defect of a tool
                return describe_error(SpecError(explain(error.__cause__.errors())))
            if isinstance(error.__cause__, RendererError):
                return describe_error(error.__cause__)
            raise


def make_empty_server(instructions: str) -> MCPServer[Any]:
    """Return a server without tools."""
    version = importlib.metadata.version("manim-renderer")
    return _Server("renderer", version=version, instructions=instructions, log_level="WARNING")


def make_run(fields: Mapping[str, Any]) -> Run:
    """Return the request of a tool, without what it leaves open. Raises SpecError for a value that it cannot have."""
    try:
        return Run(**{name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        raise SpecError(explain(error.errors())) from error


def describe_settings(policy: Policy) -> str:
    """Return the names of the settings that an agent may change, and the backends that it may choose."""
    names = ", ".join(policy.allow)
    return f"{names}; backend is {' or '.join(policy.backends)}" if "backend" in policy.allow else names


def describe_plan(run: Run, planned: PlannedJob) -> list[str]:
    """Return what a request that is right would run. Its files must still be there."""
    found = scene_files.find_scenes(planned.path, planned.prepared.root)
    lines = [f"{show_line(run.file)} is valid. preview shows what it looks like"]
    lines += [f"scene {item.name}" + (f", line {item.line}" if item.line else "") for item in found]
    if planned.prepared.kind == "script":
        lines.append("it is a script, and not a file of scenes: render runs it")
    packed = planned.prepared.packed
    lines.append(f"files that go with it: {len(packed.files)}, {packed.size} bytes")
    return [*lines, *(f"note: {show_line(reword(note))}" for note in planned.prepared.notes)]


def add_job_tools(server: MCPServer[Any], tools: Tools) -> None:
    """Add the tools for jobs that were submitted before."""

    @server.tool(annotations=READS, structured_output=False)
    async def status(context: Context[Any, Any], job: JobKey) -> CallToolResult:
        """Show the state of a job: how far it is or, for one that failed, the error with its line and a hint."""
        return await tools.status(context, job)

    @server.tool(annotations=READS, structured_output=False)
    async def logs(context: Context[Any, Any], job: JobKey, last: Lines = 40) -> CallToolResult:
        """Show the last lines that a job has printed."""
        return await tools.logs(context, job, last)

    @server.tool(annotations=READS, structured_output=False)
    async def fetch(context: Context[Any, Any], job: JobKey) -> CallToolResult:
        """Download the files of a job that has ended, name them, and show its pictures."""
        return await tools.fetch(context, job)

    @server.tool(annotations=STOPS, structured_output=False)
    async def cancel(context: Context[Any, Any], job: JobKey) -> CallToolResult:
        """Stop a job."""
        return await tools.cancel(context, job)
