"""Runs the engines: builds an image, pushes it, says in words what went wrong."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from backends.errors import BackendError
from renderer.image.engines import Engine
from renderer.image.progress import BuildLog, Step
from renderer.image.spec import ImageSpec

STOP_SECONDS = 10
Show = Callable[[str], None]
_CAUSES = (
    (
        re.compile(r"the base image has no CUDA"),
        "the base image has no CUDA, which scripts on a GPU need",
        "take NVIDIA's, or say that none is wanted (--cuda none): scenes and NVENC need only the node's driver",
    ),
    (
        re.compile(r"no space left on device", re.IGNORECASE),
        "there is no space left for the image",
        "free some: `docker system prune`, `podman system prune` or `buildah rmi --prune`",
    ),
    (
        re.compile(
            r"manifest unknown|pull access denied|image not known|unable to pull|did not resolve to an alias|"
            r"initializing source|failed to resolve source metadata",
            re.IGNORECASE,
        ),
        "a base image cannot be had",
        "check --base, --runtime (podman wants full names: docker.io/library/debian:12) and the way to the registry",
    ),
    (
        re.compile(r"unauthorized|authentication required|access to the resource is denied", re.IGNORECASE),
        "the registry wants a login",
        "run `docker login REGISTRY` (or podman, buildah) first",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Built:
    """An image that is now in the engine's store. ``cuda`` is its toolkit's version, None when it has none."""

    reference: str
    size: str
    cuda: str | None
    steps: tuple[Step, ...]


def build(spec: ImageSpec, engine: Engine, options: Sequence[str], show: Show, *, verbose: bool = False) -> Built:
    """Build the image; ``show`` is given a line for each step, and with ``verbose`` all that the engine prints.

    Raises BackendError with the failing step; its last lines were shown before.
    """
    log = BuildLog()
    with spec.staged() as (folder, reference):
        command = engine.build_command(folder, reference, spec.arguments(), options)
        code = _run(command, log, show, verbose=verbose)
    if code:
        raise _failure(f"the build of {reference} failed", code, log, show)
    cuda = engine.variables(reference).get("CUDA_VERSION")
    return Built(reference=reference, size=engine.size(reference), cuda=cuda, steps=tuple(log.steps))


def push(reference: str, engine: Engine, options: Sequence[str], show: Show) -> None:
    """Send an image to its registry. Raises BackendError when it is not here, or the registry refuses it."""
    if not engine.has(reference):
        raise BackendError(
            f"{engine.name} has no image {reference}", hint="`renderer image build` with the same options makes it"
        )
    log = BuildLog()
    code = _run(engine.push_command(reference, options), log, show, verbose=True)
    if code:
        raise _failure(f"{reference} could not be pushed", code, log, show)


def _run(command: list[str], log: BuildLog, show: Show, *, verbose: bool) -> int:
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    try:
        for raw in process.stdout or ():
            line = raw.rstrip("\n")
            _tell(log.feed(line), show)
            if verbose:
                show(line)
        _tell(log.end(), show)
        return process.wait()
    finally:
        _stop(process)


def _tell(steps: Iterator[Step], show: Show) -> None:
    for step in steps:
        if step.seconds is None:
            show(str(step))
        elif step.seconds >= 1:
            show(f"    [{step.place}] took {step.seconds:.1f} s")


def _stop(process: subprocess.Popen[str]) -> None:
    """End the engine when the command is interrupted: first politely, so that it removes its containers."""
    if process.stdout:
        process.stdout.close()
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    if process.poll() is None:
        process.kill()
        process.wait()


def _failure(what: str, code: int, log: BuildLog, show: Show) -> BackendError:
    for line in log.tail:
        show(f"  | {line}")
    said = "\n".join(log.tail)
    step = log.failed or log.last
    where = f" at step {step}" if step else ""
    for pattern, cause, hint in _CAUSES:
        if pattern.search(said):
            return BackendError(f"{what}{where}: {cause}", hint=hint)
    return BackendError(f"{what}{where} (exit code {code})", hint="the lines above are the last that it printed")
