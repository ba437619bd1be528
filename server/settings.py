"""Everything that can be set, once: by flag, by environment (`WINNOW_<NAME>`), by recipe, or by default, in this order.

The only place that reads the environment. A recipe is a YAML file with the names below (`deploy/recipes/`).
"""

import os
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "WINNOW_"
DEMO = Path(__file__).parents[1] / "models" / "demo"


class SettingsError(Exception):
    """A setting is unknown or cannot be read; the message says which and where."""


class Settings(BaseSettings):
    """How a service is run. The description of a field is its help."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level to log.")

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where the models run.")
    policy_model: str = Field(str(DEMO / "policy"), description="Checkpoint of the policy: a folder or a Hub name.")
    served_model_name: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="What OpenAI's clients call the policy; default: its folder's name.",
    )
    tool_call_parser: str | None = Field(None, description="vLLM's name for how the policy writes tool calls.")
    verifier_model: str = Field(str(DEMO / "prm"), description="Checkpoint of the verifier: a folder or a Hub name.")
    verifier_format: Literal[
        "winnow", "rlhflow", "math_shepherd", "skywork", "qwen_math", "trl", "outcome", "checker", "torch"
    ] = Field("winnow", description="How the verifier reads and scores.")
    system_prompt: str | None = Field(None, description="Instruction to the policy where a request gives none.")
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field("auto", description="Type of the weights.")
    policy_context: int | None = Field(None, ge=64, description="Longest prompt and response, in tokens.")
    verifier_context: int | None = Field(None, ge=64, description="Longest input to the verifier, in tokens.")
    policy_memory: float = Field(0.45, gt=0, lt=1, description="Share of GPU memory for the policy.")
    verifier_memory: float = Field(0.45, gt=0, lt=1, description="Share of GPU memory for the verifier.")
    policy_kv_cache_mib: int = Field(512, ge=16, description="KV cache of the policy on a CPU, in MiB.")
    verifier_kv_cache_mib: int = Field(512, ge=16, description="KV cache of the verifier on a CPU, in MiB.")
    tensor_parallel_size: int = Field(1, ge=1, description="GPUs that share each model.")

    answer_workers: int = Field(1, ge=1, description="Processes that compare answers.")
    answer_time_limit_s: float = Field(0.5, gt=0, description="Longest time for one answer; then its text is compared.")

    @property
    def policy_name(self) -> str:
        """What OpenAI's clients call the policy: the last part of its path or Hub name, where no setting says it."""
        if self.served_model_name:
            return self.served_model_name
        path = Path(self.policy_model).resolve()
        return "winnow-demo" if path == (DEMO / "policy").resolve() else path.name


def load_settings(recipe: Path | None = None, **flags: Any) -> Settings:
    """Read the settings.

    Args:
        recipe: YAML file; None takes `WINNOW_RECIPE` if it is set.
        flags: What the command line says; None is not said.

    Raises:
        SettingsError: The recipe cannot be read, or a variable or name is unknown.
        pydantic.ValidationError: A value is out of range.
    """
    named = os.environ.get(f"{PREFIX}RECIPE")
    recipe = recipe or (Path(named) if named else None)
    known = {f"{PREFIX}{name.upper()}" for name in (*Settings.model_fields, "recipe")}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise SettingsError(f"unknown environment variable {unknown[0]}; known are {', '.join(sorted(known))}")

    values = {} if recipe is None else _read(recipe)
    values = {name: value for name, value in values.items() if f"{PREFIX}{name.upper()}" not in os.environ}
    return Settings(**values | {name: value for name, value in flags.items() if value is not None})


def _read(recipe: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(recipe.read_text())
    except OSError as error:
        raise SettingsError(f"recipe {recipe}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"recipe {recipe} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise SettingsError(f"recipe {recipe} must map names of settings to values")
    unknown = sorted(set(values) - set(Settings.model_fields))
    if unknown:
        known = ", ".join(Settings.model_fields)
        raise SettingsError(f"recipe {recipe}: unknown setting {unknown[0]!r}; known are {known}")
    return values
