"""No policy: a service with a verifier alone still needs a tokenizer, to cut the responses that clients bring."""

from collections.abc import AsyncGenerator, Sequence

from models.checkpoints.prompt import PromptBuilder
from models.errors import EngineUnavailableError
from models.interfaces import Meter, Problem, Sampling, Step, StepRule
from models.policy.written import written_steps

MESSAGE = "this service has no policy"


class AbsentPolicy:
    """Reads problems and responses, and proposes nothing.

    Args:
        prompts: With the verifier's tokenizer.
    """

    context = 0
    thinks = False
    template_arguments: frozenset[str] = frozenset()

    def __init__(self, prompts: PromptBuilder) -> None:
        self.prompts = prompts
        prompts.tokenizer.prepare()

    def count_prompt_tokens(self, problem: Problem) -> int:
        """Tokens of the problem after the chat template."""
        return len(self.prompts.build(problem))

    def cut(self, response: str | Sequence[str], steps: StepRule, *, is_complete: bool) -> tuple[Step, ...]:
        """Return the steps of a response that was written elsewhere."""
        return written_steps(self.prompts, response, steps, is_complete=is_complete)

    def special_token_in(self, text: str) -> str | None:
        """Return a special token that a text spells, other than the marks of thoughts; None where it spells none."""
        return self.prompts.special_token_in(text)

    async def propose(self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter) -> Step:
        """Refuse.

        Raises:
            EngineUnavailableError: Always.
        """
        raise EngineUnavailableError(MESSAGE)

    async def respond(
        self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter
    ) -> AsyncGenerator[Step, None]:
        """Refuse.

        Raises:
            EngineUnavailableError: Always.
        """
        raise EngineUnavailableError(MESSAGE)
        yield
