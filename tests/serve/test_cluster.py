"""`renderer serve` in the cluster: what `renderer setup k8s --serve` and the Helm chart install, with two replicas."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import yaml
from support.commands import environment, output, renderer
from support.processes import until
from support.rigs.flaky import flaky
from support.rigs.kubernetes import create_secret, get, kubectl

HELM = Path(__file__).parents[1] / "support" / "cluster" / "helm"
CHART = Path(__file__).parents[2] / "k8s" / "chart"
API_NAME = "kubernetes.default.svc"  # one of the names in the API server's certificate
JOB = """\
import os, pathlib, time
print("begun", flush=True)
time.sleep(3)
pathlib.Path(os.environ["RENDERER_OUTPUT_DIR"], "out.txt").write_text("made")
"""


@dataclass(frozen=True)
class Site:
    """Two namespaces, for jobs and for the server, and two users with a token each."""

    jobs: str
    server: str
    image: str
    env: Mapping[str, str]
    folder: Path
    alice: str
    bob: str

    def setup(self, *options: str) -> str:
        done = renderer("setup", "k8s", "--namespace", self.jobs, *options, cwd=self.folder, env=self.env)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def site(cluster: str, s3: str, tmp_path: Path) -> Iterator[Site]:
    jobs = f"renderer-{secrets.token_hex(4)}"
    server, env = f"{jobs}-serve", environment(tmp_path)
    assert s3.startswith("s3://renders/")

    def token(name: str) -> str:
        made = renderer("serve", "token", "create", "--name", name, "--trusted", "--json", cwd=tmp_path, env=env)
        return str(output(made)["token"])

    found = Site(jobs, server, cluster, env, tmp_path, token("alice"), token("bob"))
    keys = {
        key: os.environ[key] for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION")
    }
    try:
        found.setup("--apply")
        kubectl("create", "namespace", server)
        create_secret(jobs, "s3-keys", **keys)
        folder = tmp_path / "state" / "manim-renderer" / "serve-tokens"
        kubectl("create", "secret", "generic", "renderer-serve-tokens", "-n", server, f"--from-file={folder}")
        small = {"RENDERER_CPU": "0.5", "RENDERER_MEMORY": "2Gi", "RENDERER_K8S_EPHEMERAL_STORAGE": "1Gi"}
        own = {"RENDERER_GPU": "none", "RENDERER_K8S_STORE_SECRET": "s3-keys", "RENDERER_SERVE_ALLOW": "timeout"}
        create_secret(server, "renderer-serve", **keys, **small, **own)
        yield found
    finally:
        kubectl("delete", "namespace", jobs, server, "--wait=false", check=False)


def addresses(namespace: str, count: int) -> dict[str, str]:
    """Return the addresses of the pods that are ready, by name; the cluster of the tests has no Services."""

    def ready() -> dict[str, str]:
        pods = get("pods", "-n", namespace, "-l", "app.kubernetes.io/component=serve")["items"]
        return {
            pod["metadata"]["name"]: f"http://{pod['status']['podIP']}:8080"
            for pod in pods
            if "deletionTimestamp" not in pod["metadata"]
            and {"type": "Ready", "status": "True"}.items()
            <= next((item for item in pod["status"].get("conditions", []) if item["type"] == "Ready"), {}).items()
        }

    found: dict[str, str] = {}

    def all_ready() -> bool:
        found.clear()
        found.update(ready())
        return len(found) == count

    until(all_ready, within=900, describe=lambda: kubectl("describe", "pods", "-n", namespace, check=False))
    return found


def call(method: str, address: str, token: str, **more: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
    return requests.request(method, address, headers=headers, timeout=600, **more)


def submit(address: str, token: str, code: str, key: str) -> requests.Response:
    body = {"code": code, "file": "job.py"}
    return call("POST", f"{address}/api/v1/jobs", token, json=body, headers={"Idempotency-Key": key})


@dataclass(frozen=True)
class ApiServer:
    """How the server's pods reach the API server where the cluster has no Services."""

    aliases: list[dict[str, Any]]
    variables: list[dict[str, str]]


@contextmanager
def api_by_proxy() -> Iterator[ApiServer]:
    """Run a proxy on the node, to which the pods' requests go."""
    if "CLUSTER_PARTS" not in os.environ:
        pytest.skip(
            "the pods reach the API server by a proxy of this test: only on the cluster of tests/support/cluster"
        )
    node = urlsplit(os.environ["AWS_ENDPOINT_URL"]).hostname or ""
    api = yaml.safe_load(kubectl("config", "view", "--raw", "--minify"))["clusters"][0]["cluster"]["server"]
    with flaky(api, [], listen=node) as (proxy, _):
        values = {"KUBERNETES_SERVICE_HOST": API_NAME, "KUBERNETES_SERVICE_PORT": str(urlsplit(proxy).port)}
        yield ApiServer(
            [{"ip": node, "hostnames": [API_NAME]}], [{"name": key, "value": value} for key, value in values.items()]
        )


