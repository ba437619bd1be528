"""Runs vLLM engines: starts and stops them, and says in our words what goes wrong.

The one place where the settings of CPU and CUDA stand side by side, and where vLLM's environment is written. Knows
requests of token ids; knows nothing of problems, steps or scores.

Each engine lives in a process of its own. On a CPU that process is forked where the system allows it, which is three
times quicker than to spawn it: start engines before threads.

Not run on a GPU yet. The CUDA settings are checked as far as a CPU allows: vLLM knows them.
"""

import asyncio
import itertools
import os
import sys
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
import torch._dynamo.config as dynamo
from prometheus_client import REGISTRY, CollectorRegistry
from vllm import PoolingParams, PoolingRequestOutput, RequestOutput, SamplingParams
from vllm.config.logging import LoggingConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.exceptions import VLLMError
from vllm.inputs import tokens_input
from vllm.platforms import current_platform
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError
from vllm.v1.executor.uniproc_executor import UniProcExecutor

from models.errors import CheckpointError, ContextOverflowError, EngineUnavailableError

MIB = 1 << 20
STOP_TIMEOUT_S = 5.0
CHECK_TIMEOUT_S = 5.0

Runner = Literal["generate", "pooling"]
Dtype = Literal["auto", "bfloat16", "float16", "float32"]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How an engine is run.

    Attributes:
        model: Directory of the checkpoint.
        name: What metrics and errors call the engine.
        device: "auto" takes the one that the installed vLLM is built for.
        dtype: Of the weights; "auto" takes the checkpoint's.
        max_model_len: Longest prompt and response, in tokens; None takes the checkpoint's.
        kv_cache_bytes: On a CPU: memory for the KV cache.
        num_threads: On a CPU: threads of the engine. Engines whose threads outnumber the cores collapse.
        fork: On a CPU: fork the engine's process, which is quick. Otherwise, and on CUDA, it is spawned.
        gpu_memory_share: On CUDA: of each GPU's memory, weights included, in (0, 1). What policy and verifier take of
            the same GPU must not add up to more than about 0.9.
        tensor_parallel_size: On CUDA: GPUs that share the model.
    """

    model: Path
    name: str
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Dtype = "auto"
    max_model_len: int | None = None
    kv_cache_bytes: int = 512 * MIB
    num_threads: int = 1
    fork: bool = sys.platform == "linux"
    gpu_memory_share: float = 0.45
    tensor_parallel_size: int = 1


def engine_args(
    settings: EngineSettings, runner: Runner, device: str, overrides: Mapping[str, Any] | None = None
) -> AsyncEngineArgs:
    """Say in vLLM's words how an engine is run on a device; `overrides` come before what config.json says."""
    arguments: dict[str, Any] = {
        "model": str(settings.model),
        "served_model_name": settings.name,
        "runner": runner,
        "hf_overrides": dict(overrides or {}),
        "dtype": settings.dtype,
        "max_model_len": settings.max_model_len,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "enable_prefix_caching": True,
        "use_tqdm_on_load": False,
        "logging_config": LoggingConfig(log_level="ERROR"),
    }
    if device == "cuda":
        arguments["gpu_memory_utilization"] = settings.gpu_memory_share
    else:
        arguments |= {
            "kv_cache_memory_bytes": settings.kv_cache_bytes,  # else a share of all memory: two engines do not fit
            "block_size": 32,  # prefixes are cached in whole blocks; the CPU kernels want multiples of 32
            "enable_chunked_prefill": runner == "pooling",  # vLLM 0.32 dies of a seeded prompt read in pieces on a CPU
            "enforce_eager": True,  # compiling takes 44 s
            "distributed_executor_backend": UniProcExecutor,  # the worker in the engine's process: one less to start
        }
    return AsyncEngineArgs(**arguments)


