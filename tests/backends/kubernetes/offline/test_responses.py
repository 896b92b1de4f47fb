"""Answers of load balancers and nodes that the tests' cluster never gives, from a small server."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from support.rigs.api_server import CUT, JOB, POD, dump, serve

from backends import JobState
from backends.errors import OutputError, TransientError
from backends.kubernetes.client import pod_exec
from backends.kubernetes.objects.pod import parse_pod
from backends.kubernetes.observe.logs import read_log
from backends.kubernetes.transfer.download import download_stream
from backends.models import JobHandle
from backends.untrusted import Limits
from renderer.api import open_job

ENDED = {
    "completedIndexes": "0",
    "conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:01:00Z"}],
}


def test_outputs_are_gone_only_when_their_pod_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answers(path: str) -> tuple[int, bytes]:
        asked.append(path.partition("?")[0].rpartition("/")[2])
        if asked[-1] == "exec":
            return 503, b"no healthy upstream"
        return (200, dump(POD)) if len(asked) < 4 else (404, b'{"reason": "NotFound"}')

    with serve(answers, tmp_path, monkeypatch) as api, pytest.raises(OutputError, match="gone with their pod p"):
        download_stream(api, JobHandle.parse("k8s://c/n/j"), "p", tmp_path / "stream", Limits())
    assert asked == ["exec", "p", "exec", "p"]


def test_a_command_that_ends_with_its_pod_is_no_failure_of_the_command() -> None:
    causes = [{"reason": "ExitCode", "message": "137"}]
    status: Any = {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}
    with pytest.raises(TransientError):
        pod_exec._check_status(status, b"")


def test_a_log_goes_on_where_it_stopped_whatever_zone_the_node_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    log = b"""\
2026-03-29T01:59:59.9+01:00 before
2026-03-29T03:00:00.123456789+02:00 last
2026-03-29T03:00:00.12345679+02:00 next
2026-10-25T02:00:00+01:00 winter
unable to retrieve container logs
"""

    def answers(path: str) -> tuple[int, bytes]:
        asked.append(path)
        return 200, log

    with serve(answers, tmp_path, monkeypatch) as api:
        lines = list(read_log(api, "n", parse_pod(POD)))
        assert [text for _, text in lines] == ["before", "last", "next", "winter", "unable to retrieve container logs"]
        rest = [text for _, text in read_log(api, "n", parse_pod(POD), since=lines[1][0])]
    assert rest == ["next", "winter", "unable to retrieve container logs"]
    assert "sinceTime=2026-03-29T01%3A00%3A00%2B00%3A00" in asked[1]


def test_waiting_lists_the_pods_again_only_when_a_watch_went_astray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each watch ends in another way; ``asked`` are the versions of the watches, and None for each list."""
    pod = {**POD, "metadata": {**POD["metadata"], "resourceVersion": "12", "annotations": {}}}
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "11"}}}
    old = {"type": "ERROR", "object": {"kind": "Status", "code": 410}}
    watches = [
        (200, dump(bookmark)),
        (200, dump({"type": "MODIFIED", "object": pod})),
        (410, b'{"reason": "Expired"}'),
        (200, dump(old)),
        (200, dump(bookmark) + CUT),
        (200, b""),  # meanwhile the Job has ended: how, is read from its pods
    ]
    asked: list[str | None] = []

    def answers(path: str) -> tuple[int, bytes]:
        place, query = path.partition("?")[0].rpartition("/")[2], dict(parse_qsl(path.partition("?")[2]))
        if place == "pods" and "watch" in query:
            asked.append(query["resourceVersion"])
            return watches.pop(0)
        if place == "pods":
            asked.append(None)
            return 200, dump({"metadata": {"resourceVersion": "10"}, "items": [POD]})
        if place == "j":
            return 200, dump(JOB if watches else {**JOB, "status": ENDED})
        return 200, b"" if place == "log" else b'{"metadata": {}}'

    with serve(answers, tmp_path, monkeypatch):
        status = open_job("k8s://one/video/j").wait(600)
    assert status.state is JobState.SUCCEEDED
    assert asked == [None, "10", "11", "12", None, "10", None, "10", None, "10", None]
