"""Who asks: the holder of a token, or anybody on this machine while there are no tokens. And what they may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from backends import BACKENDS
from backends.errors import SpecError
from backends.gpus.request import parse_gpu
from backends.webhooks.sending import Networks, check_url, parse_networks
from renderer import config
from renderer.config import Config
from renderer.serve import tokens
from renderer.serve.problems import RefusedError
from renderer.serve.schemas import Run
from renderer.serve.tokens import ANY_GPU, Token

Asked = TypeVar("Asked", bound=Run)
LOCAL = "local"  # the owner of jobs that are submitted without a token
# settings that reach files of the server or what it does after a job: no list can allow them
NEVER = frozenset({
    "bundle_limit_mib", "cache", "docker.options", "docker.state_dir", "k8s.patch", "k8s.context", "local.state_dir",
    "modal.profile", "modal.state_dir", "output", "output_files", "output_limit", "overwrite", "preview",
    "preview_command", "requirements", "serve.allow", "serve.backends", "serve.tokens", "serve.webhook_networks",
    "untrusted", "untrusted_env", "webhook", "webhook_secret_file",
})  # fmt: skip


@dataclass(frozen=True)
class Caller:
    """Who asks. Without a token it is the user of this machine, who sees all jobs and has no limits."""

    token: Token | None = None

    @property
    def owner(self) -> str:
        """What the caller's jobs are kept under."""
        return self.token.id if self.token else LOCAL

    def check_known(self) -> None:
        """Raise RefusedError if the token was revoked after the request had begun, which may take long."""
        if self.token and tokens.find_by_id(self.token.id) is None:
            raise _make_unknown()


@dataclass(frozen=True)
class Policy:
    """What the server allows, by its own settings: settings that a caller may change, and backends."""

    allow: tuple[str, ...]
    backends: tuple[str, ...]
    webhook_networks: Networks = ()
    tokens: Path | None = None

    @classmethod
    def load(cls) -> Policy:
        """Return the policy of the configuration files. Raises SpecError for a name that cannot be in it."""
        loaded = config.load({})
        options, keys = loaded.settings.serve, {setting.key for setting in loaded}
        for name in options.allow:
            if name not in keys:
                raise SpecError(f"serve.allow names {name!r}, which is no setting", hint="`renderer config` lists them")
            if name in NEVER:
                raise SpecError(f"serve.allow cannot have {name}: it acts on the server itself", hint="leave it out")
        names = options.backends or (loaded.settings.backend,)
        for name in names:
            if name not in BACKENDS:
                raise SpecError(f"serve.backends names {name!r}", hint=f"backends are {', '.join(BACKENDS)}")
        return cls(tuple(sorted(options.allow)), names, parse_networks(options.webhook_networks), options.tokens)

    def choose_webhook(self, caller: Caller, wanted: str | None) -> str | None:
        """Return the URL that is told when a job ends. Raises RefusedError without a token, SpecError for a bad URL."""
        token = caller.token
        url = wanted or (token.webhook if token else None)
        if url is None:
            return None
        if token is None or not token.webhook_secret:
            raise RefusedError(
                403,
                "a webhook needs a token, whose secret signs the messages",
                hint="make a new one: renderer serve token create --name me --webhook URL",
            )
        check_url(url, self.webhook_networks)
        return url

    def with_poster(self, run: Asked) -> Asked:
        """Return the request so that its films have posters, if that is allowed: people and agents see these first."""
        if run.preview or "poster" not in self.allow:
            return run
        return run.model_copy(update={"settings": {"poster": True, **run.settings}})

    def backends_of(self, caller: Caller) -> tuple[str, ...]:
        """Return the backends that the caller may use."""
        chosen = caller.token.backends if caller.token else ()
        return tuple(name for name in self.backends if not chosen or name in chosen)

    def load_settings(self, caller: Caller, given: Mapping[str, Any]) -> Config:
        """Return the settings of a job. Raises RefusedError for what may not be changed, SpecError for bad values."""
        for key in given:
            if key not in self.allow and not (key == "untrusted" and given[key] is True):
                raise RefusedError(
                    403, f"the setting {key!r} cannot be changed here", hint=f"these can: {', '.join(self.allow)}"
                )
        flags = {key: value for key, value in given.items() if value is not None}
        token = caller.token
        if token is None:
            return self._check_backend(caller, config.load(flags, source="argument"))
        flags |= {"bundle_limit_mib": token.bundle_mib} | ({"untrusted": True} if token.untrusted else {})
        loaded = config.load(flags, source="argument")
        limited: dict[str, Any] = {}
        if loaded.settings.gpu is None and ANY_GPU not in token.gpus:  # on some backends it would be any GPU
            limited["gpu"] = "none"
        if loaded.settings.timeout > token.seconds:
            if "timeout" in given:
                raise RefusedError(
                    403, f"this token's jobs may run for {token.seconds:g} s", hint="ask for a shorter timeout"
                )
            limited["timeout"] = token.seconds
        shards = loaded.settings.shards
        if token.shards is not None and shards and (shards == "auto" or shards > token.shards):
            if "shards" in given:
                most = f"at most {token.shards} shard{'s' if token.shards > 1 else ''}"
                raise RefusedError(403, f"a scene of this token's jobs may have {most}", hint="ask for such a number")
            limited["shards"] = token.shards
        if limited:
            loaded = config.load(flags | limited, source="argument")
        _check_gpu(token, loaded.settings.gpu)
        return self._check_backend(caller, loaded)

    def _check_backend(self, caller: Caller, loaded: Config) -> Config:
        allowed = self.backends_of(caller)
        if loaded.settings.backend not in allowed:
            raise RefusedError(
                403,
                f"jobs cannot run on {loaded.settings.backend!r} here",
                hint=f"backends are {', '.join(allowed)}" if allowed else "this token has no backend of the server",
            )
        return loaded