class Engine:
    """A running engine.

    Attributes:
        llm: What vLLM's own request handlers need.
        metrics: The engine's Prometheus metrics, `vllm:*`, apart from every other engine's.
        max_model_len: Longest prompt and response, in tokens.
    """

    def __init__(self, llm: AsyncLLM, name: str, metrics: CollectorRegistry) -> None:
        self.llm = llm
        self.metrics = metrics
        self.max_model_len: int = llm.model_config.max_model_len
        self._name = name
        self._request_ids = map(str, itertools.count())

    @property
    def num_running_requests(self) -> int:
        """Requests that have not ended."""
        return self.llm.get_num_unfinished_requests()

    def require_room(self, num_tokens: int) -> None:
        """See that a prompt and its response fit into the context.

        Raises:
            ContextOverflowError: They do not.
        """
        if num_tokens > self.max_model_len:
            raise ContextOverflowError(num_tokens, self.max_model_len)

    async def check(self) -> None:
        """Return when the engine's process answers.

        Raises:
            EngineUnavailableError: It is dead, or silent for five seconds.
        """
        with self._translated():
            await self.llm.check_health()
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await self.llm.is_sleeping()  # any call that crosses over to the process

    def generate(
        self, token_ids: Sequence[int], params: SamplingParams, count: Callable[[int], None] = lambda _: None
    ) -> AsyncGenerator[RequestOutput, None]:
        """Yield what follows `token_ids` as it comes; closing the generator aborts the request.

        Args:
            token_ids: At least one.
            params: For one response, its output of the kind DELTA.
            count: Is told how many tokens came, also of those that came when nobody waited for them any more.

        Raises:
            EngineUnavailableError: The engine died or refused the request.
        """
        return self._run(token_ids, params, lambda output: count(len(output.outputs[0].token_ids)))

    async def complete(self, token_ids: Sequence[int], params: SamplingParams) -> RequestOutput:
        """Return the only output of a request for one response.

        Raises:
            EngineUnavailableError: The engine died or refused the request.
        """
        return cast(RequestOutput, await self._run_to_end(token_ids, params))

    async def pool(self, token_ids: Sequence[int], params: PoolingParams) -> PoolingRequestOutput:
        """Return what a pooling model makes of `token_ids`.

        Raises:
            EngineUnavailableError: The engine died or refused the request.
        """
        return cast(PoolingRequestOutput, await self._run_to_end(token_ids, params))

    async def _run_to_end(self, token_ids: Sequence[int], params: SamplingParams | PoolingParams) -> Any:
        async with aclosing(self._run(token_ids, params)) as outputs:
            return [output async for output in outputs][-1]

    async def _run(
        self,
        token_ids: Sequence[int],
        params: SamplingParams | PoolingParams,
        on_output: Callable[[Any], None] = lambda _: None,
    ) -> AsyncGenerator[Any, None]:
        """Run a request; vLLM's own generators do not say what came before an abort, and leak one added too late."""
        request_id, queue, is_finished = next(self._request_ids), None, False
        with self._translated():
            try:
                queue = await self.llm.add_request(request_id, tokens_input(list(token_ids)), params)
                while not is_finished:
                    output = queue.get_nowait() or await queue.get()
                    is_finished = output.finished
                    on_output(output)
                    yield output
            finally:
                await self.llm.abort(request_id)
                with suppress(EngineDeadError):
                    if queue is not None and (rest := queue.get_nowait()) and not is_finished:
                        on_output(rest)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except EngineDeadError as error:
            raise EngineUnavailableError(f"the {self._name} engine is dead") from error
        except TimeoutError as error:
            raise EngineUnavailableError(f"the {self._name} engine does not answer") from error
        except (VLLMError, EngineGenerateError) as error:
            raise EngineUnavailableError(f"the {self._name} engine refused the request: {error}") from error


@asynccontextmanager
async def start_engine(
    settings: EngineSettings, runner: Runner, overrides: Mapping[str, Any] | None = None
) -> AsyncIterator[Engine]:
    """Run an engine while the context lasts.

    Args:
        settings: How.
        runner: Whether it generates or pools.
        overrides: Fields that come before those of the checkpoint's config.json.

    Raises:
        CheckpointError: vLLM cannot serve the model with these settings.
        EngineUnavailableError: The engine did not start.
    """
    device = current_platform.device_type
    if settings.device not in ("auto", device):
        raise EngineUnavailableError(f"the installed vLLM is built for {device}, not for {settings.device}")
    if device == "cpu" and settings.tensor_parallel_size > 1:
        raise EngineUnavailableError(f"tensor_parallel_size {settings.tensor_parallel_size} needs as many GPUs")
    _export(HF_HUB_OFFLINE="1", VLLM_NO_USAGE_STATS="1", DO_NOT_TRACK="1", VLLM_LOGGING_STREAM="ext://sys.stderr")
    try:
        config = engine_args(settings, runner, device, overrides).create_engine_config()
    except ValueError as error:
        raise CheckpointError(f"{settings.model}: {error}") from error
    is_forked = device == "cpu" and settings.fork
    _export(VLLM_WORKER_MULTIPROC_METHOD="fork" if is_forked else "spawn")  # vLLM has just set it as it likes
    if device == "cpu":  # each thing twice: for a spawned process, and for a forked one, which inherits it
        _export(OMP_NUM_THREADS=str(settings.num_threads), TORCHDYNAMO_DISABLE="1")
        torch.set_num_threads(settings.num_threads)
        dynamo.disable = True  # what vLLM compiles even when it is told not to (logprobs) would need a C++ compiler
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of vLLM about its own dependencies, once for each process
            llm = AsyncLLM.from_vllm_config(config)
    except RuntimeError as error:
        raise EngineUnavailableError(f"the {settings.name} engine did not start: {error}") from error
    try:
        await llm.get_supported_tasks()  # asked once and kept: a first request to a dead engine would wait for it
        yield Engine(llm, settings.name, _take_metrics())
    finally:
        llm.shutdown(timeout=STOP_TIMEOUT_S)


def _export(**variables: str) -> None:
    os.environ.update(variables)  # noqa: TID251 - vLLM and its processes are told by the environment, and only by it


def _take_metrics() -> CollectorRegistry:
    """Move the metrics of the engine just started out of the process's registry: the next engine would wipe them."""
    metrics = CollectorRegistry()
    for collector in list(REGISTRY._collector_to_names):
        if getattr(collector, "_name", "").startswith("vllm:"):
            REGISTRY.unregister(collector)
            metrics.register(collector)
    return metrics
