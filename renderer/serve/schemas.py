"""The JSON documents of the API, which are also its OpenAPI schemas."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from backends import JobState

MAX_CODE = 2**24  # characters
MAX_INPUTS = 10_000
MAX_FILES = 1000
MAX_WORDS = 1000
Text = Annotated[str, Field(max_length=2000)]
FileName = Annotated[str, Field(max_length=1024, description="path in the project, with slashes")]


class Preview(BaseModel):
    """Frames of a scene instead of its film. Without times and plays it is a contact sheet of all plays."""

    model_config = ConfigDict(extra="forbid")

    at: list[Annotated[float, Field(ge=0, le=1e6)]] = Field([], max_length=100, description="times in seconds")
    plays: list[Annotated[int, Field(ge=0, le=1e6)]] = Field([], max_length=100, description="numbers of plays, from 0")


class Run(BaseModel):
    """What to run of the files that are sent: as the arguments and options of `renderer submit` and `renderer map`."""

    model_config = ConfigDict(extra="forbid")

    file: FileName = Field("scene.py", description="the Python file to run: Manim scenes, or a script")
    scenes: list[Text] = Field([], max_length=MAX_WORDS, description="scenes to render; none: the only one of the file")
    all: bool = Field(False, description="render every scene of the file")
    arguments: list[Text] = Field([], max_length=MAX_WORDS, description="arguments of a script")
    kind: Literal["auto", "manim", "script"] = Field("auto", description="auto: a file with scenes is a Manim job")
    name: Annotated[str, Field(max_length=200)] | None = Field(None, description="name of the job")
    inputs: list[Any] | None = Field(
        None, max_length=MAX_INPUTS, description="makes the job a map: it runs once for each of these JSON values"
    )
    max_failed: Annotated[int, Field(ge=0, le=2**31)] | None = Field(
        None, description="end a map when more inputs than this have failed"
    )
    preview: Preview | None = Field(None, description="make a preview of the scenes (images and JSON), and no film")
    webhook: Annotated[str, Field(max_length=2000)] | None = Field(
        None, description="URL that is told when the job ends, instead of that of the token"
    )
    settings: dict[str, Any] = Field(
        {},
        description="settings by their names in renderer.toml; GET /api/v1/settings lists those to change",
    )


class Submission(Run):
    """A job whose files are in the request itself."""

    code: Annotated[str, Field(max_length=MAX_CODE)] | None = Field(None, description="the content of `file`")
    files: dict[str, Annotated[str, Field(max_length=MAX_CODE)]] = Field(
        {}, max_length=MAX_FILES, description="further text files of the project, by path"
    )


class Retry(BaseModel):
    """Settings that replace those of the first attempt."""

    model_config = ConfigDict(extra="forbid")

    settings: dict[str, Any] = Field({}, description="settings to change: a longer timeout, more memory")


class Unit(BaseModel):
    """One scene, or one script run, of a job. Progress is in percent.

    With `from_job` the job itself wrote message, hint and details: the hint is no advice of renderer.
    """

    name: str
    state: JobState
    progress: float | None
    message: str | None
    hint: str | None
    from_job: bool
    details: str | None
    exit_code: int | None
    attempt: int


class WebhookState(BaseModel):
    """How far the message about a job's end is; `error` is why it was not taken so far."""

    delivered: bool
    attempts: int
    error: str | None


class Job(BaseModel):
    """A job. `handle` names it on the command line, `id` in this API."""

    id: str
    handle: str
    backend: str
    name: str
    state: JobState
    reason: str | None
    hint: str | None
    exit_code: int | None
    created: datetime | None
    finished: datetime | None
    notes: list[str]
    units: list[Unit]
    webhook: WebhookState | None


class JobSummary(BaseModel):
    """A job in a list."""

    id: str
    handle: str
    backend: str
    name: str
    state: JobState
    progress: float | None
    exit_code: int | None
    created: datetime | None
    finished: datetime | None
    units: int
    ended: int
    failed: int


class JobPage(BaseModel):
    """A part of the list of jobs, newest first. `next` is the `cursor` of the next part.

    `notes` say which backends have not answered, so that their jobs are missing.
    """

    jobs: list[JobSummary]
    next: str | None
    notes: list[str]


class Output(BaseModel):
    """A file that a job made. `url` is its address on this server."""

    path: str
    size: int
    sha256: str
    type: str
    url: str


class PlayTimes(BaseModel):
    """What one play of a scene took. Seconds are those of all its processes, added up."""

    number: int
    start_s: float
    frames: int
    cached: int
    draw_s: float
    encode_s: float


class UnitTimes(BaseModel):
    """What a unit took: `waited_s` from the submit to its start, `took_s` from there to its end.

    `cached` of its `frames` were not drawn but taken from a cache. `why_serial` is why one process drew them, or those
    after some play. `plays` are those that took longest, in jobs of few units.
    """

    name: str
    waited_s: float | None = None
    took_s: float | None = None
    frames: int = 0
    cached: int = 0
    why_serial: str | None = None
    plays: list[PlayTimes] = []


class Outputs(BaseModel):
    """The files that a job made, once it has ended; `note` says what was wrong with some of them.

    `units` are what its units took, as far as these have stored a result.
    """

    outputs: list[Output]
    note: str | None
    units: list[UnitTimes] = []


class Setting(BaseModel):
    """A setting that a caller may change."""

    name: str
    description: str
    default: Any


class Rights(BaseModel):
    """What the caller may do. null stands for no limit."""

    backends: list[str]
    gpus: list[str] | None
    jobs: int | None
    seconds: float | None
    shards: int | None
    bundle_mib: int
    untrusted: bool
    settings: list[Setting]


class ProblemDocument(BaseModel):
    """What went wrong, as RFC 9457 describes it: `detail` in one sentence, `hint` what to do about it.

    `exit_code` is that of the same error on the command line.
    """

    type: str
    title: str
    status: int
    detail: str
    hint: str | None = None
    exit_code: int | None = None