def _check_gpu(token: Token, gpu: str | None) -> None:
    if gpu is None or ANY_GPU in token.gpus:
        return
    allowed = {str(choice.name).rstrip("!") for name in token.gpus for choice in parse_gpu(name).choices}
    for choice in parse_gpu(gpu).choices:
        if choice.name.rstrip("!") not in allowed:
            hint = f"GPUs are {', '.join(sorted(allowed))}" if allowed else "this token's jobs run without a GPU"
            raise RefusedError(403, f"this token's jobs cannot have the GPU {choice.name}", hint=hint)


def check_scope(caller: Caller, *, is_metrics: bool) -> None:
    """Raise RefusedError if the token is for the metrics and the request is not, or the other way round."""
    if caller.token is None or caller.token.metrics == is_metrics:
        return
    if is_metrics:
        raise RefusedError(
            403, "this token cannot read the metrics", hint="make one: renderer serve token create --metrics"
        )
    raise RefusedError(403, "this token can read the metrics, and nothing else", hint="use another token")


def identify(authorization: str | None, cookie: str | None, *, is_open: bool) -> Caller:
    """Return who asks, by the header or the page's cookie. Raises RefusedError.

    ``is_open``: the server was started without tokens, on an address of this machine alone. It closes when the first
    token is made.
    """
    scheme, _, text = (authorization or "").partition(" ")
    text = text.strip() if scheme.lower() == "bearer" else ""
    if authorization is None and cookie:
        text = cookie
    if text:
        if token := tokens.find(text):
            return Caller(token)
        raise _make_unknown()
    if is_open and not tokens.exist():
        return Caller()
    raise RefusedError(401, "a token is needed", hint="send it in the header Authorization: Bearer TOKEN")


def _make_unknown() -> RefusedError:
    return RefusedError(401, "the token is not known or was revoked", hint="ask for one: renderer serve token create")
