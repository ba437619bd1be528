"""vLLM's own server, run as this service would run the engine: what `winnow engine` becomes."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from models.generation import BASE
from models.vllm.arguments import flags as as_flags
from models.vllm.launch import KERNELS, NO_STRUCTURAL_TAGS, engine_arguments, export, require_device
from models.vllm.releases import SERVER
from models.vllm.settings import ADAPTER, EngineSettings, Runner

KEEP_ALIVE = "models.vllm.keep_alive.KeepAlive"
MAX_STOPS = 16
"""Texts of `stop` in a request; vLLM's server takes 4 unless told otherwise."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How a vLLM server of its own runs an engine.

    Attributes:
        engine: How it would run here.
        host: Address that it listens on.
        port: Port that it listens on.
        api_key: What it asks for; None asks for nothing.
    """

    engine: EngineSettings
    host: str = "127.0.0.1"
    port: int = 8000
    api_key: str | None = None


def server_flags(
    settings: ServerSettings, runner: Runner, device: str, overrides: Mapping[str, Any] | None = None
) -> list[str]:
    """Say the same on the command line of vLLM's server."""
    flags = [f"--host={settings.host}", f"--port={settings.port}", "--enable-prompt-tokens-details"]
    arguments = engine_arguments(settings.engine, runner, device, overrides)
    if settings.engine.adapter is not None:  # requests name the adapter, as they would the model
        arguments["served_model_name"] = settings.engine.name + BASE
        arguments[ADAPTER] = {"name": settings.engine.name, "path": str(settings.engine.adapter)}
    if runner == "generate":
        flags.append(f"--middleware={KEEP_ALIVE}")
    flags += as_flags(arguments)
    return flags if device == "cuda" else [*flags, "--distributed-executor-backend=uni"]


def become_server(settings: ServerSettings, runner: Runner, overrides: Mapping[str, Any] | None = None) -> NoReturn:
    """Put vLLM's server in the place of this process: the signals are its own, and so is what it logs.

    Raises:
        EngineUnavailableError: The installed vLLM is built for another device.
    """
    device = require_device(settings.engine)
    variables = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_PLUGINS": "winnow"}
    variables |= NO_STRUCTURAL_TAGS | {"VLLM_MAX_STOP_STRINGS": str(MAX_STOPS)}
    if device == "cpu":
        variables |= {"OMP_NUM_THREADS": str(settings.engine.num_threads), "TORCHDYNAMO_DISABLE": "1"}
        variables["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] = str(KERNELS)
        variables["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # else vLLM has no worker in the engine's process on a CPU
    if settings.api_key:
        variables["VLLM_API_KEY"] = settings.api_key
    export(**variables)
    os.execv(sys.executable, [sys.executable, "-m", SERVER, *server_flags(settings, runner, device, overrides)])
