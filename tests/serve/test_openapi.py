"""The OpenAPI document of `renderer serve` says what the server does."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.commands import BIN
from support.http_server import Server

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_server_does_what_its_description_says(server: Server, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(BIN / "schemathesis", "run", f"{server.url}/api/v1/openapi.json", "--checks", CHECKS),
            *("--max-examples", "3", "--seed", "1", "--phases", "coverage,fuzzing"),
            *("--request-timeout", "30", "--suppress-health-check", "all", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-6000:]
