"""Names, labels and paths that the client, the templates and the pod share."""

from __future__ import annotations

from pathlib import PurePosixPath

from backends.worker_protocol import ARCHIVE

BACKEND = "k8s"
CONTAINER = "render"
PACKAGES_CONTAINER = "packages"  # installs packages before the render, where a store keeps them
APP = "manim-renderer"
LABEL_APP = "app.kubernetes.io/name"
LABEL_JOB = "app.kubernetes.io/instance"
LABEL_COMPONENT = "app.kubernetes.io/component"
LABEL_MANAGED = "app.kubernetes.io/managed-by"
LABEL_NETWORK = "manim-renderer/network"
LABEL_SHELF = "manim-renderer/shelf"  # of pods whose outputs a server downloads and puts into a store
# What `renderer serve` writes on a job: its id there, whose it is, the digest of the request, and whether the message
# about its end was sent.
LABELS_SERVE = (
    "manim-renderer/serve-id",
    "manim-renderer/serve-owner",
    "manim-renderer/serve-digest",
    "manim-renderer/serve-webhook",
)
LABEL_QUEUE = "kueue.x-k8s.io/queue-name"
ANNOTATION_NAME = "manim-renderer/name"
ANNOTATION_DIGEST = "manim-renderer/digest"
ANNOTATION_UNITS = "manim-renderer/units"
ANNOTATION_COUNT = "manim-renderer/unit-count"  # of a job with several units in each pod
ANNOTATION_PER_POD = "manim-renderer/units-per-pod"
ANNOTATION_SHARDS = "manim-renderer/shards"  # how many pods render the one unit
ANNOTATION_STORE = "manim-renderer/store"
ANNOTATION_SHELF = "manim-renderer/shelf"  # a store that the job itself cannot reach: see transfer/shelf.py
ANNOTATION_WEBHOOK = "manim-renderer/webhook"  # the URL of that message, if it is not the one of the owner's token
ANNOTATION_CANCELLED = "manim-renderer/cancelled"
ANNOTATION_INDEX = "batch.kubernetes.io/job-completion-index"
ANNOTATION_FAILURES = "batch.kubernetes.io/job-index-failure-count"
GPU_PRODUCT = "nvidia.com/gpu.product"
MANAGER = "renderer"

INPUTS = PurePosixPath("/inputs")  # the ConfigMap
WORK = PurePosixPath("/work")  # scratch disk; outputs in /work/units/INDEX
STORE = PurePosixPath("/store")  # the PVC of a pvc:// store; the render does not have it
CONTROL = PurePosixPath("/control")  # what the store's container tells the render, which can only read it
CACHE_CLAIM = PurePosixPath("/cache")  # the PVC of a pvc:// cache, in the store's container alone
CACHE_SECRET = PurePosixPath("/cache-key")  # the Secret with the cache's key, there alone
CACHE_KEY = "key"  # the Secret's key
CACHE_SOCKET = CONTROL / "cache"  # where the store's container answers the render
PACKAGES = WORK / "packages"  # the environments with the job's packages
CHUNKS = CONTROL / "chunks"  # the socket of the store in which shards meet
READY = WORK / "ready"  # exists while outputs wait to be downloaded: the readiness probe looks for it
NOT_READY_EXIT_CODE = 75  # EX_TEMPFAIL: a command in the pod was called too early
UNITS = "units"  # the folder of outputs, in the pod and in a store
TRANSFER_COMPONENT = "files"  # the component and the container of transfer pods
TASK_KEY = "task.json"
BUNDLE_KEY = "bundle.tar.gz"
POD_COMMAND = ("sh", str(INPUTS / ARCHIVE), "backends.kubernetes.pod")
TRANSFER_WORKER = PurePosixPath("/worker") / ARCHIVE  # in transfer pods, which do not have the inputs of a job
TRANSFER_COMMAND = ("sh", str(TRANSFER_WORKER), "backends.kubernetes.pod")
JOB_UID = "JOB_UID"  # variable of the store's container
STORE_SECRETS = ("AWS_SECRET_ACCESS_KEY", "GOOGLE_SERVICE_ACCOUNT_KEY")  # variables of --store-secret
NODE_ADDRESSES = "NODE_ADDRESSES"  # variable of untrusted jobs: their pods try whether their node answers
LABEL_JOB_NAME = "batch.kubernetes.io/job-name"  # of each pod of a Job, set by the Job's controller
LABEL_UID = "batch.kubernetes.io/controller-uid"  # set by the Job's controller


def inputs_name(job: str, number: int = 0) -> str:
    """Return the name of a ConfigMap with inputs of a job; the first has the number 0."""
    return f"{job}-inputs-{number}" if number else f"{job}-inputs"


def transfer_pod_selector(job: str) -> str:
    """Return the label selector of a job's transfer pods. It finds those that a killed client has left behind."""
    return f"{LABEL_JOB}={job},{LABEL_COMPONENT}={TRANSFER_COMPONENT}"


def job_labels(job: str, component: str = "render") -> dict[str, str]:
    """Return the labels of everything that belongs to a job."""
    return {LABEL_APP: APP, LABEL_JOB: job, LABEL_COMPONENT: component, LABEL_MANAGED: MANAGER}
