"""Everything that can be set, once: by flag, by environment (`WINNOW_<NAME>`), by recipe, or by default, in this order.

The only place that reads the environment. A recipe is a YAML file with the names below (`deploy/recipes/`).
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    HttpUrl,
    IPvAnyNetwork,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models import files
from models.checkpoints.marks import Marks, marks_of, parser_of
from models.files import UnreadableFileError, parse_object
from models.interfaces import DELIMITER
from models.prm.criteria import MATHEMATICS, JudgeOptions, Reads, criteria_of
from models.prm.options import ConfidenceOptions, Measure
from models.spelling import did_you_mean
from search.strategies import MAX_N, MAX_STEPS
from server.schemas import MAX_BATCH, MAX_DEADLINE_S, MAX_TOKENS, StepsIn, Text, Wire

PREFIX = "WINNOW_"
DEMO = Path(__file__).parents[1] / "models" / "demo"
NONE = "none"


def _split(value: Any) -> Any:
    return [part for part in value.replace(",", " ").split() if part] or None if isinstance(value, str) else value


def _parse(value: Any) -> Any:
    return parse_object(value.encode()) if isinstance(value, str) else value


def _list(value: Any) -> Any:
    is_list = isinstance(value, str) and value.lstrip().startswith("[")
    return parse_object(f'{{"listed": {value}}}'.encode())["listed"] if is_list else value


Criteria = Annotated[str | list[str], NoDecode, BeforeValidator(_list)]
Steps = Annotated[StepsIn, NoDecode, BeforeValidator(_parse)]
"""In a variable JSON, which is not mixed with what a flag says."""

EngineArgs = Annotated[dict[str, Any], NoDecode, BeforeValidator(_parse)]
RESPONSE_TOKENS, THINKING_TOKENS = 2_048, 32_768
COST_IN_FLIGHT = 524_288
"""Cost of all searches that run at a time, where the engines do not say what they hold."""
THINKING_COST = 8
"""Thoughts are sixteen times as long, and end far below their limit."""

Names = Annotated[tuple[str, ...] | None, NoDecode, BeforeValidator(_split)]
Urls = Annotated[tuple[HttpUrl, ...] | None, NoDecode, BeforeValidator(_split)]
Networks = Annotated[tuple[IPvAnyNetwork, ...] | None, NoDecode, BeforeValidator(_split)]


class MarksIn(Wire):
    """What a policy writes around its thoughts."""

    start: str = Field(min_length=1, max_length=256)
    end: str | list[str] = Field(description="One, or several; the first is written where a budget is spent.")
    at_limit: str | None = Field(None, max_length=4096, description="What is written there instead; holds an end.")

    @model_validator(mode="after")
    def _require_marks(self) -> Self:
        _ = self.marks
        return self

    @property
    def marks(self) -> Marks:
        """As models take them."""
        return Marks.of(self.start, *([self.end] if isinstance(self.end, str) else self.end), at_limit=self.at_limit)


ThinkingMarks = Annotated[MarksIn | None, NoDecode, BeforeValidator(_parse)]


class Example(Wire):
    """A problem that the policy was made for."""

    label: str = Field(min_length=1, max_length=60)
    problem: Text


Examples = Annotated[tuple[Example, ...] | None, NoDecode, BeforeValidator(_list)]

OF_POLICY = ("confidence",)
"""Formats of verifiers that ask the policy's own engine: `FORMATS_OF_POLICY` of models/prm/formats.py."""

POLICY = "policy"
"""As the model of a judge: the policy itself, on the engine that it has."""

OF_A_VERIFIER = ("verifier_model", "verifier_url", "verifier_context", "verifier_engine_args")
"""Settings of a verifier that has a model of its own."""

LIMITS: Mapping[str, str] = {
    "n": "max_n",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "max_steps": "max_steps",
    "deadline_s": "max_deadline_s",
    "requests": "max_batch",
}
"""Field of a request: the setting that narrows its bound in the schema."""


class SettingsError(Exception):
    """A setting is unknown or cannot be read; the message says which and where."""


