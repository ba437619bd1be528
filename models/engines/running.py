"""Where a model runs: in a process of this service, on servers elsewhere, or in replicas of a deployment of Ray's."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from models.engine_client import EngineClient
from models.ray.engine import open_ray_engine
from models.ray.settings import DeploymentSettings
from models.remote.engine import open_remote_engine
from models.remote.settings import RemoteSettings
from models.vllm.settings import EngineSettings, Runner

ModelSettings = EngineSettings | RemoteSettings | DeploymentSettings


def running_engine(
    settings: ModelSettings, runner: Runner, overrides: Mapping[str, Any] | None = None
) -> AbstractAsyncContextManager[EngineClient]:
    """Have a model run while the context lasts.

    Args:
        settings: Where and how.
        runner: Whether it generates or pools; servers elsewhere do what they do.
        overrides: Fields that come before those of the checkpoint's config.json; of an engine here.

    Raises:
        CheckpointError: vLLM cannot serve the model with these settings (raised on entering the context).
        EngineUnavailableError: The engine did not start, or no server answers (raised on entering the context).
    """
    if isinstance(settings, RemoteSettings):
        return open_remote_engine(settings, runner)
    if isinstance(settings, DeploymentSettings):
        return open_ray_engine(settings)
    from models.vllm.engine import start_engine  # vLLM, which a gateway does without

    return start_engine(settings, runner, overrides)