def test_two_replicas_are_one_server(site: Site) -> None:
    with api_by_proxy() as api:
        objects = list(
            yaml.safe_load_all(site.setup("--serve", "--image", site.image, "--store", "s3://renders/served"))
        )
        pod = next(item for item in objects if item["kind"] == "Deployment")["spec"]["template"]["spec"]
        pod["hostAliases"] = api.aliases
        pod["containers"][0]["env"] += api.variables
        kubectl("apply", "-f", "-", content=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        replicas = addresses(site.server, 2)
        (killed, first), (_, second) = replicas.items()

        # the same request to both at the same moment is one job
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda server: submit(server, site.alice, JOB, "key"), (first, second)))
        assert {answer.status_code for answer in answers} <= {200, 201}, [answer.text for answer in answers]
        (key,) = {answer.json()["id"] for answer in answers}
        (handle,) = {answer.json()["handle"] for answer in answers}
        assert handle.startswith(f"k8s://in-cluster/{site.jobs}/job-")
        other = submit(first, site.alice, "print('single')", "other").json()["id"]
        wrong = submit(second, site.alice, JOB, "other")
        assert (wrong.status_code, wrong.json()["detail"]) == (422, "this Idempotency-Key was used for another request")

        # the second replica knows what the first one took, and whose it is
        assert call("GET", f"{second}/api/v1/jobs/{other}", site.alice).json()["name"] == "job"
        assert call("GET", f"{second}/api/v1/jobs/{other}", site.bob).status_code == 404
        assert call("GET", f"{second}/api/v1/jobs", site.bob).json()["jobs"] == []

        # a replica that is killed takes nothing with it
        kubectl("delete", "pod", killed, "-n", site.server, "--grace-period=0", "--force")
        events = call("GET", f"{second}/api/v1/jobs/{key}/events", site.alice).text
        assert "begun" in events
        assert "event: end" in events
        third = next(url for name, url in addresses(site.server, 2).items() if name not in replicas)
        for server in (second, third):
            listed = call("GET", f"{server}/api/v1/jobs", site.alice).json()["jobs"]
            assert {job["id"] for job in listed} == {key, other}
            assert call("GET", f"{server}/api/v1/jobs/{key}/outputs/out.txt", site.alice).text == "made"
        again = submit(third, site.alice, JOB, "key")
        assert (again.status_code, again.json()["id"], again.json()["state"]) == (200, key, "succeeded")
        assert len(get("jobs", "-n", site.jobs)["items"]) == 2

        refused = call("POST", f"{third}/api/v1/jobs/{key}/retry", site.alice)
        assert refused.json()["detail"] == "the files of this job are not at this replica of the server"
        assert call("DELETE", f"{third}/api/v1/jobs/{key}", site.alice).status_code == 204
        assert call("GET", f"{third}/api/v1/jobs/{key}", site.alice).status_code == 404
        assert len(get("jobs", "-n", site.jobs)["items"]) == 1
        new = submit(second, site.alice, JOB, "key")  # and no replica takes the deleted one for it
        assert (new.status_code, new.json()["id"], new.json()["finished"]) == (201, key, None), new.text

        # nor does a rolling update in the middle of a job
        kubectl("rollout", "restart", "deployment/renderer-serve", "-n", site.server)
        kubectl("rollout", "status", "deployment/renderer-serve", "-n", site.server, "--timeout=600s")
        updated = addresses(site.server, 2).values()
        assert not {second, third} & set(updated)
        for server in updated:
            assert "begun" in call("GET", f"{server}/api/v1/jobs/{key}/events", site.alice).text
            assert call("GET", f"{server}/api/v1/jobs/{key}/outputs/out.txt", site.alice).text == "made"


def test_the_chart_is_linted_installed_and_upgraded(site: Site) -> None:
    if subprocess.run([HELM, "version"], capture_output=True, check=False).returncode:
        pytest.skip("no Helm: tests/support/cluster/helm build makes it")
    values = ["--set", f"image={site.image},store=s3://renders/served,jobsNamespace={site.jobs}"]

    def helm(*arguments: str | Path) -> str:
        done = subprocess.run([HELM, *arguments], capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "0 chart(s) failed" in helm("lint", "--strict", CHART, *values)
    wrong = subprocess.run(
        [HELM, "template", CHART, *values, "--set", "egressPort=9000"], capture_output=True, text=True, check=False
    )
    assert "additional properties 'egressPort' not allowed" in wrong.stderr
    helm("install", "films", CHART, "--namespace", site.server, "--set", "replicas=1", *values)
    (first,) = addresses(site.server, 1).values()
    assert call("GET", f"{first}/api/v1/settings", site.alice).json()["backends"] == ["k8s"]
    assert call("GET", f"{first}/api/v1/settings", "rdr_no").status_code == 401
    with api_by_proxy() as api:
        deployment = get("deployment", "renderer-serve", "-n", site.server)
        container = deployment["spec"]["template"]["spec"]["containers"][0]["name"]
        pod = {"hostAliases": api.aliases, "containers": [{"name": container, "env": api.variables}]}
        patch = json.dumps({"spec": {"template": {"spec": pod}}})
        kubectl("patch", "deployment", "renderer-serve", "-n", site.server, "--patch", patch)
        kubectl("rollout", "status", "deployment/renderer-serve", "-n", site.server, "--timeout=600s")
        (second,) = addresses(site.server, 1).values()
        job = submit(second, site.alice, JOB, "key").json()
        events = call("GET", f"{second}/api/v1/jobs/{job['id']}/events", site.alice).text
        assert "succeeded" in events, events
        assert call("GET", f"{second}/api/v1/jobs/{job['id']}/outputs/out.txt", site.alice).text == "made"
    more = "replicas=2,ingress.host=r.example.com,untrusted.runtimeClass=gvisor"
    helm("upgrade", "films", CHART, "--namespace", site.server, "--set", more, *values)
    assert len(addresses(site.server, 2)) == 2
    (ingress,) = get("ingress", "-n", site.server)["items"]
    assert ingress["spec"]["rules"][0]["host"] == "r.example.com"
    extra = get("configmap", "renderer-serve-untrusted", "-n", site.server)
    assert extra["data"] == {"RENDERER_K8S_RUNTIME_CLASS": "gvisor"}
    assert (
        get("clusterrolebinding", f"renderer-serve-untrusted-{site.server}")["subjects"][0]["name"] == "renderer-serve"
    )
    helm("uninstall", "films", "--namespace", site.server)
    assert get("deployments,services,ingresses", "-n", site.server)["items"] == []
