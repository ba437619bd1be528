"""The composition root: settings in, models started, the app served.

The models are open before the app exists and closed after it is gone. A checkpoint that cannot be served stops the
start before any engine runs. The processes that compare answers start first, while this one is small.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Literal, NoReturn

import uvicorn
from fastapi import FastAPI
from sse_starlette.sse import AppStatus

from models.checkpoints.checkpoint import check_causal_model, find_model
from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.engine_client import RunningModel
from models.engines.running import ModelSettings
from models.policy.absent import AbsentPolicy
from models.policy.engine_policy import EnginePolicy, open_policy
from models.prm.formats import check_on_policy, open_verifier, read_verifier, verifier_on_policy
from models.ray.engine import RayEngine
from models.ray.handlers import RayHandlers
from models.remote.engine import RemoteEngine
from models.remote.handlers import RemoteHandlers
from models.remote.settings import RemoteSettings
from models.vllm.settings import MIB, EngineSettings
from search.answers.pool import AnswerPool
from search.code.sandbox import Sandbox, SandboxError, SandboxLimits, open_sandbox
from search.expander import Models
from search.strategies import ALONE, by_table
from server.app import create_app
from server.http.access import require_safe_exposure
from server.http.protocol import uvicorn_config
from server.identity import load_calibration
from server.keys import Keyring, read_keys
from server.logs import log_to_stderr
from server.memory import collect_rarely, trimmed
from server.settings import Settings, SettingsError, Urls
from server.solving.planning import VERIFIER_ALONE
from server.solving.siblings import Siblings
from server.solving.state import PlainPolicy
from server.solving.tracing import traces_to
from server.system_prompt import system_prompt_of

logger = logging.getLogger(__name__)


@asynccontextmanager
async def open_models(
    settings: Settings,
    begin: Callable[[str], None] = lambda stage: None,
    *,
    policy_place: ModelSettings | None = None,
    verifier_place: ModelSettings | None = None,
) -> AsyncIterator[tuple[Models, tuple[RunningModel, ...]]]:
    """Start the models and what reads their answers; stop them when the context ends.

    Args:
        settings: Of the models.
        begin: Is told of each stage of the start when it begins, in words.
        policy_place: Where and how the policy runs; None: as the settings say.
        verifier_place: Likewise.

    Raises:
        CheckpointError: A model cannot be served with these settings.
        EngineUnavailableError: An engine did not start.
        SettingsError: This machine cannot give a sandbox that holds.
    """
    if settings.has_policy:
        policy_settings = policy_place or policy_model(settings)
        check_causal_model(policy_settings.model, with_weights=policy_settings.has_weights)
    place = policy_place if settings.has_policy else verifier_place
    prompts = prompts_of(settings, place.model if place else tokenizer_model(settings))
    opening_policy = open_policy(policy_settings, prompts) if settings.has_policy else None
    opening_verifier = None
    if settings.asks_policy:
        check_on_policy(settings.verifier_format, prompts)
    elif settings.has_verifier:
        verifier_settings = verifier_place or verifier_model(settings)
        opening_verifier = open_verifier(settings.verifier_format, verifier_settings, prompts)
    async with AsyncExitStack() as stack:
        begin("starting what reads answers")
        pool = AnswerPool(settings.answer_workers, settings.answer_time_limit_s)
        reader = await stack.enter_async_context(pool)
        tester = await stack.enter_async_context(open_tester(settings))
        policy = verifier = None
        if opening_policy:
            begin(_stage("policy", settings.policy_model, settings.policy_url))
            policy = await stack.enter_async_context(opening_policy)
        if opening_verifier:
            begin(_stage("verifier", settings.verifier_model, settings.verifier_url))
            verifier = await stack.enter_async_context(opening_verifier)
        engines = tuple(model.engine for model in (policy, verifier) if model)
        if settings.asks_policy and policy:
            verifier = verifier_on_policy(settings.verifier_format, policy, settings.verifier_options)
        yield Models(policy or AbsentPolicy(prompts), verifier, reader, tester), engines


def _stage(role: str, model: str, urls: Urls) -> str:
    return f"asking for the {role} at {', '.join(map(str, urls))}" if urls else f"loading the {role} {model}"


def tokenizer_model(settings: Settings) -> Path:
    """Return the checkpoint whose tokenizer cuts responses into steps."""
    if settings.has_policy:
        return policy_model(settings).model
    return verifier_model(settings).model


@asynccontextmanager
async def open_tester(settings: Settings) -> AsyncIterator[Sandbox | None]:
    """Yield what runs programs; None where the settings want nothing to.

    Raises:
        SettingsError: This machine cannot give a sandbox that holds.
    """
    if settings.sandbox == "none":
        yield None
        return
    limits = SandboxLimits(settings.tests_timeout_s, settings.tests_memory_mib * MIB)
    async with AsyncExitStack() as stack:
        try:
            sandbox = await stack.enter_async_context(open_sandbox(limits, settings.tests_workers))
        except SandboxError as error:
            raise SettingsError(f"sandbox: {error}") from error
        yield sandbox


def prompts_of(settings: Settings, policy: Path) -> PromptBuilder:
    """Return what makes the prompts of a policy, or those of a verifier that is alone.

    Raises:
        CheckpointError: Its tokenizer or its chat template cannot be used.
    """
    marks = settings.marks
    tokenizer = ChatTokenizer(policy, marks.texts if marks else ())
    return PromptBuilder(tokenizer, system_prompt_of(settings).text, marks)


def policy_model(settings: Settings) -> EngineSettings | RemoteSettings:
    """Return where and how the policy runs."""
    return _remote(settings, "policy") if settings.policy_url else policy_engine(settings)


def verifier_model(settings: Settings) -> EngineSettings | RemoteSettings:
    """Return where and how the verifier runs."""
    return _remote(settings, "verifier") if settings.verifier_url else verifier_engine(settings)


def policy_engine(settings: Settings) -> EngineSettings:
    """Return how the policy's engine runs on this machine."""
    engine = _engine(settings, "policy", find_model(settings.policy_model))
    return replace(engine, reasoning_parser=settings.plain_parser)


