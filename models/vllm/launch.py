"""How vLLM is told to run an engine, and the starting of its process.

The one place where the settings of CPU and CUDA stand side by side, and where vLLM's environment is written.

Each engine lives in a process of its own. On a CPU that process is forked where the system allows it, which is three
times quicker than to spawn it: start engines before threads. An engine that is started again is spawned: by then there
are threads, and connections that a fork would hold open.

The CUDA settings started two engines beside each other on an H200 (tests/bench/gpu); elsewhere they are checked as far
as a CPU allows: vLLM knows them.
"""

import gc
import os
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, cast

import torch
import torch._dynamo.config as dynamo
from prometheus_client import REGISTRY, CollectorRegistry
from vllm import envs
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.platforms import current_platform
from vllm.v1.executor.uniproc_executor import UniProcExecutor

from models.errors import CheckpointError, EngineUnavailableError
from models.vllm.arguments import OVERRIDES, RANKS, lora_rank, parsed
from models.vllm.devices import has_kernels_of_4_bits
from models.vllm.guarded import GuardedLLM
from models.vllm.orphans import forks_end_with_parent
from models.vllm.releases import ON_A_CPU, QUIET, ReasoningConfig, thinking
from models.vllm.settings import ADAPTER, LARGE_BLOCK, SMALL_BLOCK, EngineSettings, Runner
from models.vllm.suspects import Suspects

NO_STRUCTURAL_TAGS = {"VLLM_ENFORCE_STRICT_TOOL_CALLING": "0"}
"""Tool calls are held to JSON schemas, which can be tried beforehand; vLLM's structural tags are xgrammar's alone."""

KERNELS = 64
"""Kernels that oneDNN keeps, at about 0.4 MiB each. It makes one for every shape and size of a batch, and would keep
1,024: an engine grew by 0.4 GiB for hours. Making one again costs less than can be measured."""

WORKER = "models.vllm.cpu_worker.PiecewiseWorker"
STEP_TOKENS, PIECE_TOKENS = 1024, 128
"""Most tokens of a step, and of one prompt in it when there are other requests. Behind 8,000 tokens SmolLM2-135M reads
260 tokens a second on one core: others wait half a second for each of their tokens, and not 20 s for the first."""

_LAUNCHING = threading.Lock()


def engine_args(
    settings: EngineSettings, runner: Runner, device: str, overrides: Mapping[str, Any] | None = None
) -> AsyncEngineArgs:
    """Say in vLLM's words how an engine is run on a device; `overrides` come before what config.json says."""
    arguments = engine_arguments(settings, runner, device, overrides)
    own = {name: value for name, value in settings.arguments.items() if name != OVERRIDES}
    arguments |= parsed(own) | QUIET
    if "reasoning_config" in arguments:
        arguments["reasoning_config"] = ReasoningConfig(**arguments["reasoning_config"])
    if device == "cpu":
        arguments["distributed_executor_backend"] = UniProcExecutor  # the worker in the engine's process
    return AsyncEngineArgs(**arguments)


