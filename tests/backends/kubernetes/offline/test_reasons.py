"""Messages of schedulers, kubelets and container runtimes, and what a user reads instead."""

from __future__ import annotations

from typing import Any

import pytest

from backends.image.start_failures import explain_only_line
from backends.kubernetes.objects.pod import Waiting
from backends.kubernetes.observe import diagnosis
from backends.kubernetes.observe.scheduling import Wanted, explain_unschedulable, parse_nodes, parse_wanted

GPU = "nvidia.com/gpu"
ANY, T4 = Wanted(GPU, 1), Wanted(GPU, 1, frozenset({"Tesla-T4", "Tesla-T4-SHARED"}))
H100 = Wanted(GPU, 1, frozenset({"NVIDIA-H100-80GB-HBM3"}))


def node(product: str = "", count: int = 0, taint: str = "", effect: str = "NoSchedule") -> dict[str, Any]:
    return {
        "metadata": {"labels": {"nvidia.com/gpu.product": product} if product else {}},
        "spec": {"taints": [{"key": taint, "effect": effect}] if taint else []},
        "status": {"allocatable": {"cpu": "8", "memory": "4194304Ki", **({GPU: str(count)} if product else {})}},
    }


INSUFFICIENT, AFFINITY = "1 Insufficient nvidia.com/gpu", "1 node(s) didn't match Pod's node affinity/selector"
TAINT, CORDON = "1 node(s) had untolerated taint {team: other}", "1 node(s) were unschedulable"
CONTROL = "1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }"
CPU, FREE = node(), node("Tesla-T4", 2)


@pytest.mark.parametrize(
    ("wanted", "nodes", "groups", "message", "hint"),
    [
        (ANY, [CPU, FREE], [INSUFFICIENT, INSUFFICIENT], "all GPUs are in use", "when one is free"),
        (ANY, [CPU, node("Tesla-T4", 2, "team")], [INSUFFICIENT, TAINT], "does not tolerate (team)", "--patch"),
        (T4, [CPU, node("Tesla-T4", 2, "team")], [AFFINITY, TAINT], "does not tolerate (team)", "--patch"),
        (T4, [FREE, node("Tesla-T4", 2, "team")], [INSUFFICIENT, TAINT], "all GPUs are in use", "is free"),
        (H100, [FREE, node("NVIDIA-L4", 1, "team")], [AFFINITY, TAINT], "the nodes have no H100: ", "--gpu"),
        (ANY, [FREE, node(taint="team")], [INSUFFICIENT, CONTROL], "all GPUs are in use", "is free"),
        (
            ANY,
            [node("Tesla-T4", 2, "node.kubernetes.io/unschedulable")],
            [CORDON],
            "with such a GPU is cordoned",
            "uncordon",
        ),
        (ANY, [CPU], [INSUFFICIENT], "the nodes have no GPU: ", "device plugin"),
        (ANY, [node("Tesla-T4", 0)], [INSUFFICIENT], "the nodes have no GPU: ", "device plugin"),
        (Wanted(GPU, 8, T4.products), [FREE], [INSUFFICIENT], "no single node has 8 T4: ", "fewer"),
        (
            Wanted("nvidia.com/mig-1g.5gb", 1),
            [FREE],
            ["1 Insufficient nvidia.com/mig-1g.5gb"],
            "the nodes have no mig-1g",
            "",
        ),
        (H100, None, [AFFINITY], "the nodes have no H100: ", "--gpu"),
        (ANY, None, [INSUFFICIENT, TAINT], "or its taint keeps the pod off", "--patch"),
        (ANY, None, [INSUFFICIENT, CONTROL], "all GPUs are in use", "is free"),
        (Wanted(), [FREE], ["1 Insufficient memory"], "no node has enough free resources", "--memory"),
        (Wanted(sizes={"cpu": 8}), [CPU], ["1 Insufficient cpu"], "no node has enough free resources", "--cpu"),
        (Wanted(sizes={"cpu": 8.5}), [CPU], ["1 Insufficient cpu"], "asks for 8.5, the largest has 8: ", "less: --cpu"),
        (
            Wanted(GPU, 1, T4.products, {"memory": 5e9}),
            [FREE, node("NVIDIA-L4", 1)],
            ["1 Insufficient memory", AFFINITY],
            "so much memory: the pod asks for 4.7Gi, the largest has 4.0Gi: ",
            "--memory",
        ),
        (Wanted(sizes={"cpu": 9}), None, ["1 Insufficient cpu"], "no node has enough free resources", "--cpu"),
        (Wanted(), [FREE], [TAINT], "a taint that the pod does not tolerate", "--patch"),
    ],
)
def test_the_group_of_nodes_decides_that_the_user_can_mend(
    wanted: Wanted, nodes: list[dict[str, Any]] | None, groups: list[str], message: str, hint: str
) -> None:
    text = f"0/2 nodes are available: {', '.join(groups)}. no new claims to deallocate, preemption: 0/2 nodes."
    found = explain_unschedulable(text, wanted, None if nodes is None else parse_nodes(nodes))
    assert message in found.message
    assert hint in str(found.hint)
    assert f"{', '.join(groups)}." in found.message  # the scheduler's own words
    assert "preemption" not in found.message
    assert "claims" not in found.message


