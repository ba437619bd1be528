"""Where a model runs: in a process of this service, on servers elsewhere, or in a server that this becomes."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from models.engine_client import EngineClient
from models.remote.engine import open_remote_engine
from models.remote.settings import RemoteSettings
from models.vllm.engine import start_engine
from models.vllm.launch import EngineSettings, Runner
from models.vllm.server import ServerSettings, become_server

ModelSettings = EngineSettings | RemoteSettings | ServerSettings


def running_engine(
    settings: ModelSettings, runner: Runner, overrides: Mapping[str, Any] | None = None
) -> AbstractAsyncContextManager[EngineClient]:
    """Have a model run while the context lasts.

    Args:
        settings: Where and how. Those of a server make this process that server.
        runner: Whether it generates or pools; servers elsewhere do what they do.
        overrides: Fields that come before those of the checkpoint's config.json; of an engine here.

    Raises:
        CheckpointError: vLLM cannot serve the model with these settings (raised on entering the context).
        EngineUnavailableError: The engine did not start, or no server answers (raised on entering the context).
    """
    match settings:
        case RemoteSettings():
            return open_remote_engine(settings)
        case ServerSettings():
            become_server(settings, runner, overrides)
        case EngineSettings():
            return start_engine(settings, runner, overrides)