def engine_arguments(
    settings: EngineSettings, runner: Runner, device: str, overrides: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Say what is the same for an engine and a server, by the names of vLLM's arguments."""
    arguments: dict[str, Any] = {
        "model": str(settings.model),
        "served_model_name": settings.name,
        "runner": runner,
        "hf_overrides": {**settings.arguments.get(OVERRIDES, {}), **(overrides or {})},
        "dtype": settings.dtype,
        "max_model_len": settings.max_model_len,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "enable_prefix_caching": True,
        "use_tqdm_on_load": False,
    }
    if runner == "generate":
        arguments["structured_outputs_config"] = {"backend": "guidance"}  # vLLM keeps to the first that is asked for,
        # and this one bounds what a grammar may cost at every step
        if settings.reasoning_parser:
            arguments["structured_outputs_config"]["reasoning_parser"] = settings.reasoning_parser
            arguments |= thinking(settings.reasoning_parser)
    if device == "cuda":
        arguments["gpu_memory_utilization"] = settings.gpu_memory_share
    else:
        arguments |= {
            "kv_cache_memory_bytes": settings.kv_cache_bytes,  # else a share of all memory: two engines do not fit
            "block_size": block_size(str(settings.arguments.get("kv_cache_dtype"))),
            "worker_cls": WORKER,
            "enable_chunked_prefill": True,
            "max_num_batched_tokens": STEP_TOKENS,
            "long_prefill_token_threshold": min(PIECE_TOKENS, settings.max_model_len or PIECE_TOKENS),
            "enforce_eager": True,  # compiling takes 44 s
            "max_num_seqs": 512,  # with 256 a small model gives a quarter fewer tokens a second, with 1024 no more
            **ON_A_CPU,
        }
    arguments |= {name: value for name, value in settings.arguments.items() if name not in (OVERRIDES, ADAPTER)}
    if settings.adapter is not None:
        arguments |= {"enable_lora": True, "max_loras": 1}
        arguments.setdefault("max_lora_rank", next(rank for rank in RANKS if rank >= lora_rank(settings.adapter)))
    return arguments


def block_size(kv_cache_dtype: str = "auto") -> int:
    """Tokens in a block on this CPU: 32 where kernels (AMX, Arm's, FP8) need them; else 16, by `attention.py`."""
    cpu = torch.cpu.get_capabilities()
    is_small = cpu["architecture"] == "x86_64" and not cpu["amx_tile"] and not kv_cache_dtype.startswith("fp8")
    return SMALL_BLOCK if is_small else LARGE_BLOCK


def require_device(settings: EngineSettings) -> str:
    """Return the device that an engine runs on.

    Raises:
        EngineUnavailableError: The installed vLLM is built for another one, or there are too few.
    """
    device: str = current_platform.device_type
    if settings.device not in ("auto", device):
        raise EngineUnavailableError(f"the installed vLLM is built for {device}, not for {settings.device}")
    if device == "cpu" and settings.tensor_parallel_size > 1:
        raise EngineUnavailableError(f"tensor_parallel_size {settings.tensor_parallel_size} needs as many GPUs")
    return device


def require_kernels(quantisation: str, name: str) -> None:
    """See that vLLM has what it needs on this processor: without it an engine starts, and dies of its first request.

    Args:
        quantisation: As vLLM names it.
        name: Of the model: policy or verifier.

    Raises:
        EngineUnavailableError: It has not.
    """
    if ("awq" in quantisation or "gptq" in quantisation) and not has_kernels_of_4_bits():
        raise EngineUnavailableError(
            f"the {name} is quantised with {quantisation}, which vLLM computes only on processors with AVX-512; "
            "allowed here: a checkpoint that is not quantised, with dtype float32"
        )


def launch(
    settings: EngineSettings,
    runner: Runner,
    overrides: Mapping[str, Any] | None = None,
    *,
    suspects: Suspects,
    fork: bool,
) -> tuple[GuardedLLM, CollectorRegistry]:
    """Start an engine's process, and return when it has loaded the model.

    One at a time: vLLM registers an engine's metrics, `vllm:*`, in the process's own registry, and wipes those of
    others there. They are moved to a registry of their own, which is returned too.

    Args:
        settings: How it is run.
        runner: Whether it generates or pools.
        overrides: Fields that come before those of the checkpoint's config.json.
        suspects: What earlier processes of this engine died of.
        fork: Whether the process may be forked.

    Raises:
        CheckpointError: vLLM cannot serve the model with these settings.
        EngineUnavailableError: The engine did not start.
    """
    device = require_device(settings)
    envs.disable_envs_cache()  # of an engine that was started before
    export(HF_HUB_OFFLINE="1", VLLM_NO_USAGE_STATS="1", DO_NOT_TRACK="1", VLLM_LOGGING_STREAM="ext://sys.stderr")
    export(**NO_STRUCTURAL_TAGS)
    try:
        config = engine_args(settings, runner, device, overrides).create_engine_config()
    except ValueError as error:
        raise CheckpointError(f"{settings.model}: {error}") from error
    if device == "cpu" and config.quant_config is not None:
        require_kernels(config.quant_config.get_name(), settings.name)
    if not config.scheduler_config.enable_chunked_prefill:  # vLLM has no kernels for it: multi-head latent attention
        config.scheduler_config.long_prefill_token_threshold = 0
    is_quantised = config.quant_config is not None  # repacked by several threads, which hang in a fork: libgomp's limit
    is_forked = device == "cpu" and settings.fork and fork and not is_quantised
    export(VLLM_WORKER_MULTIPROC_METHOD="fork" if is_forked else "spawn")  # vLLM has just set it as it likes
    if device == "cpu":  # each thing twice: for a spawned process, and for a forked one, which inherits it
        export(OMP_NUM_THREADS=str(settings.num_threads), TORCHDYNAMO_DISABLE="1")
        export(ONEDNN_PRIMITIVE_CACHE_CAPACITY=str(KERNELS))
        torch.set_num_threads(settings.num_threads)
        dynamo.disable = True  # what vLLM compiles even when it is told not to (logprobs) would need a C++ compiler
    try:
        with (
            _LAUNCHING,
            warnings.catch_warnings(),
            _deaf_to_interrupts(),
            forks_end_with_parent(),
            _frozen_heap() if is_forked else nullcontext(),
        ):
            warnings.simplefilter("ignore")  # of vLLM about its own dependencies, once for each process
            llm, metrics = cast(GuardedLLM, GuardedLLM.from_vllm_config(config)), _take_metrics()
    except RuntimeError as error:
        raise EngineUnavailableError(f"the {settings.name} engine did not start: {error}") from error
    llm.guard(suspects)
    envs.enable_envs_cache()  # else vLLM asks the environment several times for each request: 6 % of the event loop
    return llm, metrics


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Start processes that SIGINT does not reach: a terminal sends it to all, and this one decides when engines end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _frozen_heap() -> Iterator[None]:
    """Fork nothing that garbage is looked for in: vLLM looks five times in a start, and all of it took 0.4 s each."""
    is_frozen = gc.get_freeze_count() > 0
    gc.freeze()
    try:
        yield
    finally:
        if not is_frozen:
            gc.unfreeze()


def export(**variables: str) -> None:
    """Tell vLLM and its processes."""
    os.environ.update(variables)  # noqa: TID251 - vLLM and its processes are told by the environment, and only by it


def _take_metrics() -> CollectorRegistry:
    """Move the metrics of the engine just started out of the process's registry."""
    metrics = CollectorRegistry()
    for collector in list(REGISTRY._collector_to_names):
        if getattr(collector, "_name", "").startswith("vllm:"):
            REGISTRY.unregister(collector)
            metrics.register(collector)
    return metrics
