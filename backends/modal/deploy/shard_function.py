"""The function that renders a scene in shards: it calls ``render`` once for all of them, and then to join their clips.

Modal mounts only this file into the container, so it imports nothing else of this project. No code of the user runs
here: so this function may use Modal's API, which ``render`` may not, and what ``render`` answers is read as bytes, with
bounds. Modal may stop it at any point and run it again with the same input: the calls that it has made are in a file
that jobs can only read, and the next attempt goes on with them.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import modal

if TYPE_CHECKING:
    from modal_proto.api_pb2 import FunctionGetOutputsItem

JOINS = "RENDERER_SHARD_JOINS"
JOIN = "join"  # the mark of the joining unit
WAIT_S = 5.0  # for one answer; then all that are missing are asked for again
COMMIT_TIMEOUT_S = 60.0  # how long after the end of a container its files may take to be on the volume
COMMIT_INTERVAL_S = 1.0
CONCURRENT_REQUESTS = 50
ANSWER_BYTES = 64 * 1024
MAX_TEXT = 1500
MAX_SECONDS, MAX_ATTEMPTS = 10**8, 10**6
CANCELLED = 17  # of backends.exit_codes
RETRY = "renderer: "  # what the text of an exception begins with; the answer follows
LENGTHS = {0x78: 1, 0x79: 2, 0x7A: 4}  # how many bytes hold the length of a CBOR text, by the first byte


class ShardsInput(TypedDict):
    """What submit sends for a scene in shards.

    ``unit`` is the input of ``render`` for one unit, and the others differ from it in their number. ``options`` are
    arguments of ``modal.Function.with_options``, ``secrets`` names of Modal Secrets.
    """

    app: str
    function: str
    shards: int
    calls: str  # the file for the ids of the calls: first that of the shards, then the joining one
    unit: dict[str, Any]
    options: dict[str, Any]
    secrets: list[str]
    inputs_volume: str  # ids; the folder is the job's on both
    outputs_volume: str
    inputs_folder: str
    outputs_folder: str


@dataclass(frozen=True)
class Answer:
    """How one input of ``render`` ended. ``end`` is what the function said; None if its container was lost."""

    status: str
    text: str
    raised: bool
    end: dict[str, Any] | None

    @property
    def has_succeeded(self) -> bool:
        """Whether the unit ended without an error."""
        return self.end is not None and self.end["exit_code"] == 0


def render_shards(job: ShardsInput) -> str:
    """Render the scene, and return as JSON what ``render`` said last, or how its container was lost."""
    calls = _Calls(job)
    try:
        answers = calls.run(0, [_make_unit(job, shard) for shard in range(job["shards"])])
        failed = [answer for answer in answers if not answer.has_succeeded]
        if failed:  # what a shard says tells more than that others did not run after it
            last = min(failed, key=lambda answer: (answer.end or {}).get("exit_code") == CANCELLED)
        else:
            _wait_for_reports(job)
            answers += calls.run(1, [_make_join(job)])
            last = answers[-1]
    except Exception:
        calls.cancel()
        raise
    return json.dumps(_summarize(last, answers))


def _make_unit(job: ShardsInput, shard: int) -> dict[str, Any]:
    unit = job["unit"]
    env = {**unit["env"], JOINS: "0"}
    return {**unit, "unit": shard, "mark": str(shard), "command": [*unit["command"], "--unit", str(shard)], "env": env}


def _make_join(job: ShardsInput) -> dict[str, Any]:
    """Return the input that joins the clips, in the place of the first shard."""
    unit = _make_unit(job, 0)
    return {**unit, "mark": JOIN, "env": {**unit["env"], JOINS: "1"}}


def _summarize(last: Answer, answers: list[Answer]) -> dict[str, Any]:
    """Return the answer for the whole scene, with the time of all containers."""
    ends = [answer.end for answer in answers if answer.end]
    total = {
        "seconds": round(sum(end["seconds"] for end in ends), 3),
        "attempt": max((end["attempt"] for end in ends), default=1),
    }
    if last.end:
        return {**{key: last.end.get(key) for key in ("exit_code", "message", "hint", "details")}, **total}
    return {"status": last.status, "text": last.text[:MAX_TEXT], "raised": last.raised, **total}


class _Calls:
    """The calls of ``render``, of which the ids are kept in a file."""

    def __init__(self, job: ShardsInput) -> None:
        self._job = job
        self._path = Path(job["calls"])
        self._ids: list[str] = []
        with suppress(FileNotFoundError):
            self._ids = json.loads(self._path.read_text())

    def run(self, number: int, inputs: list[dict[str, Any]]) -> list[Answer]:
        """Call the function, unless an earlier attempt has done that; return the answers, up to one that failed."""
        if len(self._ids) <= number:
            self._ids.append(self._spawn(inputs))
            partial = self._path.with_suffix(".new")
            partial.write_text(json.dumps(self._ids))
            partial.replace(self._path)
            volume: Any = modal.Volume.from_id(self._job["inputs_volume"])
            volume.commit()
        call = self._ids[number]
        answers = _wait(call, len(inputs))
        if len(answers) < len(inputs):
            self.cancel()
        return answers

    def cancel(self) -> None:
        """End all containers."""
        for call in self._ids:
            modal.FunctionCall.from_id(call).cancel(terminate_containers=True)

    def _spawn(self, inputs: list[dict[str, Any]]) -> str:
        job, mounts = self._job, self._job["unit"]
        inputs_volume: Any = modal.Volume.from_id(job["inputs_volume"])
        outputs_volume: Any = modal.Volume.from_id(job["outputs_volume"])
        sources = {
            mounts["inputs_mount"]: inputs_volume.with_mount_options(
                read_only=True, sub_path=f"/{job['inputs_folder']}"
            ),
            mounts["outputs_mount"]: outputs_volume.with_mount_options(sub_path=f"/{job['outputs_folder']}"),
        }
        secrets = [modal.Secret.from_name(name) for name in job["secrets"]]
        options = {**job["options"], "volumes": sources, **({"secrets": secrets} if secrets else {})}
        function: Any = modal.Function.from_name(job["app"], job["function"]).with_options(**options)
        call = function.spawn(inputs[0]) if len(inputs) == 1 else function.experimental_spawn_map(inputs)
        return str(call.object_id)


def _wait(call: str, count: int) -> list[Answer]:
    """Return the answers of all inputs, in order; or, when one has failed, of those that have ended."""
    found: dict[int, Answer] = {}
    while len(found) < count and all(answer.has_succeeded for answer in found.values()):
        found |= _fetch_answers(call, [index for index in range(count) if index not in found])
    return [found[index] for index in sorted(found)]


def _fetch_answers(call: str, indexes: list[int]) -> dict[int, Answer]:
    """Return the answers of the inputs that have ended, after waiting for each for some time.

    The client's own ``FunctionCall.get`` would unpickle what a container answers.
    """
    from modal._utils.async_utils import synchronize_api
    from modal_proto.api_pb2 import FunctionGetOutputsRequest

    async def fetch_all(client: Any) -> list[tuple[int, Any]]:  # the client behind modal.Client
        turn = asyncio.Semaphore(CONCURRENT_REQUESTS)

        async def fetch_one(index: int) -> tuple[int, Any]:
            request = FunctionGetOutputsRequest(
                function_call_id=call,
                timeout=WAIT_S,
                last_entry_id="0-0",
                requested_at=time.time(),
                start_idx=index,
                end_idx=index,
            )
            async with turn:
                return index, await client._stub.FunctionGetOutputs(request)  # noqa: SLF001

        return await asyncio.gather(*map(fetch_one, indexes))

    responses = synchronize_api(fetch_all, __name__)(modal.Client.from_env())  # type: ignore[no-untyped-call]  # runs it in the client's own loop
    found = {}
    for index, response in responses:
        for item in response.outputs:
            if item.idx == index:
                found[index] = _read_item(item)
        if index not in found and not response.num_unfinished_inputs:
            raise RuntimeError("Modal has forgotten the call of the shards")
    return found


def _read_item(item: FunctionGetOutputsItem) -> Answer:
    from modal_proto.api_pb2 import DATA_FORMAT_CBOR, GenericResult

    result = item.result
    try:
        status = GenericResult.GenericStatus.Name(result.status).removeprefix("GENERIC_STATUS_")
    except ValueError:  # a status of a newer protocol
        status = str(result.status)
    end = None
    if status == "SUCCESS" and item.data_format == DATA_FORMAT_CBOR:
        end = _read_end(_read_text(result.data))
    elif result.exception.startswith(RETRY):
        end = _read_end(result.exception.removeprefix(RETRY))
    if status == "SUCCESS" and end is None:
        return Answer("FAILURE", "its answer is damaged", raised=False, end=None)
    return Answer(status, result.exception, raised=bool(result.traceback), end=end)


def _read_text(data: bytes) -> str:
    """Return the CBOR text string that the bytes are, and a text that is no JSON for anything else."""
    begin = 1 + LENGTHS.get(data[0] if data else 0, 0)
    return data[begin:].decode("utf-8", "replace") if len(data) <= ANSWER_BYTES else ""


def _read_end(text: str) -> dict[str, Any] | None:
    """Return what ``render`` said; None for what it would not say. The client checks the texts in it."""
    try:
        end = json.loads(text[:ANSWER_BYTES])
        numbers = [end["exit_code"], end["attempt"], end["seconds"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    limits = (255, MAX_ATTEMPTS, MAX_SECONDS)
    is_right = all(
        isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number <= most
        for number, most in zip(numbers, limits, strict=True)
    )
    return end if is_right else None


def _wait_for_reports(job: ShardsInput) -> None:
    """Return when the reports of all shards are on the volume, or do not come any more: then the joining unit draws.

    A container that may not use Modal's API cannot always store its files before it answers. Modal does that when the
    container ends.
    """
    volume = modal.Volume.from_id(job["outputs_volume"])
    until = time.monotonic() + COMMIT_TIMEOUT_S
    wanted = {str(shard) for shard in range(job["shards"])}
    while time.monotonic() < until:
        names = set()
        with suppress(FileNotFoundError, modal.exception.NotFoundError):
            for entry in volume.iterdir(f"{job['outputs_folder']}/shards/reports", recursive=False):
                names.add(entry.path.rpartition("/")[2])
        if wanted <= names:
            return
        time.sleep(COMMIT_INTERVAL_S)