def test_what_a_pod_asks_for_is_read_from_its_specification() -> None:
    products = ["Tesla-T4", "Odd", "Odd-SHARED"]
    term = {"matchExpressions": [{"key": "nvidia.com/gpu.product", "operator": "In", "values": products}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    requests = {"cpu": "500m", "memory": "1.5Gi", "ephemeral-storage": "1e9"}
    container = {"resources": {"limits": {"cpu": "1", GPU: 2}, "requests": requests}}
    sidecar = {"restartPolicy": "Always", "resources": {"requests": {"cpu": "50m", "memory": "512Mi"}}}
    pod = {"containers": [container], "initContainers": [{}, sidecar], "affinity": {"nodeAffinity": required}}
    found = parse_wanted(pod)
    assert (found.resource, found.count, str(found)) == (GPU, 2, "T4 or Odd")
    assert found.sizes == {"cpu": 0.55, "memory": 2.0**31, "ephemeral-storage": 1e9}
    assert parse_wanted({"containers": [{}]}) == Wanted()


PREFIX = 'failed to pull and unpack image "docker.io/library/x:1": failed to resolve reference: '


@pytest.mark.parametrize(
    ("text", "message", "hint", "final"),
    [
        (
            "unexpected status code: 429 Too Many Requests - toomanyrequests: You have reached your pull rate limit.",
            "the registry limits how often",
            "--image-pull-secret",
            False,
        ),
        (
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "certificate",
            "ca =",
            False,
        ),
        ("http: server gave HTTP response to HTTPS client", "does not speak HTTPS", "server =", False),
        ("proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: connection refused", "proxy", "HTTPS_PROXY", False),
        ("write /var/lib/containerd/x: no space left on device", "disk is full", "--node-selector", False),
        ("no match for platform in manifest: not found", "another kind of processor", "kubernetes.io/arch", True),
        (
            "pull access denied, repository does not exist or may require authorization",
            "cannot be pulled",
            "Secret",
            True,
        ),
        ("docker.io/library/x:1: not found", "the image cannot be pulled", "correct --image", True),
        ("dial tcp: lookup registry-1.docker.io: no such host", "cannot reach the registry", "mirror", False),
        ("dial tcp 1.2.3.4:443: i/o timeout", "cannot reach the registry", "HTTPS_PROXY", False),
        ("something new", "tries again", "--image", False),
    ],
)
def test_what_a_kubelet_says_of_a_pull_names_what_mends_it(text: str, message: str, hint: str, final: bool) -> None:
    for reason in ("ErrImagePull", "ImagePullBackOff"):
        found = diagnosis.explain_waiting(Waiting(reason, PREFIX + text))
        assert found
        assert message in found.message
        assert text[:30] in found.message
        assert hint in str(found.hint)
        assert (found.exit_code is not None) == final


def test_a_start_with_the_wrong_architecture_is_told() -> None:
    found = diagnosis.explain_waiting(Waiting("RunContainerError", "exec /bin/sh: exec format error"))
    assert found
    assert "another kind of processor" in found.message


def test_a_log_that_only_quotes_such_a_message_is_the_jobs_own() -> None:
    for text in ("exec /bin/sh: exec format error\nmore", "the scene says: exec /bin/sh: exec format error"):
        assert explain_only_line(text) is None
    assert explain_only_line("exec /bin/sh: exec format error\n") is not None


def test_a_runtime_class_without_its_handler_is_told() -> None:
    text = (
        'failed to create sandbox: rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for "x"'
    )
    found = diagnosis.explain_warning("FailedCreatePodSandBox", f"{text} is configured")
    assert found
    assert "the node does not have the runtime of the RuntimeClass" in found.message
    assert found.exit_code is not None