def verifier_engine(settings: Settings) -> EngineSettings:
    """Return how the verifier's engine runs on this machine; a checker has a name instead of a folder."""
    name = settings.verifier_model
    return _engine(settings, "verifier", Path(name) if settings.verifier_format == "checker" else find_model(name))


def _remote(settings: Settings, name: Literal["policy", "verifier"]) -> RemoteSettings:
    key = settings.engine_api_key
    urls: Urls = getattr(settings, f"{name}_url")
    return RemoteSettings(
        model=find_model(getattr(settings, f"{name}_model"), with_weights=False),
        name=name,
        urls=tuple(map(str, urls or ())),
        api_key=key.get_secret_value() if key else None,
        routing=settings.routing,
        max_model_len=getattr(settings, f"{name}_context"),
        max_prompt_tokens=settings.max_prompt_tokens if name == "policy" else None,
        silence_s=settings.engine_silence_s,
        max_thoughts=settings.verifier_max_thoughts,
        options=settings.verifier_options,
    )


def _engine(settings: Settings, name: Literal["policy", "verifier"], model: Path) -> EngineSettings:
    arguments = settings.engine_args(name)
    if arguments:
        from models.vllm.arguments import check_arguments  # vLLM, which a gateway does without

        check_arguments(arguments, f"{name}_engine_args")
    return EngineSettings(
        model=model,
        name=name,
        device=settings.device,
        dtype=settings.dtype,
        max_model_len=getattr(settings, f"{name}_context"),
        max_prompt_tokens=settings.max_prompt_tokens if name == "policy" else None,
        kv_cache_bytes=getattr(settings, f"{name}_kv_cache_mib") * MIB,
        num_threads=getattr(settings, f"{name}_threads"),
        gpu_memory_share=getattr(settings, f"{name}_memory"),
        tensor_parallel_size=arguments.pop("tensor_parallel_size", settings.tensor_parallel_size),
        arguments=arguments,
        max_thoughts=settings.verifier_max_thoughts,
        options=settings.verifier_options,
    )


def become_engine(settings: Settings, which: Literal["policy", "verifier"]) -> NoReturn:
    """Turn this process into vLLM's server of one of the models.

    Raises:
        CheckpointError: The model cannot be served with these settings.
        EngineUnavailableError: The installed vLLM cannot run it here.
    """
    from models.vllm.server import ServerSettings, become_server  # vLLM, which a gateway does without

    prompts = prompts_of(settings, find_model(settings.tokenizer_model, with_weights=which == "policy"))
    key = settings.engine_api_key
    engine = policy_engine(settings) if which == "policy" else verifier_engine(settings)
    server = ServerSettings(engine, settings.host, settings.port, key.get_secret_value() if key else None)
    if which == "policy":
        check_causal_model(engine.model)
        become_server(server, "generate")
    served = read_verifier(settings.verifier_format, engine, prompts)
    become_server(server, served.runner, served.overrides)


