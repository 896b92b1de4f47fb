"""The programs that build images: docker buildx, podman, buildah. One is chosen that really answers."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backends.errors import BackendError, SpecError
from backends.image.context import DOCKERFILE

ANSWER_SECONDS = 20


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A program, its words for building, and calls that succeed when it can build."""

    name: str
    build: tuple[str, ...]
    probes: tuple[tuple[str, ...], ...]
    environment: tuple[str, ...]

    def build_command(
        self, folder: Path, reference: str, arguments: Mapping[str, str], options: Sequence[str]
    ) -> list[str]:
        """Write the command that builds ``folder`` as ``reference``; ``options`` go to the engine as they are."""
        pairs = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
        return [*self.build, *options, *pairs, "--tag", reference, "--file", str(folder / DOCKERFILE), str(folder)]

    def push_command(self, reference: str, options: Sequence[str]) -> list[str]:
        """Write the command that sends the image to its registry."""
        return [self.name, "push", *options, reference]

    def size(self, reference: str) -> str:
        """Give the size of an image that is here, as the engine writes it."""
        return self._ask("images", "--format", "{{.Size}}", reference)

    def variables(self, reference: str) -> dict[str, str]:
        """Give the environment variables that are set in an image that is here."""
        lines = self._ask(*self.environment, reference).splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def has(self, reference: str) -> bool:
        """Tell whether the image is here."""
        return _answer([self.name, *self.environment, reference]) is None

    def refusal(self) -> str | None:
        """Say why it cannot build here; None when it can."""
        for probe in self.probes:
            if (reason := _answer([self.name, *probe])) is not None:
                return f"{self.name}: {reason}"
        return None

    def _ask(self, *words: str) -> str:
        done = subprocess.run([self.name, *words], capture_output=True, text=True, check=False, timeout=60)
        return done.stdout.strip()


_INSPECT = ("image", "inspect", "--format", "{{range .Config.Env}}{{println .}}{{end}}")
_BUILDAH_INSPECT = ("inspect", "--type", "image", "--format", "{{range .OCIv1.Config.Env}}{{println .}}{{end}}")
ENGINES: Mapping[str, Engine] = {
    engine.name: engine
    for engine in (
        Engine(
            name="docker",
            build=("docker", "buildx", "build", "--load", "--progress=plain"),
            probes=(("buildx", "version"), ("info",)),
            environment=_INSPECT,
        ),
        Engine(
            name="podman",
            build=("podman", "build", "--layers", "--force-rm"),
            probes=(("info",),),
            environment=_INSPECT,
        ),
        Engine(
            name="buildah",
            build=("buildah", "build", "--layers", "--force-rm"),
            probes=(("info",),),
            environment=_BUILDAH_INSPECT,
        ),
    )
}


def find_engine(name: str | None = None) -> Engine:
    """Give the engine of that name, or the first that answers. BackendError says why each one does not."""
    if name is not None and name not in ENGINES:
        raise SpecError(f"there is no container engine {name!r}", hint=f"--engine {', '.join(ENGINES)}")
    candidates = [ENGINES[name]] if name else list(ENGINES.values())
    reasons = []
    for engine in candidates:
        reason = engine.refusal()
        if reason is None:
            return engine
        reasons.append(reason)
    raise BackendError(
        f"no container engine can build here ({'; '.join(reasons)})",
        hint="install docker with buildx, podman or buildah, or start the one that is there",
    )


def _answer(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS)
    except FileNotFoundError:
        return "not installed"
    except subprocess.TimeoutExpired:
        return f"no answer in {ANSWER_SECONDS} s"
    if done.returncode == 0:
        return None
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[0] if lines else f"exit code {done.returncode}"
