"""winnow as one application of Ray Serve: a gateway, and a deployment for each model that an engine runs.

Ray starts, watches, scales, replaces and updates the replicas, and knows who gets a request; `deploy/ray/` has its
configuration. Each replica reads the settings itself, from the application's arguments and its own environment, so that
no key stands in what Ray keeps of a deployment.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI
from ray import serve
from ray.serve.config import RequestRouterConfig

from models.checkpoints.checkpoint import check_causal_model, find_model
from models.engines.running import running_engine
from models.prm.formats import FORMATS, read_verifier
from models.ray.replica import EngineReplica
from models.ray.settings import DeploymentSettings
from server.composition import open_app, policy_engine, prompts_of, verifier_engine
from server.http.access import require_safe_exposure
from server.keys import read_keys
from server.logs import log_to_stderr
from server.memory import collect_rarely
from server.settings import Settings, load_settings

ROOT = Path(__file__).parents[1]
MAX_ONGOING = 4096
"""Requests that a replica takes: admission and engines have queues of their own, which know what a request costs."""
ROUTER = "ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"
ANYWHERE = "0.0.0.0"
"""Where Ray's proxies listen is their own setting, so the worst is assumed."""


def build(args: dict[str, Any]) -> Any:
    """Return the application.

    Args:
        args: Settings of winnow by name, and `recipe`, a file below the project's folder or an absolute path.

    Raises:
        SettingsError: A setting is unknown, or keys are missing.
        pydantic.ValidationError: A value is out of range.
    """
    settings = settings_of(args)
    require_safe_exposure(settings.model_copy(update={"host": ANYWHERE}), read_keys(settings))
    router = {"request_router_config": RequestRouterConfig(request_router_class=ROUTER)}
    engines = router if settings.routing == "affinity" else {}
    policy = _deployment(PolicyReplica, "policy", args, **engines) if _has_policy(settings) else None
    verifier = _deployment(VerifierReplica, "verifier", args, **engines) if _has_verifier(settings) else None
    return _deployment(serve.ingress()(Gateway), "gateway", args, policy, verifier)


def _deployment(replica: type, name: str, *args: Any, **options: Any) -> Any:
    return serve.deployment(replica, name=name, max_ongoing_requests=MAX_ONGOING, **options).bind(*args)


def settings_of(args: Mapping[str, Any]) -> Settings:
    """Read the settings as `winnow serve` does, with the application's arguments in the place of its flags."""
    flags = dict(args)
    recipe = flags.pop("recipe", None)
    return load_settings(ROOT / recipe if recipe else None, **flags)


def _has_policy(settings: Settings) -> bool:
    return settings.has_policy and not settings.policy_url


def _has_verifier(settings: Settings) -> bool:
    """Whether replicas are to run a verifier: others run in the gateway, on the policy's engine or elsewhere."""
    is_here = settings.verifier_format not in FORMATS or settings.asks_policy
    return settings.has_verifier and not is_here and not settings.verifier_url


class PolicyReplica(EngineReplica):
    """A replica of the policy: its engine, and vLLM's own handlers of OpenAI's interface.

    Args:
        args: Of the application.
    """

    async def __init__(self, args: Mapping[str, Any]) -> None:  # type: ignore[misc]  # Ray awaits it
        from models.vllm.handlers import OpenAIHandlers  # vLLM, which a gateway does without

        settings = _begin(args)
        engine_settings = policy_engine(settings)
        check_causal_model(engine_settings.model)
        prompts = prompts_of(settings, engine_settings.model)
        self._stack = AsyncExitStack()
        running = running_engine(replace(engine_settings, fork=False), "generate")  # Ray has started threads
        engine = await self._stack.enter_async_context(running)
        parsers = settings.tool_call_parser, settings.plain_parser
        handlers = OpenAIHandlers(engine, prompts.tokenizer, settings.policy_name, *parsers)
        self._stack.push_async_callback(handlers.stop)
        super().__init__(engine, handlers)

    async def __del__(self) -> None:
        """Stop the engine; Ray calls and awaits this when no request is left."""
        await self._stack.aclose()


class VerifierReplica(EngineReplica):
    """A replica of the verifier.

    Args:
        args: Of the application.
    """

    async def __init__(self, args: Mapping[str, Any]) -> None:  # type: ignore[misc]  # Ray awaits it
        settings = _begin(args)
        prompts = prompts_of(settings, find_model(settings.tokenizer_model, with_weights=False))
        engine_settings = replace(verifier_engine(settings), fork=False)  # Ray has started threads
        served = read_verifier(settings.verifier_format, engine_settings, prompts)
        self._stack = AsyncExitStack()
        running = running_engine(engine_settings, served.runner, served.overrides)
        super().__init__(await self._stack.enter_async_context(running))

    async def __del__(self) -> None:
        """Stop the engine; Ray calls and awaits this when no request is left."""
        await self._stack.aclose()


class Gateway:
    """A replica of the gateway: winnow's app, whose engines are other deployments.

    Args:
        args: Of the application.
        policy: Handle of the policy's deployment; None where it runs elsewhere, or there is none.
        verifier: Likewise.
    """

    async def __init__(self, args: Mapping[str, Any], policy: Any, verifier: Any) -> None:  # type: ignore[misc]
        settings = _begin(args)
        places = _place(settings, "policy", policy), _place(settings, "verifier", verifier)
        self._stack = AsyncExitStack()
        opening = open_app(settings, read_keys(settings), policy_place=places[0], verifier_place=places[1])
        self._app = await self._stack.enter_async_context(opening)
        collect_rarely()

    def __serve_build_asgi_app__(self) -> FastAPI:
        return self._app

    async def __del__(self) -> None:
        """Stop what reads answers; Ray calls and awaits this when no request is left."""
        await self._stack.aclose()


def _place(settings: Settings, name: Literal["policy", "verifier"], handle: Any) -> DeploymentSettings | None:
    if handle is None:
        return None
    return DeploymentSettings(
        model=find_model(getattr(settings, f"{name}_model"), with_weights=False),
        name=name,
        handle=handle,
        silence_s=settings.engine_silence_s,
        max_thoughts=settings.verifier_max_thoughts,
        options=settings.verifier_options if name == "verifier" else None,
    )


def _begin(args: Mapping[str, Any]) -> Settings:
    settings = settings_of(args)
    log_to_stderr(settings.log_level, settings.log_format)
    return settings