def plain_policy(settings: Settings, models: Models) -> PlainPolicy:
    """Return the policy for OpenAI's clients that ask for no search."""
    assert isinstance(models.policy, EnginePolicy)  # noqa: S101 - `open_models` makes it so
    engine, tokenizer = models.policy.engine, models.policy.prompts.tokenizer
    if isinstance(engine, RemoteEngine):
        return RemoteHandlers(engine, tokenizer, settings.policy_name)
    if isinstance(engine, RayEngine):
        return RayHandlers(engine, settings.policy_name)
    from models.vllm.handlers import OpenAIHandlers  # vLLM, which a gateway does without

    return OpenAIHandlers(engine, tokenizer, settings.policy_name, settings.tool_call_parser, settings.plain_parser)


async def serve(
    settings: Settings,
    sockets: list[socket.socket],
    siblings: Siblings | None = None,
    on_listening: Callable[[], None] = lambda: None,
) -> None:
    """Serve until a signal says stop: finish the requests in flight, then close the models; a second does not wait.

    Args:
        settings: Of the service.
        sockets: That listen.
        siblings: The processes that serve with this one; None where it is alone.
        on_listening: Called once requests are answered.

    Raises:
        SettingsError: The keys cannot be used, or there are none and the address is public.
    """
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))  # both cancel this task, also while models start
    log_to_stderr(settings.log_level, settings.log_format)
    keys = read_keys(settings)
    require_safe_exposure(settings, keys)
    async with open_app(settings, keys, siblings=siblings) as app:
        on_listening()
        async with siblings.telling(app.state.winnow.metrics.exposition) if siblings else nullcontext():
            await _listen(settings, app, sockets)


@asynccontextmanager
async def open_app(
    settings: Settings,
    keys: Keyring,
    *,
    siblings: Siblings | None = None,
    policy_place: ModelSettings | None = None,
    verifier_place: ModelSettings | None = None,
) -> AsyncIterator[FastAPI]:
    """Start the models and yield the app around them; stop them when the context ends.

    Args:
        settings: Of the service.
        keys: Accepted keys.
        siblings: The processes that serve with this one; None where it is alone.
        policy_place: Where and how the policy runs; None: as the settings say.
        verifier_place: Likewise.

    Raises:
        CheckpointError: A model cannot be served with these settings.
        EngineUnavailableError: An engine did not start.
        SettingsError: This machine cannot give a sandbox that holds.
    """
    calibrated = load_calibration(settings)
    _log_start(settings)
    if calibrated.table is None and settings.has_policy:
        for row in by_table():
            stands_in = row.stand_in(settings.has_verifier)
            logger.warning("strategy %s will be %s: %s", row.name, stands_in.name, calibrated.reason)
    opening = open_models(settings, policy_place=policy_place, verifier_place=verifier_place)
    async with opening as (models, engines):
        with traces_to(settings.otlp_endpoint) as tracer:
            plain = plain_policy(settings, models) if settings.has_policy else None
            app = create_app(
                models,
                engines,
                settings,
                keys,
                plain=plain,
                tracer=tracer,
                calibrated=calibrated,
                siblings=siblings,
            )
            logger.info("%s", app.state.winnow.lengths.capacity)
            try:
                yield app
            finally:
                if plain:
                    await plain.stop()


def _log_start(settings: Settings) -> None:
    if not settings.has_policy:
        logger.warning("starting %s alone: %s", settings.verifier_model, VERIFIER_ALONE)
    elif settings.asks_policy:
        logger.info("starting %s; verifier_format %s asks it as well", settings.policy_model, settings.verifier_format)
    elif settings.has_verifier:
        logger.info("starting %s and %s", settings.policy_model, settings.verifier_model)
    else:
        logger.warning("starting %s alone: %s", settings.policy_model, ALONE)
    logger.info("system prompt of searches: %s", system_prompt_of(settings))


async def _listen(settings: Settings, app: FastAPI, sockets: list[socket.socket]) -> None:
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]  # a stream ends like any other reply
    collect_rarely()
    logger.info("serving on http://%s:%d", settings.host, sockets[0].getsockname()[1])
    async with trimmed():
        await _Server(uvicorn_config(app, settings)).serve(sockets)
    await asyncio.sleep(0)  # uvicorn repeats the signal that stopped it: be cancelled here, not while closing


class _Server(uvicorn.Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; the second signal, of whatever kind, drops the requests in flight."""
        if self.should_exit:
            self.force_exit = True
        else:
            super().handle_exit(sig, frame)  # keeps the signal, to repeat it when all is done
