"""The OpenAPI document of `renderer serve` says what the server does, and a client generated from it works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.commands import BIN
from support.http_server import Server

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_server_does_what_its_description_says(server: Server, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(BIN / "schemathesis", "run", f"{server.url}/api/v1/openapi.json", "--checks", CHECKS),
            *("--max-examples", "3", "--seed", "1", "--phases", "coverage,fuzzing"),
            *("--request-timeout", "300", "--suppress-health-check", "all", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-6000:]


PROGRAM = """
import io, sys, time
from made import Client
from made.api.jobs import delete_job, get_events, get_job, list_jobs, retry_job, submit, submit_upload
from made.api.outputs import get_output, list_outputs
from made.api.server import get_rights
from made.models import Job, JobState, ProblemDocument, Run, Submission, SubmissionSettings, SubmitUploadBody
from made.types import File

client = Client(base_url=sys.argv[1])
assert "timeout" in [setting.name for setting in get_rights.sync(client=client).settings]

job = submit.sync(client=client, body=Submission(file="generated.py", code="open('made.txt', 'w').write('text')"))
while job.state in {JobState.PENDING, JobState.RUNNING}:
    time.sleep(0.2)
    job = get_job.sync(job.id, client=client)
assert job.state is JobState.SUCCEEDED, job
(output,) = list_outputs.sync(job.id, client=client).outputs
assert (output.path, output.size) == ("made.txt", 4)
assert get_output.sync(job.id, output.path, client=client).payload.read() == b"text"
assert get_output.sync(job.id, output.path, client=client, range_="bytes=1-2").payload.read() == b"ex"
assert "event: end" in get_events.sync(job.id, client=client)
assert retry_job.sync(job.id, client=client).detail.startswith("nothing of this job failed")
assert [item.id for item in list_jobs.sync(client=client, limit=1).jobs] == [job.id]
assert [len(list_jobs.sync(client=client, name=name).jobs) for name in ("generated", job.id[:10])] == [1, 0]
assert list_jobs.sync(client=client, backend="cloud").detail == "this server has no backend 'cloud'"

body = SubmitUploadBody(
    request=Run(file="job.py"),
    files=[File(payload=io.BytesIO(b"import helper"), file_name="job.py"),
           File(payload=io.BytesIO(b"print('helped')"), file_name="helper.py")],
)
other = submit_upload.sync(client=client, body=body, idempotency_key="made")
assert isinstance(other, Job), other
assert submit_upload.sync(client=client, body=body, idempotency_key="made").id == other.id

refused = submit.sync(client=client, body=Submission(code="1", settings=SubmissionSettings.from_dict({"output": "/"})))
assert isinstance(refused, ProblemDocument) and refused.exit_code == 2, refused
assert delete_job.sync_detailed(job.id, client=client).status_code == 204
assert get_job.sync(job.id, client=client).status == 404
"""


def test_generated_client_works(server: Server, tmp_path: Path) -> None:
    document = tmp_path / "openapi.json"
    document.write_text(server.call("GET", "/api/v1/openapi.json").text)
    env = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}  # it formats what it writes with ruff

    def run(*command: str | Path) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    generated = run(
        BIN / "openapi-python-client", "generate", "--path", document, "--meta", "none", "--output-path", "made"
    )
    assert "Warning" not in generated, generated
    run(sys.executable, "-c", PROGRAM, server.url)