class Settings(BaseSettings):
    """How a service is run. The description of a field is its help."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, allow_inf_nan=False)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that serve; more than one need policy and verifier on servers (deploy/gateways.md).",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level to log.")
    log_format: Literal["text", "json"] = Field("text", description="Format of the log.")
    drain_s: int = Field(30, ge=0, description="Seconds for requests in flight to finish after a stop signal.")
    otlp_endpoint: str | None = Field(
        None, description="URL to send traces to, OTLP over HTTP; by default none are sent."
    )

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where the models run.")
    policy_model: str = Field(
        str(DEMO / "policy"),
        description="Checkpoint of the policy: a folder or a Hub name; none: a verifier alone, which judges responses.",
    )
    served_model_name: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="What OpenAI's clients call the policy; default: its folder's name.",
    )
    tool_call_parser: str | None = Field(None, description="vLLM's name for how the policy writes tool calls.")
    verifier_model: str = Field(str(DEMO / "prm"), description="Checkpoint of the verifier: a folder or a Hub name.")
    verifier_format: Literal[
        "winnow",
        "rlhflow",
        "math_shepherd",
        "skywork",
        "qwen_math",
        "trl",
        "outcome",
        "skywork_reward",
        "reasonflux",
        "thinkprm",
        "judge",
        "checker",
        "torch",
        "confidence",
        "none",
    ] = Field(
        "winnow",
        description="How the verifier reads and scores; none: there is no verifier, as if policy_model alone is set.",
    )
    confidence_measure: Measure = Field(
        Measure.LOWEST_GROUP, description="How the confidences of a response's tokens become its score (confidence)."
    )
    confidence_top: int = Field(
        20, ge=3, le=20, description="Most probable tokens of each place that are read (confidence)."
    )
    confidence_window: float = Field(
        0.1, gt=0, le=100_000, description="Tokens of a group; below 1 a share of the response so far (confidence)."
    )
    judge_criteria: Criteria = Field(
        MATHEMATICS,
        description="What a judge judges by: mathematics, code, open, or a JSON list of texts (judge).",
    )
    judge_reads: Reads = Field(
        Reads.RESPONSE, description="A verdict on the whole response, or one on each of its steps (judge)."
    )
    judge_thinks: bool = Field(False, description="Think before the verdict, up to verifier_max_thoughts (judge).")
    verifier_max_thoughts: int = Field(
        2048, ge=1, description="Most tokens that a verifier thinks before a verdict (thinkprm, judge)."
    )
    policy_url: Urls = Field(
        None, min_length=1, description="vLLM servers that run the policy, separated by commas; default: it runs here."
    )
    verifier_url: Urls = Field(
        None,
        min_length=1,
        description="vLLM servers that run the verifier, separated by commas; default: it runs here.",
    )
    engine_api_key: SecretStr | None = Field(None, description="Key that these servers require.")
    engine_silence_s: float = Field(
        60.0, gt=0, description="Seconds without data after which a request is sent to another server."
    )
    routing: Literal["affinity", "spread"] = Field(
        "affinity",
        description="Which of several servers gets a request: always the same for a problem, or the least busy.",
    )
    calibration: Path | None = Field(
        None, description="Table of `winnow calibrate`; default: calibration.yaml beside the policy's folder."
    )
    made_for: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="What the policy was trained on, in words, for the warning of unfamiliar problems; default: what "
        "the calibration table says.",
    )
    system_prompt: str | None = Field(
        None, description="Instruction to the policy if a request has none; default: one that suits the policy."
    )
    steps: Steps = Field(
        StepsIn(delimiter=DELIMITER),
        description="Where steps end if a request does not say: JSON with `delimiter`, `tokens` or `markers`.",
    )
    reasoning_parser: str | None = Field(
        None, description="vLLM's name for how the policy marks its thoughts, such as qwen3 or deepseek_r1."
    )
    thinking_marks: ThinkingMarks = Field(
        None, description="These marks themselves: JSON with `start` and `end`, one or several, and `at_limit`."
    )
    chat_template_keys: Names = Field(
        None, description="Arguments of the policy's chat template that requests may set, separated by commas."
    )
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field("auto", description="Type of the weights.")
    policy_context: int | None = Field(None, ge=64, description="Longest prompt and response, in tokens.")
    max_prompt_tokens: int | None = Field(
        None,
        ge=1,
        description="Longest prompt, in tokens; default: the context, or 10 s of an engine that reads prompts at once.",
    )
    verifier_context: int | None = Field(None, ge=64, description="Longest input to the verifier, in tokens.")
    policy_memory: float = Field(0.45, gt=0, lt=1, description="Share of GPU memory for the policy.")
    verifier_memory: float = Field(0.45, gt=0, lt=1, description="Share of GPU memory for the verifier.")
    policy_kv_cache_mib: int = Field(512, ge=16, description="KV cache of the policy on a CPU, in MiB.")
    verifier_kv_cache_mib: int = Field(512, ge=16, description="KV cache of the verifier on a CPU, in MiB.")
    policy_threads: int = Field(1, ge=1, le=1024, description="Threads of the policy's engine on a CPU.")
    verifier_threads: int = Field(1, ge=1, le=1024, description="Threads of the verifier's engine on a CPU.")
    tensor_parallel_size: int = Field(1, ge=1, description="GPUs that share each model.")
    policy_engine_args: EngineArgs = Field(
        {}, description="More arguments of vLLM for the policy's engine, as JSON: quantization, enforce_eager, ..."
    )
    verifier_engine_args: EngineArgs = Field(
        {}, description="More arguments of vLLM for the verifier's engine, as JSON."
    )

    page: bool = Field(True, description="Serve the page at /, on which people watch searches (server/page.md).")
    examples: Examples = Field(
        None, description="Problems that the page offers: JSON, a list of `label` and `problem`; default: the demo's."
    )

    answer_workers: int = Field(1, ge=1, description="Processes that compare answers.")
    answer_time_limit_s: float = Field(
        0.5, gt=0, description="Longest CPU time for one answer, which is then compared as text."
    )

    sandbox: Literal["none", "bwrap"] = Field(
        "none", description="What runs programs for requests with `checker`: nothing, or bubblewrap (search/code.md)."
    )
    tests_workers: int = Field(2, ge=1, le=256, description="Programs that are tested at a time.")
    tests_timeout_s: float = Field(10.0, gt=0, le=600, description="Longest time of a program and its tests.")
    tests_total_s: float = Field(
        120.0, gt=0, description="Longest time of all tests of a request; what is left then stays untested."
    )
    tests_memory_mib: int = Field(512, ge=64, description="Memory of a program and its tests, in MiB.")

    api_keys: SecretStr | None = Field(
        None, description="Accepted API keys, separated by commas; without any, no key is needed."
    )
    api_keys_file: Path | None = Field(None, description="File of API keys: one per line, or a YAML list with names.")
    api_key: SecretStr | None = Field(None, description="Key that the commands send to a remote service.")
    allow_public_without_keys: bool = Field(False, description="Listen on a public address without keys.")
    cors_origins: str | None = Field(None, description="Origins whose pages may call the service, separated by commas.")
    trusted_proxies: Networks = Field(
        None, description="Addresses and networks of proxies whose X-Forwarded-For is trusted; default: none."
    )

    max_connections: int | None = Field(
        None, ge=1, description="Most open connections; default: three quarters of the free descriptors."
    )
    max_connections_per_client: int = Field(
        512, ge=1, description="Most open connections from one address without a key."
    )
    header_timeout_s: float = Field(10.0, gt=0, description="Longest time for the headers of a request to arrive.")
    body_timeout_s: float = Field(60.0, gt=0, description="Longest time for the whole body of a request to arrive.")
    body_idle_s: float = Field(10.0, gt=0, description="Longest pause while a body arrives.")
    keep_alive_s: int = Field(5, ge=1, description="How long a connection may be idle between two requests.")
    send_timeout_s: float = Field(
        60.0, gt=0, description="Longest time that a client may read nothing before it is cut off."
    )
    max_unread_bytes_in_all: int = Field(
        268_435_456, ge=65_536, description="Most that all clients may leave unread; the largest is cut off first."
    )
    max_unread_bytes: int = Field(
        16_777_216,
        ge=65_536,
        validate_default=True,
        description="Most of a stream that one client may leave unread before it is cut off.",
    )
    max_unfinished_body_bytes: int = Field(
        67_108_864, ge=1024, description="Most that all unfinished bodies may hold; the oldest is refused first."
    )
    max_body_bytes: int = Field(2_000_000, ge=1024, validate_default=True, description="Largest body of a request.")
    max_url_bytes: int = Field(8192, ge=256, description="Longest URL of a request.")
    max_header_bytes: int = Field(32_768, ge=1024, description="Largest headers of a request.")
    max_n: int = Field(MAX_N, ge=1, le=MAX_N, description="Largest budget of a request.")
    max_tokens: int = Field(MAX_TOKENS, ge=1, le=MAX_TOKENS, description="Longest response of a request, in tokens.")
    default_max_tokens: int | None = Field(
        None,
        ge=1,
        le=MAX_TOKENS,
        description="Tokens of a response in searches that do not say; default: 2048, or 32,768 with thoughts.",
    )
    max_steps: int = Field(MAX_STEPS, ge=1, le=MAX_STEPS, description="Most steps of a tree search.")
    max_deadline_s: float = Field(
        MAX_DEADLINE_S, gt=0, le=MAX_DEADLINE_S, description="Longest deadline, and that of requests without one."
    )
    max_batch: int = Field(64, ge=1, le=MAX_BATCH, description="Most requests of a batch.")
    max_remembered_scores: int = Field(
        100_000, ge=1, description="Scores of steps that clients brought, remembered for their next request."
    )
    max_cost: int = Field(4_194_304, ge=1, description="Most that one request may cost: n x tokens of a response.")
    max_cost_in_flight: int | None = Field(
        None,
        ge=1,
        description="Cost of all searches that run at a time; default: what the engines' KV caches hold (tuning.md).",
    )
    max_queued: int = Field(256, ge=0, description="Searches that may wait; others get 429 and Retry-After.")
    store_url: SecretStr | None = Field(
        None,
        description="Redis in which several gateways keep these searches: redis://, rediss:// or unix://; default: "
        "each process keeps its own.",
    )
    background_keep_s: float = Field(
        600.0, gt=0, description="How long a search that outlives its connection is kept after its end."
    )
    resume_within_s: float = Field(
        60.0, ge=0, description="How long a search with an Idempotency-Key goes on when its client has gone."
    )
    max_background: int = Field(2048, ge=1, description="Most searches that outlive their connection or are kept.")
    max_background_per_client: int = Field(256, ge=1, description="Most of them of one client.")
    max_background_bytes: int = Field(
        268_435_456, ge=65_536, description="Most that their events and results hold; the oldest go first."
    )
    max_events_bytes: int = Field(
        8_388_608,
        ge=1024,
        validate_default=True,
        description="Most that the events of one of them hold, and at most half of max_unread_bytes.",
    )

    @model_validator(mode="before")
    @classmethod
    def _leave_out_the_demos_verifier(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Run a policy alone that is named alone: the demo's verifier reads the demo's tokens."""
        if values.get("verifier_format") == "judge" and not (
            values.get("verifier_model") or values.get("verifier_url")
        ):
            return values | {"verifier_model": POLICY}
        is_named = any(values.get(name) is not None for name in ("verifier_model", "verifier_format", "verifier_url"))
        policy = str(values.get("policy_model", DEMO / "policy"))
        if is_named or policy == NONE or _is_demo(policy):
            return values
        return values | {"verifier_format": "none"}

    @model_validator(mode="after")
    def _require_a_model(self) -> Self:
        """A service without a policy needs a verifier that reads with a tokenizer."""
        if not self.has_policy and not self.verifier_has_checkpoint:
            raise ValueError(
                f"policy_model is none: verifier_format {self.verifier_format} then has nothing to read responses "
                "with; name a policy, or use the format of a verifier with a model of its own"
            )
        if not self.has_policy and self.policy_url is not None:
            raise ValueError("policy_model is none, but policy_url is set: name the policy that runs there")
        return self

    @model_validator(mode="after")
    def _refuse_a_second_model(self) -> Self:
        own = OF_A_VERIFIER[1:] if self.verifier_format == "judge" else OF_A_VERIFIER
        named = [name for name in own if name in self.model_fields_set and getattr(self, name)]
        if self.asks_policy and named:
            raise ValueError(f"{named[0]}: verifier_format {self.verifier_format} asks the policy itself; omit it")
        return self

    @model_validator(mode="after")
    def _refuse_what_no_verifier_reads(self) -> Self:
        for own in ("confidence", "judge"):
            unread = sorted(name for name in self.model_fields_set if name.startswith(f"{own}_"))
            if unread and self.verifier_format != own:
                raise ValueError(f"{unread[0]}: read by verifier_format {own} alone; omit it")
        return self

    @field_validator("max_body_bytes", "max_unread_bytes", "max_events_bytes")
    @classmethod
    def _fit_into_the_whole(cls, value: int, info: ValidationInfo) -> int:
        """One body, or one stream, is at most what all of them may hold together."""
        whole = {
            "max_body_bytes": "max_unfinished_body_bytes",
            "max_unread_bytes": "max_unread_bytes_in_all",
            "max_events_bytes": "max_background_bytes",
        }
        name = whole[str(info.field_name)]
        if value > info.data.get(name, value):
            raise ValueError(f"must be at most {name}, which is {info.data[name]:,}")
        return value

    @model_validator(mode="after")
    def _require_servers_for_workers(self) -> Self:
        """Processes that each loaded the models would fight for the memory of one machine."""
        here = [name for name in ("policy", "verifier") if self.runs_here(name)]
        if self.workers > 1 and here:
            raise ValueError(f"workers is {self.workers}, but each would load the {here[0]}: set {here[0]}_url")
        return self

    @field_validator("store_url")
    @classmethod
    def _require_redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return url

    @field_validator("judge_criteria")
    @classmethod
    def _require_criteria(cls, criteria: str | list[str]) -> str | list[str]:
        JudgeOptions(criteria_of(criteria))
        return criteria

    @field_validator("reasoning_parser")
    @classmethod
    def _require_known(cls, parser: str | None) -> str | None:
        if parser is not None:
            marks_of(parser)
        return parser

    @property
    def marks(self) -> Marks | None:
        """What the policy writes around its thoughts; None where no setting says it."""
        if self.thinking_marks is not None:
            return self.thinking_marks.marks
        return marks_of(self.reasoning_parser) if self.reasoning_parser else None

    @property
    def plain_parser(self) -> str | None:
        """VLLM's name for how the policy marks its thoughts, from the marks where no setting says it."""
        return self.reasoning_parser or (parser_of(self.marks) if self.marks else None)

    @property
    def response_tokens(self) -> int:
        """Tokens of a response in searches that do not say."""
        tokens = self.default_max_tokens or (THINKING_TOKENS if self.marks else RESPONSE_TOKENS)
        return min(tokens, self.max_tokens)

    @property
    def capacity(self) -> int:
        """Cost of all searches that run at a time in one process, where the engines do not say what they hold.

        As many with thoughts as without.
        """
        default = COST_IN_FLIGHT * (THINKING_COST if self.marks else 1)
        return max((self.max_cost_in_flight or default) // self.workers, 1)

    @property
    def queue_length(self) -> int:
        """Searches that may wait in one process, its share of the whole, rounded up."""
        return -(-self.max_queued // self.workers)

    def most(self, field: str) -> int | float:
        """Return the most that a field of a request, one of `LIMITS`, may be on this service."""
        most: int | float = getattr(self, LIMITS[field])
        return most

    def engine_args(self, name: Literal["policy", "verifier"]) -> dict[str, Any]:
        """Return more arguments of vLLM for one of the engines: a copy."""
        arguments: dict[str, Any] = getattr(self, f"{name}_engine_args")
        return {**arguments}

    def num_gpus(self, name: str) -> int:
        """Return how many GPUs share a model, policy or verifier."""
        arguments: dict[str, Any] = getattr(self, f"{name}_engine_args")
        return int(arguments.get("tensor_parallel_size", self.tensor_parallel_size))

    @property
    def has_policy(self) -> bool:
        """Whether there is a policy to search with."""
        return self.policy_model != NONE

    @property
    def has_verifier(self) -> bool:
        """Whether responses are judged."""
        return self.verifier_format != NONE

    def runs_here(self, name: str) -> bool:
        """Whether the engine of a model, policy or verifier, runs in the process that serves."""
        if name == "policy":
            return self.has_policy and self.policy_url is None
        has_engine = self.verifier_has_checkpoint and self.verifier_format != "checker"
        return has_engine and self.verifier_url is None

    @property
    def tokenizer_model(self) -> str:
        """The checkpoint whose tokenizer cuts responses into steps: the verifier's where there is no policy."""
        return self.policy_model if self.has_policy else self.verifier_model

    @property
    def asks_policy(self) -> bool:
        """Whether the verifier asks the policy's engine, and has no model of its own."""
        is_judge = self.verifier_format == "judge" and self.verifier_model == POLICY
        return is_judge or self.verifier_format in OF_POLICY

    @property
    def verifier_has_checkpoint(self) -> bool:
        """Whether the verifier has a model of its own."""
        return not self.asks_policy and self.verifier_format not in ("checker", NONE)

    @property
    def verifier_options(self) -> ConfidenceOptions | JudgeOptions | None:
        """How the verifier is set up, besides its model; None of a format that leaves nothing to say."""
        if self.verifier_format == "judge":
            thoughts = self.verifier_max_thoughts if self.judge_thinks else 0
            return JudgeOptions(criteria_of(self.judge_criteria), self.judge_reads, thoughts)
        if self.verifier_format == "confidence":
            return ConfidenceOptions(self.confidence_measure, self.confidence_top, self.confidence_window)
        return None

    @property
    def verifier_name(self) -> str | None:
        """What records call the verifier; None where there is none."""
        if self.asks_policy:
            return f"{self.verifier_format}: {self.verifier_options}"
        return self.verifier_model if self.has_verifier else None

    @property
    def verifier_label(self) -> str | None:
        """What clients are told that the verifier is: the last part of its path or Hub name, or else its format."""
        if self.asks_policy:
            return self.verifier_format
        return Path(self.verifier_model).name if self.has_verifier else None

    @property
    def policy_name(self) -> str:
        """What OpenAI's clients call the policy: the last part of its path or Hub name, where no setting says it."""
        if self.served_model_name:
            return self.served_model_name
        return "winnow-demo" if _is_demo(self.policy_model) else Path(self.policy_model).resolve().name


def _is_demo(policy_model: str) -> bool:
    return Path(policy_model).resolve() == (DEMO / "policy").resolve()


def load_settings(recipe: Path | None = None, **flags: Any) -> Settings:
    """Read the settings.

    Args:
        recipe: YAML file; None takes `WINNOW_RECIPE` if it is set.
        flags: From the command line; None was not given.

    Raises:
        SettingsError: The recipe cannot be read, or a variable or name is unknown.
        pydantic.ValidationError: A value is out of range.
    """
    recipe = recipe or recipe_in_environment()
    known = {f"{PREFIX}{name.upper()}" for name in (*Settings.model_fields, "recipe")}
    if unknown := sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known):
        raise SettingsError(f"unknown environment variable {unknown[0]}; {_hint(unknown[0], known, PREFIX)}")

    values = {} if recipe is None else _read(recipe)
    values = {name: value for name, value in values.items() if f"{PREFIX}{name.upper()}" not in os.environ}
    return Settings(**values | {name: value for name, value in flags.items() if value is not None})


def recipe_in_environment() -> Path | None:
    """Return the recipe that `WINNOW_RECIPE` names."""
    named = os.environ.get(f"{PREFIX}RECIPE")
    return Path(named) if named else None


def in_environment(setting: str) -> str | None:
    """Return the variable that a setting is taken from whatever a recipe says; None where it is not set."""
    variable = f"{PREFIX}{setting.upper()}"
    return variable if variable in os.environ else None


def read_yaml(file: Path, what: str) -> Any:
    """Read a YAML file; `what` names it in messages.

    Raises:
        SettingsError: It cannot be read; the message names the file and shows none of it.
    """
    try:
        return files.read_yaml(file, what)
    except UnreadableFileError as error:
        raise SettingsError(str(error)) from None


def _read(recipe: Path) -> dict[str, Any]:
    values = read_yaml(recipe, f"recipe {recipe}")
    if not isinstance(values, dict):
        raise SettingsError(f"recipe {recipe} must map names of settings to values")
    if unknown := sorted(map(str, set(values) - set(Settings.model_fields))):
        raise SettingsError(
            f"recipe {recipe}: unknown setting {unknown[0]!r}; {_hint(unknown[0], Settings.model_fields)}"
        )
    return values


def _hint(name: str, known: Iterable[str], prefix: str = "") -> str:
    return did_you_mean(name, known, prefix=prefix) or "winnow serve --help lists all settings"
