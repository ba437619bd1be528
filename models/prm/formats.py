"""The formats of process reward models, by the name that a recipe gives them: a row each, a file each.

A format's file is imported when a service asks for the format, so that nobody has what another format needs.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from typing import Any, Protocol, cast

from models.checkpoints.prompt import PromptBuilder
from models.engines.running import ModelSettings, running_engine
from models.errors import CheckpointError
from models.prm.served import RunningPolicy, RunningVerifier, Served
from models.vllm.settings import EngineSettings

FORMATS = {
    "winnow": "models.prm.winnow",
    "rlhflow": "models.prm.rlhflow",
    "math_shepherd": "models.prm.math_shepherd",
    "skywork": "models.prm.skywork",
    "qwen_math": "models.prm.qwen_math",
    "trl": "models.prm.trl",
    "outcome": "models.prm.outcome",
    "skywork_reward": "models.prm.skywork_reward",
    "reasonflux": "models.prm.reasonflux",
    "thinkprm": "models.prm.thinkprm",
    "judge": "models.prm.judge",
}
"""Those that an engine runs, here or elsewhere; the module of each has a function `read`."""

FORMATS_HERE = {"checker": "models.prm.checker", "torch": "models.prm.torch_verifier"}
"""Those that run in this service alone; the module of each has a function `open_verifier`."""

FORMATS_OF_POLICY = {"confidence": "models.prm.confidence"}
"""Those that ask the policy's own engine, or read what it says, and have no checkpoint; the module of each has a
function `on_policy`."""


class Read(Protocol):
    """Checks a checkpoint."""

    def __call__(self, settings: ModelSettings, prompts: PromptBuilder) -> Served:
        """Return what an engine is to run; raises CheckpointError where it cannot."""


class Open(Protocol):
    """Checks a checkpoint, and runs it while the returned context lasts."""

    def __call__(
        self, settings: EngineSettings, prompts: PromptBuilder
    ) -> AbstractAsyncContextManager[RunningVerifier]:
        """Raises CheckpointError where it cannot be run."""


class OnPolicy(Protocol):
    """Makes a verifier of the policy that runs."""

    def __call__(self, policy: RunningPolicy, options: Any) -> RunningVerifier:
        """Take the options of the format; raises CheckpointError where the policy cannot judge."""


def verifier_on_policy(format_name: str, policy: RunningPolicy, options: object) -> RunningVerifier:
    """Return a verifier that has no engine of its own: its `engine` is the policy's.

    Args:
        format_name: Of `FORMATS_OF_POLICY`, or one of `FORMATS` whose module has a function `on_policy`, too: a judge.
        policy: Runs as long as the verifier is asked.
        options: Those of the format.

    Raises:
        CheckpointError: The policy cannot judge.
    """
    return cast(OnPolicy, import_module((FORMATS | FORMATS_OF_POLICY)[format_name]).on_policy)(policy, options)


def check_on_policy(format_name: str, prompts: PromptBuilder) -> None:
    """See, before a policy runs, that it can be its own verifier, where the format's module has a `check_policy`.

    Raises:
        CheckpointError: It cannot.
    """
    check = getattr(import_module((FORMATS | FORMATS_OF_POLICY)[format_name]), "check_policy", None)
    if check is not None:
        check(prompts)


def read_verifier(format_name: str, settings: ModelSettings, prompts: PromptBuilder) -> Served:
    """Check the checkpoint of a verifier that an engine runs.

    Args:
        format_name: Of `FORMATS`.
        settings: Of the verifier's engine.
        prompts: The policy's.

    Raises:
        CheckpointError: The checkpoint cannot be served in this format.
    """
    if format_name not in FORMATS:
        allowed = ", ".join(FORMATS)
        raise CheckpointError(f"verifier_format {format_name} runs in this service alone; on servers: {allowed}")
    return cast(Read, import_module(FORMATS[format_name]).read)(settings, prompts)


def open_verifier(
    format_name: str, settings: ModelSettings, prompts: PromptBuilder
) -> AbstractAsyncContextManager[RunningVerifier]:
    """Check the checkpoint now; run the verifier while the returned context lasts.

    Args:
        format_name: Of `FORMATS` or `FORMATS_HERE`.
        settings: Of the verifier's engine.
        prompts: The policy's.

    Raises:
        CheckpointError: The checkpoint cannot be served in this format.
        EngineUnavailableError: The engine did not start (raised on entering the context).
    """
    if format_name in FORMATS_HERE and isinstance(settings, EngineSettings):
        return cast(Open, import_module(FORMATS_HERE[format_name]).open_verifier)(settings, prompts)
    return _run(settings, read_verifier(format_name, settings, prompts))


@asynccontextmanager
async def _run(settings: ModelSettings, served: Served) -> AsyncIterator[RunningVerifier]:
    async with running_engine(settings, served.runner, served.overrides) as engine:
        yield served.build(engine)
