"""Everything that can be set, once: by flag, by environment (`WINNOW_<NAME>`), by recipe, or by default, in this order.

The only place that reads the environment. A recipe is a YAML file with the names below (`deploy/recipes/`).
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, HttpUrl, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from search.strategies import MAX_N, MAX_STEPS
from server.schemas import MAX_BATCH, MAX_DEADLINE_S, MAX_TOKENS

PREFIX = "WINNOW_"
DEMO = Path(__file__).parents[1] / "models" / "demo"


def _split(value: Any) -> Any:
    return [part for part in value.replace(",", " ").split() if part] or None if isinstance(value, str) else value


Urls = Annotated[tuple[HttpUrl, ...] | None, NoDecode, BeforeValidator(_split)]


class SettingsError(Exception):
    """A setting is unknown or cannot be read; the message says which and where."""


class Settings(BaseSettings):
    """How a service is run. The description of a field is its help."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level to log.")
    log_format: Literal["text", "json"] = Field("text", description="A line of the log.")
    drain_s: int = Field(30, ge=0, description="Seconds that requests in flight have to end after a stop is asked for.")
    otlp_endpoint: str | None = Field(None, description="URL that takes traces, OTLP over HTTP; none are made without.")

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
    policy_url: Urls = Field(
        None, min_length=1, description="vLLM servers that run the policy, separated by commas; none runs it here."
    )
    verifier_url: Urls = Field(
        None, min_length=1, description="vLLM servers that run the verifier, separated by commas; none runs it here."
    )
    engine_api_key: SecretStr | None = Field(None, description="Key that these servers ask for.")
    engine_silence_s: float = Field(
        60.0, gt=0, description="A request of which nothing comes from them for so long is sent elsewhere."
    )
    routing: Literal["affinity", "spread"] = Field(
        "affinity",
        description="Which of several servers gets a request: always the same for a problem, or the least busy.",
    )
    calibration: Path | None = Field(
        None, description="Table of `winnow calibrate`; default: calibration.yaml beside the policy's folder."
    )
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

    api_keys: SecretStr | None = Field(None, description="Keys that may ask, separated by commas; none lets all ask.")
    api_keys_file: Path | None = Field(None, description="File of keys: one a line, or a YAML list with names.")
    api_key: SecretStr | None = Field(None, description="Key that the commands send to a service elsewhere.")
    allow_public_without_keys: bool = Field(False, description="Listen on a public address without keys.")
    cors_origins: str | None = Field(None, description="Origins whose pages may ask, separated by commas.")

    max_body_bytes: int = Field(2_000_000, ge=1024, description="Largest body of a request.")
    max_header_bytes: int = Field(32_768, ge=1024, description="Largest headers of a request.")
    max_n: int = Field(MAX_N, ge=1, le=MAX_N, description="Largest budget of a request.")
    max_tokens: int = Field(MAX_TOKENS, ge=1, le=MAX_TOKENS, description="Longest response that may be asked for.")
    max_steps: int = Field(MAX_STEPS, ge=1, le=MAX_STEPS, description="Most steps of a tree search.")
    max_deadline_s: float = Field(
        MAX_DEADLINE_S, gt=0, le=MAX_DEADLINE_S, description="Longest deadline, and that of requests without one."
    )
    max_batch: int = Field(64, ge=1, le=MAX_BATCH, description="Most requests of a batch.")
    max_cost: int = Field(4_194_304, ge=1, description="Most that one request may cost: n x tokens of a response.")
    max_cost_in_flight: int = Field(524_288, ge=1, description="Cost of all searches that run at a time.")
    max_queued: int = Field(256, ge=0, description="Searches that may wait; more are told to come back later.")

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
