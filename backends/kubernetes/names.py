"""Names, labels and paths that the client, the templates and the pod agree on."""

from __future__ import annotations

from pathlib import PurePosixPath

BACKEND = "k8s"
CONTAINER = "render"
APP = "manim-renderer"
LABEL_APP = "app.kubernetes.io/name"
LABEL_JOB = "app.kubernetes.io/instance"
LABEL_COMPONENT = "app.kubernetes.io/component"
LABEL_MANAGED = "app.kubernetes.io/managed-by"
LABEL_NETWORK = "manim-renderer/network"
LABEL_QUEUE = "kueue.x-k8s.io/queue-name"
ANNOTATION_NAME = "manim-renderer/name"
ANNOTATION_DIGEST = "manim-renderer/digest"
ANNOTATION_UNITS = "manim-renderer/units"
ANNOTATION_STORE = "manim-renderer/store"
ANNOTATION_CANCELLED = "manim-renderer/cancelled"
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
GPU_PRODUCT = "nvidia.com/gpu.product"
MANAGER = "renderer"

INPUTS = PurePosixPath("/inputs")  # the ConfigMap
WORK = PurePosixPath("/work")  # scratch disk; outputs in /work/units/INDEX
STORE = PurePosixPath("/store")  # the claim of pvc://
READY = WORK / "ready"  # exists when outputs wait to be collected: the readiness probe
NOT_YET = 75  # the exit code, EX_TEMPFAIL, of a command in the pod that comes too early
UNITS = "units"  # the folder of outputs, in the pod as in a store
HELPER = "files"  # the component of pods that mount a job's claim
TASK_KEY = "task.json"
BUNDLE_KEY = "bundle.tar.zst"
STORE_ENV_PREFIX = "RENDERER_STORE_"  # variables of the store's Secret, hidden from the render


def inputs_name(job: str) -> str:
    """Name the ConfigMap with a job's inputs."""
    return f"{job}-inputs"


def helpers(job: str) -> str:
    """Select a job's helper pods; a client that was killed leaves them."""
    return f"{LABEL_JOB}={job},{LABEL_COMPONENT}={HELPER}"


def labels(job: str, component: str = "render") -> dict[str, str]:
    """Give the labels by which everything of a job is found."""
    return {LABEL_APP: APP, LABEL_JOB: job, LABEL_COMPONENT: component, LABEL_MANAGED: MANAGER}
