"""A map on every backend: inputs as arguments and JSON, results in order, failures run again alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.rigs.base import Rig

import renderer
from backends.exit_codes import ExitCode
from renderer import JobState

SQUARES = """\
import json, os, sys
from pathlib import Path
value = json.loads(Path(os.environ["RENDERER_INPUT"]).read_text("utf-8"))
if value["x"] == FAILS:
    sys.exit(3)
Path("out.txt").write_text(f"{sys.argv[1:]} {value['x'] ** 2}")
"""
INPUTS = [{"x": 0, "name": "Ä b"}, {"x": 1, "flag": True}, {"x": 2, "name": "two"}]


def read_rows(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_text("utf-8").splitlines()]


def test_a_map_and_the_retry_of_what_failed(rig: Rig, project: Path, tmp_path: Path) -> None:
    script, into = project / "squares.py", tmp_path / "my renders"
    script.write_text(SQUARES.replace("FAILS", "2"))
    mapped = rig.map(script, INPUTS, output=into)
    results = list(mapped)
    assert [(result.index, result.name, result.input) for result in results] == [
        (0, "Ä b", INPUTS[0]),
        (1, "", INPUTS[1]),
        (2, "two", INPUTS[2]),
    ]
    assert [(result.state, result.exit_code) for result in results] == [
        (JobState.SUCCEEDED, ExitCode.OK),
        (JobState.SUCCEEDED, ExitCode.OK),
        (JobState.FAILED, ExitCode.USER_CODE),
    ]
    assert [path.read_text() for result in results for path in result.files] == [
        "['--x', '0'] 0",
        "['--x', '1', '--flag'] 1",
    ]
    assert [path.relative_to(into).as_posix() for result in results for path in result.files] == [
        "0-Ä b/out.txt",
        "1/out.txt",
    ]
    assert all(result.seconds is not None for result in results)
    assert results[2].message == "2-two ended with exit code 3"
    rows = read_rows(into)
    assert [row["files"] for row in rows] == [["0-Ä b/out.txt"], ["1/out.txt"], []]
    assert {row["job"] for row in rows} == {str(mapped.handle)}

    script.write_text(SQUARES.replace("FAILS", "None"))
    again = rig.open(str(mapped.handle)).retry()
    status = again.wait()
    assert (status.state, len(status.units)) == (JobState.SUCCEEDED, 1)
    again.fetch(into)
    assert (into / "2-two" / "out.txt").read_text() == "['--x', '2'] 4"
    assert [(row["index"], row["state"], row["job"]) for row in read_rows(into)] == [
        (0, "succeeded", str(mapped.handle)),
        (1, "succeeded", str(mapped.handle)),
        (2, "succeeded", str(again.handle)),
    ]
    with pytest.raises(renderer.RendererError, match=r"nothing of .* failed"):
        again.retry()
    for job in (mapped.job, again):
        job.delete()


def test_too_many_failures_end_a_map(rig: Rig, project: Path, tmp_path: Path) -> None:
    script = project / "fails.py"
    script.write_text("raise SystemExit(1)")
    one_at_a_time = {"modal.max_containers": 1} if rig.backend == "modal" else {"k8s.parallelism": 1}
    mapped = rig.map(script, "range:6", output=tmp_path / "renders", max_failed=1, **one_at_a_time)
    results = list(mapped)
    assert {result.state for result in results} == {JobState.FAILED}
    ran = [result for result in results if result.message == f"{result.index} ended with exit code 1"]
    assert 2 <= len(ran) < len(results)
    stopped = [row for row in read_rows(tmp_path / "renders") if "--max-failed" in str(row["message"])]
    assert stopped
    assert {row["exit_code"] for row in stopped} == {ExitCode.CANCELLED}
    mapped.job.delete()
