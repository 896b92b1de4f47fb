"""Shows what a pod of a namespace reaches over the network, and whether its RuntimeClass is a sandbox.

Nothing is believed that a pod can show about itself alone: its kernel is compared with that of its node. What a probe
has proven is remembered for a while on this machine, so that the next command does not need a pod.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from backends.errors import BackendError
from backends.files import make_private_folder, state_folder
from backends.kubernetes.client.client import Api, JsonObject
from backends.kubernetes.client.errors import ApiError, ForbiddenError
from backends.kubernetes.client.paths import NODES, RUNTIME_CLASSES, core_path
from backends.kubernetes.client.pod_exec import run_command
from backends.kubernetes.pod import network
from backends.kubernetes.transfer.transfer_pod import run_idle_pod
from backends.untrusted import show_line
from backends.untrusted.state_files import read_state, write_state

PROBE_TIMEOUT_S = 180.0  # how long a node may take to pull the image
PROBE_BYTES = 4096  # of the probe's answer
CLOSE_TIMEOUT_S = 15.0  # how long a network plugin may take to apply the policies to a new pod
MEMORY_S = 3600.0  # how long a proof counts: a cluster's network is not changed every day
# The program comes on stdin: words of the command are in the address, whose length proxies of an API server limit.
RUN_PROGRAM = 'head -c "$0" | exec "$(command -v python3 || command -v python)" -I - "$1"'


@dataclass(frozen=True)
class Evidence:
    """What a pod showed: its kernel, that of its node if it may be seen, and what it reached over the network.

    ``age_s`` is how long ago that was.
    """

    kernel: str
    node_kernel: str | None
    reached: str
    age_s: float = 0.0

    @property
    def is_isolated(self) -> bool:
        """Return whether the pod reached nothing, and had another kernel than its node."""
        return not self.reached and self.node_kernel is not None and self.kernel != self.node_kernel


def collect_evidence(api: Api, namespace: str, owner: str, values: Mapping[str, object]) -> Evidence:
    """Return what a pod with the ``values`` of k8s/helper.yaml.j2 shows. Raises ApiError, BackendError.

    No pod is started where one has shown within the last hour that it is isolated, under the same policies. Where there
    are policies, they have some seconds to be applied to the pod.
    """
    memory = _Memory(api, namespace, values)
    if known := memory.recall():
        return known
    with run_idle_pod(api, namespace, owner, values, PROBE_TIMEOUT_S) as name:
        shown = api.get(core_path(namespace, "pods", name))
        node = _read_node(api, shown["spec"]["nodeName"])
        hosts, ports = _list_targets(shown, node)
        answer = _run_probe(api, namespace, name, hosts, ports, CLOSE_TIMEOUT_S if memory.has_policies else 0.0)
    evidence = Evidence(
        kernel=show_line(str(answer["kernel"])),
        node_kernel=node["nodeInfo"]["kernelVersion"] if node else None,
        reached=show_line(", ".join(map(str, answer.get("reached") or []))),
    )
    memory.keep(evidence)
    return evidence


def was_reached(api: Api, namespace: str) -> str:
    """Return what a pod of the namespace reached when it was last probed; nothing if it never was."""
    try:
        found = json.loads(read_state(_reached_file(api, namespace)))
    except (OSError, ValueError):
        return ""
    return show_line(str(found))


class _Memory:
    """A file in the state folder for what was proven of the same pod under the same policies and RuntimeClass."""

    def __init__(self, api: Api, namespace: str, values: Mapping[str, object]) -> None:
        self._reached = _reached_file(api, namespace)
        self._file: Path | None = None
        self.has_policies = False
        with contextlib.suppress(ApiError):  # what may not be read can change unseen: then nothing is remembered
            known = [_identify(item) for item in api.list_items(policies_path(namespace))]
            self.has_policies = bool(known)
            if values.get("runtime_class"):
                known.append(_identify(api.get(f"{RUNTIME_CLASSES}/{values['runtime_class']}")))
            pod = [values.get(key) or None for key in ("image", "runtime_class", "node_selector")]
            content = json.dumps([api.server, namespace, sorted(known), pod], sort_keys=True)
            self._file = _folder() / f"{hashlib.sha256(content.encode()).hexdigest()}.json"

    def recall(self) -> Evidence | None:
        try:
            found = json.loads(read_state(self._file)) if self._file else None
            age = time.time() - self._file.stat().st_mtime if self._file else 0.0
            known = Evidence(str(found["kernel"]), str(found["node_kernel"]), "", age) if found else None
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return known if known and known.is_isolated and 0 <= age < MEMORY_S else None

    def keep(self, evidence: Evidence) -> None:
        with contextlib.suppress(OSError):
            make_private_folder(_folder())
            _write(self._reached, evidence.reached)
            if self._file and evidence.is_isolated:
                _write(self._file, asdict(evidence))


def policies_path(namespace: str) -> str:
    """Return the path of the NetworkPolicies of a namespace."""
    return f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"


def _folder() -> Path:
    return state_folder("probes")


def _reached_file(api: Api, namespace: str) -> Path:
    return _folder() / f"reached-{hashlib.sha256(f'{api.server} {namespace}'.encode()).hexdigest()}.json"


def _write(path: Path, content: object) -> None:
    write_state(path, json.dumps(content).encode())


def _identify(item: JsonObject) -> str:
    return f"{item['metadata']['uid']} {item['metadata']['resourceVersion']}"


def _read_node(api: Api, name: str) -> JsonObject:
    """Return the status of a node; an empty one where nodes may not be listed, which the set-up allows."""
    try:
        found: JsonObject = next(api.list_items(NODES, fieldSelector=f"metadata.name={name}"))["status"]
    except ForbiddenError:
        return {}
    return found


def _list_targets(pod: JsonObject, node: JsonObject) -> tuple[list[str], list[int]]:
    """Return the addresses of the pod's node, and ports of it that answer in any case if they can be reached."""
    kubelet = node.get("daemonEndpoints", {}).get("kubeletEndpoint", {}).get("Port") or network.KUBELET_PORT
    status = pod["status"]
    hosts = [str(each["ip"]) for each in status.get("hostIPs") or [{"ip": status["hostIP"]}]]
    return hosts, sorted({kubelet, *network.HOST_PORTS})


def _run_probe(api: Api, namespace: str, pod: str, *arguments: object) -> JsonObject:
    """Run backends/kubernetes/pod/network.py in a pod, and return what it prints."""
    answer = bytearray()
    program = Path(str(network.__file__))
    command = ["sh", "-c", RUN_PROGRAM, str(program.stat().st_size), json.dumps(arguments)]
    run_command(api, namespace, pod, command, source=program, output=lambda piece: answer.extend(piece[:PROBE_BYTES]))
    try:
        content = json.loads(bytes(answer))
    except ValueError:
        content = None
    if not isinstance(content, dict) or not content.get("kernel"):
        raise BackendError("its answer is damaged", hint="use an image with Python")
    return content
