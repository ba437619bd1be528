"""How vLLM runs an engine. Imports none of it: settings are made and read where it is not installed."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

MIB = 1 << 20
SMALL_BLOCK, LARGE_BLOCK = 16, 32
"""Tokens of a block of the KV cache on a CPU."""

ARCHITECTURE = "WinnowRewardModel"
"""What vLLM calls the reward models of every format with a head (`reward_model.py`)."""

ADAPTER = "lora_modules"
"""Among the arguments: the folder of a LoRA adapter, which is applied to every request."""
ADAPTER_ID = 1
"""What vLLM calls the only adapter of an engine."""

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
        max_prompt_tokens: Longest prompt; None: as long as the context, or as the engine reads in good time.
        kv_cache_bytes: On a CPU: memory for the KV cache.
        num_threads: On a CPU: threads of the engine. Engines whose threads outnumber the cores collapse.
        fork: On a CPU: fork the engine's process, which is quick. Otherwise, and on CUDA, it is spawned.
        gpu_memory_share: On CUDA: of each GPU's memory, weights included, in (0, 1). What policy and verifier take of
            the same GPU must not add up to more than about 0.9.
        tensor_parallel_size: On CUDA: GPUs that share the model.
        arguments: More arguments of vLLM, by vLLM's names, which `arguments.py` has checked.
        max_thoughts: Most tokens of a verifier's thoughts before a verdict, of those that think.
        options: Of the verifier's format; None for one that has none.
        reasoning_parser: vLLM's name for how the model marks its thoughts; None for a model that has none.
        has_weights: The weights are on this machine, and looked at before they are served.
    """

    has_weights: ClassVar[bool] = True
    model: Path
    name: str
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Dtype = "auto"
    max_model_len: int | None = None
    max_prompt_tokens: int | None = None
    kv_cache_bytes: int = 512 * MIB
    num_threads: int = 1
    fork: bool = sys.platform == "linux"
    gpu_memory_share: float = 0.45
    tensor_parallel_size: int = 1
    arguments: Mapping[str, Any] = field(default_factory=dict)
    max_thoughts: int = 2048
    options: object = None
    reasoning_parser: str | None = None

    @property
    def adapter(self) -> Path | None:
        """Folder of the LoRA adapter that is applied to every request."""
        folder = self.arguments.get(ADAPTER)
        return None if folder is None else Path(folder)
