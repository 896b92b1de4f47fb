"""The container engines that can build images: docker with buildx, podman, buildah."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backends.errors import BackendError, SpecError
from backends.image.context import DOCKERFILE

ANSWER_TIMEOUT_S = 20


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A program that builds images.

    ``build`` is its command to build. ``probes`` are arguments with which it succeeds if it can build here.
    ``environment`` are arguments with which it prints the environment variables of an image, ``digests`` those for the
    digests by which registries know it. ``writes_digest`` says whether it can write the digest of a push to a file.
    """

    name: str
    build: tuple[str, ...]
    probes: tuple[tuple[str, ...], ...]
    environment: tuple[str, ...]
    digests: tuple[str, ...]
    writes_digest: bool = True

    def build_command(
        self, folder: Path, reference: str, arguments: Mapping[str, str], options: Sequence[str]
    ) -> list[str]:
        """Return the command that builds ``folder`` as ``reference``; ``options`` are passed on unchanged."""
        pairs = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
        return [*self.build, *options, *pairs, "--tag", reference, "--file", str(folder / DOCKERFILE), str(folder)]

    def push_command(self, reference: str, options: Sequence[str], digest_file: Path) -> list[str]:
        """Return the command that pushes the image to its registry, and writes its digest to the file if it can."""
        digest = ["--digestfile", str(digest_file)] if self.writes_digest else []
        return [self.name, "push", *options, *digest, reference]

    def find_digest(self, reference: str) -> str | None:
        """Return the digest of an image, ``sha256:…``; None where the engine does not have the image or its digest."""
        lines = _DIGEST.findall(self._read(*self.digests, reference))
        repository = _repository(reference)
        found = [digest for name, digest in lines if name == repository] or [digest for _, digest in lines]
        return found[0] if found else None

    def size(self, reference: str) -> str:
        """Return the size of an image that the engine has, as the engine prints it."""
        return self._read("images", "--format", "{{.Size}}", reference)

    def variables(self, reference: str) -> dict[str, str]:
        """Return the environment variables of an image that the engine has."""
        lines = self._read(*self.environment, reference).splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def has(self, reference: str) -> bool:
        """Return whether the engine has the image."""
        return _find_error([self.name, *self.environment, reference]) is None

    def find_obstacle(self) -> str | None:
        """Return why this engine cannot build on this machine; None if it can."""
        for probe in self.probes:
            if (reason := _find_error([self.name, *probe])) is not None:
                return f"{self.name}: {reason}"
        return None

    def _read(self, *words: str) -> str:
        done = subprocess.run([self.name, *words], capture_output=True, text=True, check=False, timeout=60)
        return done.stdout.strip()


_DIGEST = re.compile(r"^(?:(\S+)@)?(sha256:[0-9a-f]{64})$", re.MULTILINE)  # an image has one for each of its names
_DIGESTS = ("image", "inspect", "--format", "{{range .RepoDigests}}{{println .}}{{end}}")
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
            digests=_DIGESTS,
            writes_digest=False,
        ),
        Engine(
            name="podman",
            build=("podman", "build", "--layers", "--force-rm"),
            probes=(("info",),),
            environment=_INSPECT,
            digests=_DIGESTS,
        ),
        Engine(
            name="buildah",
            build=("buildah", "build", "--layers", "--force-rm"),
            probes=(("info",),),
            environment=_BUILDAH_INSPECT,
            digests=("inspect", "--type", "image", "--format", "{{.FromImageDigest}}"),
        ),
    )
}


def find_engine(name: str | None = None) -> Engine:
    """Return the engine of that name, or the first one that can build.

    Raises SpecError for an unknown name, and BackendError that says why each engine cannot build.
    """
    if name is not None and name not in ENGINES:
        raise SpecError(f"there is no container engine {name!r}", hint=f"engines: {', '.join(ENGINES)}")
    candidates = [ENGINES[name]] if name else list(ENGINES.values())
    reasons = []
    for engine in candidates:
        reason = engine.find_obstacle()
        if reason is None:
            return engine
        reasons.append(reason)
    raise BackendError(
        f"no container engine can build here ({'; '.join(reasons)})",
        hint="install docker with buildx, podman or buildah, or start the one that is installed",
    )


def pin(reference: str, digest: str) -> str:
    """Return the name of an image by its digest."""
    return f"{_repository(reference)}@{digest}"


def _repository(reference: str) -> str:
    return re.sub(r":[^:/]*$", "", reference.partition("@")[0])


def _find_error(command: list[str]) -> str | None:
    """Run the command, and return why it failed; None if it succeeded."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=ANSWER_TIMEOUT_S)
    except FileNotFoundError:
        return "not installed"
    except subprocess.TimeoutExpired:
        return f"no answer in {ANSWER_TIMEOUT_S} s"
    if done.returncode == 0:
        return None
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[0] if lines else f"exit code {done.returncode}"
