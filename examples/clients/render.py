"""render.py FILE SCENE: renders a scene with `renderer serve`, and downloads what it makes. Needs `pip install httpx`.

SERVE_URL is the server, SERVE_TOKEN the token, if it has tokens.
"""

import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx


def render(client: httpx.Client, file: Path, scene: str) -> None:
    """Submit the scene, print its log as it comes, and download the outputs. Raises RuntimeError if it failed."""
    run = {"code": file.read_text("utf-8"), "scenes": [scene], "settings": {"quality": "l"}}
    # the same request with the same key makes one job, so that it may be sent again
    answer = client.post("/api/v1/jobs", json=run, headers={"Idempotency-Key": str(uuid.uuid4())})
    job = read(answer)
    for name, data in follow(client, f"/api/v1/jobs/{job['id']}/events"):
        if name == "log":
            print(*(item["text"] for item in json.loads(data)), sep="\n")
    job = read(client.get(f"/api/v1/jobs/{job['id']}"))
    if job["state"] != "succeeded":
        raise RuntimeError(job["reason"] or job["units"][0]["message"])
    for output in read(client.get(f"/api/v1/jobs/{job['id']}/outputs"))["outputs"]:
        path = Path(output["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        with client.stream("GET", output["url"]) as content, path.open("wb") as target:
            for part in content.raise_for_status().iter_bytes():
                target.write(part)
        print(path)


def follow(client: httpx.Client, address: str) -> Iterator[tuple[str, str]]:
    """Yield name and data of the events of a job until it has ended, also if the server is restarted meanwhile."""
    name, last = "", {}
    while name != "end":
        with suppress(httpx.TransportError), client.stream("GET", address, headers=last, timeout=None) as events:  # noqa: S113
            fields = {}
            for line in events.raise_for_status().iter_lines():
                if line:
                    key, _, value = line.partition(": ")
                    fields[key] = value
                elif "event" in fields:
                    name = fields["event"]
                    if "id" in fields:
                        last = {"Last-Event-ID": fields["id"]}
                    yield name, fields["data"]
                    fields = {}
        if name != "end":
            time.sleep(1)


def read(answer: httpx.Response) -> dict:
    """Return the document of an answer. Raises RuntimeError with the sentence and the hint of an error."""
    document = answer.json()
    if answer.is_error:
        raise RuntimeError(f"{document['detail']} ({document['hint']})")
    return document


if __name__ == "__main__":
    token = os.environ.get("SERVE_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    server = os.environ.get("SERVE_URL", "http://localhost:8080")
    with httpx.Client(base_url=server, headers=headers, transport=httpx.HTTPTransport(retries=5)) as http:
        try:
            render(http, Path(sys.argv[1]), sys.argv[2])
        except RuntimeError as error:
            sys.exit(str(error))
