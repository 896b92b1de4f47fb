"""``renderer.map`` in a program."""

from __future__ import annotations

from pathlib import Path

from support.rigs import RIGS

from renderer import JobState

STEPS = """\
import sys, time
from pathlib import Path
folder, number = Path(sys.argv[1]), sys.argv[2]
def note(text): (folder / "steps").open("a").write(f"{text} {number}\\n")
note("begins")
while number == "1" and not (folder / "left").exists(): time.sleep(0.05)
note("ends")
"""


def test_a_loop_that_is_left_leaves_the_job_and_the_rest_of_its_results(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    script = tmp_path / "project" / "steps.py"
    script.write_text(STEPS)
    with RIGS["local"](tmp_path) as rig:
        arguments, into = (str(tmp_path),), tmp_path / "renders"
        mapped = rig.map(script, [0, 1, 2], arguments=arguments, parallelism=1, output=into)
        for result in mapped:
            assert result.index == 0
            break
        assert mapped.job.status().state is JobState.RUNNING
        (tmp_path / "left").touch()
        assert [(result.index, result.state) for result in mapped] == [(n, JobState.SUCCEEDED) for n in (1, 2)]
    steps = (tmp_path / "steps").read_text().splitlines()
    assert steps == [f"{step} {number}" for number in range(3) for step in ("begins", "ends")]
    assert len((into / "results.jsonl").read_text().splitlines()) == 3


def test_results_come_as_inputs_finish(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    script = tmp_path / "project" / "steps.py"
    script.write_text(STEPS)
    with RIGS["local"](tmp_path) as rig:
        mapped = rig.map(script, [1, 0], arguments=(str(tmp_path),), parallelism=2, output=tmp_path, ordered=False)
        assert next(mapped).index == 1
        (tmp_path / "left").touch()
        assert [result.index for result in mapped] == [0]
