"""Builds and pushes an image with a container engine, and finds the cause when that fails."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from backends.errors import BackendError
from renderer.image.build_log import BuildLog, Step
from renderer.image.engines import Engine
from renderer.image.spec import ImageSpec

STOP_TIMEOUT_S = 10
Show = Callable[[str], None]
_CAUSES = (  # in the engine's last lines: pattern, cause, hint
    (
        re.compile(r"the base image has no CUDA"),
        "the base image has no CUDA, which scripts on a GPU need",
        "leave --base out to use NVIDIA's, or pass --cuda none: scenes and NVENC need only the node's driver",
    ),
    (
        re.compile(r"no space left on device", re.IGNORECASE),
        "there is no space left for the image",
        "free space: `docker system prune`, `podman system prune` or `buildah rmi --prune`",
    ),
    (
        re.compile(
            r"manifest unknown|pull access denied|image not known|unable to pull|did not resolve to an alias|"
            r"initializing source|failed to resolve source metadata",
            re.IGNORECASE,
        ),
        "the base image cannot be pulled",
        "check --base, --runtime (podman needs full names: docker.io/library/debian:12) and the network",
    ),
    (
        re.compile(r"unauthorized|authentication required|access to the resource is denied", re.IGNORECASE),
        "the registry requires a login",
        "run `docker login REGISTRY` first (or podman login, buildah login)",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Built:
    """An image that was built.

    ``cuda`` is the version of its CUDA toolkit, None if it has none. ``bases`` are the images that it was built
    from, and their digests where the engine knows them.
    """

    reference: str
    size: str
    cuda: str | None
    bases: Mapping[str, str | None]
    steps: tuple[Step, ...]


def build(spec: ImageSpec, engine: Engine, options: Sequence[str], show: Show, *, verbose: bool = False) -> Built:
    """Build the image. ``show`` is called with a line for each step; with ``verbose``, also with the engine's output.

    Raises BackendError that names the failed step. Before that, the last lines of the output are shown.
    """
    log = BuildLog()
    with spec.staged() as (folder, reference):
        arguments = spec.arguments()
        command = engine.build_command(folder, reference, arguments, options)
        code = _run(command, log, show, verbose=verbose)
    if code:
        raise _failure(f"the build of {reference} failed", code, log, show)
    cuda = engine.variables(reference).get("CUDA_VERSION")
    bases = {base: engine.find_digest(base) for base in (arguments["BASE_IMAGE"], arguments["RUNTIME_IMAGE"])}
    return Built(reference=reference, size=engine.size(reference), cuda=cuda, bases=bases, steps=tuple(log.steps))


def push(reference: str, engine: Engine, options: Sequence[str], show: Show) -> str | None:
    """Push an image, and return the digest that it has in the registry, if the engine says so.

    Raises BackendError if the engine does not have the image, or the registry refuses it.
    """
    if not engine.has(reference):
        raise BackendError(
            f"{engine.name} has no image {reference}",
            hint="build it first: `renderer image build` with the same options",
        )
    log = BuildLog()
    with tempfile.TemporaryDirectory(prefix="renderer-image-") as folder:
        file = Path(folder, "digest")
        code = _run(engine.push_command(reference, options, file), log, show, verbose=True)
        if code:
            raise _failure(f"{reference} could not be pushed", code, log, show)
        return file.read_text().strip() if engine.writes_digest else engine.find_digest(reference)


def _run(command: list[str], log: BuildLog, show: Show, *, verbose: bool) -> int:
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    try:
        for raw in process.stdout or ():
            line = raw.rstrip("\n")
            _show_steps(log.feed(line), show)
            if verbose:
                show(line)
        _show_steps(log.end(), show)
        return process.wait()
    finally:
        _stop(process)


def _show_steps(steps: Iterator[Step], show: Show) -> None:
    for step in steps:
        if step.seconds is None:
            show(str(step))
        elif step.seconds >= 1:
            show(f"    [{step.place}] took {step.seconds:.1f} s")


def _stop(process: subprocess.Popen[str]) -> None:
    """End the engine if it still runs: with SIGTERM, so that it can remove its containers, later with SIGKILL."""
    if process.stdout:
        process.stdout.close()
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
    if process.poll() is None:
        process.kill()
        process.wait()


def _failure(what: str, code: int, log: BuildLog, show: Show) -> BackendError:
    for line in log.tail:
        show(f"  | {line}")
    output = "\n".join(log.tail)
    step = log.failed or log.last
    where = f" at step {step}" if step else ""
    for pattern, cause, hint in _CAUSES:
        if pattern.search(output):
            return BackendError(f"{what}{where}: {cause}", hint=hint)
    return BackendError(f"{what}{where} (exit code {code})", hint="the lines above are the last that it printed")
