"""What a search needs of its models: a policy that proposes steps and a verifier that judges them.

Knows the nouns that cross the boundary between `search` and `models`. Knows nothing of engines, tokenizers, chat
templates or HTTP, and imports the standard library only.
"""

from array import array
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Literal, Protocol, runtime_checkable

DELIMITER = "\n\n"
"""What ends a step where nothing else is said; it stays at the end of the step's text."""

MAX_DELIMITER_CHARS = 100
MAX_STEP_TOKENS = 8192
MAX_MARKERS = 32
MAX_MARKER_CHARS = 100


@dataclass(frozen=True, slots=True)
class Delimiter:
    """A step ends with a text behind something visible, outside code blocks and displayed formulas.

    Attributes:
        text: At most `MAX_DELIMITER_CHARS` characters.
    """

    text: str = DELIMITER


@dataclass(frozen=True, slots=True)
class TokenCount:
    """A step is so many tokens long, and as many more as it takes to show text and to end with a whole character.

    Attributes:
        number: From 1 to `MAX_STEP_TOKENS`.
    """

    number: int


@dataclass(frozen=True, slots=True)
class Markers:
    """A step begins with one of some texts, where a line or a sentence begins outside code and displayed formulas.

    Attributes:
        texts: At most `MAX_MARKERS`, each visible and of at most `MAX_MARKER_CHARS` characters.
    """

    texts: tuple[str, ...]


StepRule = Delimiter | TokenCount | Markers
"""Where the steps of a response end; the rules in full are in models/steps.md."""

PARAGRAPHS = Delimiter()


ENABLE_THINKING = "enable_thinking"
"""Argument of chat templates that turns thoughts on and off."""


class Finish(Enum):
    """Why the policy stopped where a step ends."""

    STEP = "step"  # the rule of the steps ends it there: the response goes on
    END = "end"  # end of sequence: the response is complete
    LENGTH = "length"  # the token limit or the context is spent: the response is truncated, never complete


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said earlier in a conversation.

    Attributes:
        role: Who said it.
        text: As it was said.
    """

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What the user asks.

    Attributes:
        text: The question, as the user wrote it.
        system_prompt: Instruction to the policy; None takes the policy's own.
        history: What was said before the question, the earliest first.
        template_arguments: Of the policy's chat template, names and plain values, such as `enable_thinking`.
        tools: For a chat template that reads them: the functions that may be called, as JSON; None for none.
    """

    text: str
    system_prompt: str | None = None
    history: tuple[Turn, ...] = ()
    template_arguments: tuple[tuple[str, str | int | float | bool | None], ...] = ()
    tools: str | None = None

    def thinking(self, thinks: bool | None) -> "Problem":
        """Return the problem with thoughts asked for, or not; None leaves it as it is."""
        if thinks is None:
            return self
        arguments = dict(self.template_arguments) | {ENABLE_THINKING: thinks}
        return replace(self, template_arguments=tuple(sorted(arguments.items())))

    @property
    def opening(self) -> str:
        """What its prompt begins with: a conversation keeps it from turn to turn."""
        return self.history[0].text if self.history else self.text


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the policy draws tokens.

    Attributes:
        temperature: At least 0; 0 is greedy.
        top_p: In (0, 1].
        max_tokens: Tokens that this call may still generate, at least 1.
        seed: Makes the draw reproducible; None draws freely.
        steps: Where steps end.
        thinking_budget: Tokens of thoughts in a response, at most, the mark that opens them included; then they are
            closed, and the answer follows. None leaves them their length.
        grammar: What the response, behind its thoughts, is held to: a kind (json or json_object) and what says it. It
            holds for whole responses: what continues one begins it anew.
        num_logprobs: Most probable tokens of each place, from which the confidences of the steps are made; 0: the steps
            have none.
    """

    temperature: float
    top_p: float
    max_tokens: int
    seed: int | None = None
    steps: StepRule = PARAGRAPHS
    thinking_budget: int | None = None
    grammar: tuple[str, str] | None = None
    num_logprobs: int = 0


Said = tuple[float, float]
"""Confidence and log probability of a token."""


@dataclass(frozen=True, slots=True)
class Step:
    """One reasoning step sampled by a policy.

    Only the last step of a response may be blank (the policy ended right after a delimiter), or one of its thoughts.

    Attributes:
        text: Keeps its delimiter: the join of a response's steps is the response, without the marks of its thoughts.
        token_ids: As the engine sampled them; a prefix is extended with these and never re-tokenised.
        finish: Why it ended.
        ahead: Tokens of the next step that showed where this one ends: a marker. What follows this step begins with
            them, since to sample them again would make markers rarer than the policy writes them.
        is_thinking: Whether it is of the thoughts, which state no answer.
        confidences: Of the tokens that were sampled: minus the mean log probability of the most probable tokens there.
            None where nobody asked.
        logprobs: Log probabilities of these tokens themselves; None where nobody asked.
        ahead_confidences: Both, of each token ahead; None where nobody asked.
    """

    text: str
    token_ids: tuple[int, ...]
    finish: Finish
    ahead: tuple[int, ...] = ()
    is_thinking: bool = False
    confidences: "array[float] | None" = field(default=None, compare=False, repr=False)
    logprobs: "array[float] | None" = field(default=None, compare=False, repr=False)
    ahead_confidences: "Sequence[Said | None] | None" = field(default=None, compare=False, repr=False)

    @property
    def is_blank(self) -> bool:
        """True for a step without visible text, of which there is nothing to judge."""
        return not self.text.strip()


def num_thoughts(steps: Sequence[Step]) -> int:
    """Return how many steps stand before the answer: all up to the last one that is of the thoughts."""
    return max((place for place, step in enumerate(steps, 1) if step.is_thinking), default=0)


def response_of(steps: Sequence[Step]) -> str:
    """Return what stands behind the thoughts, and alone states an answer."""
    number = num_thoughts(steps)
    text = "".join(step.text for step in steps[number:])
    return text.lstrip() if number else text


@dataclass(slots=True)
class Meter:
    """Counts tokens, and runs of tests, where they are spent. Mutable: one is shared by all calls made for a request.

    Attributes:
        completion_tokens: Generated by the policy, those of pruned, cancelled and lost candidates included.
        reasoning_tokens: Those of them that are thoughts.
        verifier_tokens: Computed by the verifier.
        verifier_cached_tokens: Judged without computing them again, from the verifier's prefix cache.
        speculative_tokens: Generated and computed for candidates that a search began with in vain; the other counts
            have them, too.
        test_runs: Programs run against tests.
        test_s: Seconds that these took together.
    """

    completion_tokens: int = 0
    reasoning_tokens: int = 0
    verifier_tokens: int = 0
    verifier_cached_tokens: int = 0
    speculative_tokens: int = 0
    test_runs: int = 0
    test_s: float = 0.0

    def absorb(self, other: "Meter") -> None:
        """Add what another meter has counted, and set that one to nothing."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
            setattr(other, each.name, each.default)


class Policy(Protocol):
    """The model searched over. Cancelling the caller's task aborts the engine's work."""

    @property
    def context(self) -> int:
        """Longest prompt and response, in tokens."""

    @property
    def thinks(self) -> bool:
        """Whether a response can begin with thoughts."""

    @property
    def template_arguments(self) -> frozenset[str]:
        """Names of the arguments that the chat template reads, such as `enable_thinking`."""

    def count_prompt_tokens(self, problem: Problem) -> int:
        """Tokens of the problem after the chat template.

        Raises:
            ContextOverflowError: The problem leaves no room in the context for a response.
            PromptTooLongError: It is longer than this service reads.
        """

    async def propose(self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter) -> Step:
        """Sample the step that follows `prefix` (empty: the first one). One that spends the token limit is cut there.

        Raises:
            ContextOverflowError: `prefix` leaves no room for another token.
            EngineUnavailableError: The engine died or refused the request.
        """

    def respond(
        self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter
    ) -> AsyncGenerator[Step, None]:
        """Sample every step that follows `prefix` in one generation, each yielded as soon as it ends.

        The last step yielded is the only one whose finish is not `Finish.STEP`. Closing the iterator (or cancelling
        its consumer) aborts the generation.

        Raises:
            ContextOverflowError: `prefix` leaves no room for another token.
            EngineUnavailableError: The engine died or refused the request.
        """


@runtime_checkable
class Cutter(Protocol):
    """Cuts responses that were written elsewhere into steps, as a policy's own responses are cut."""

    def cut(self, response: str | Sequence[str], steps: StepRule, *, is_complete: bool) -> tuple[Step, ...]:
        """Return the steps of a response; a long one takes CPU time.

        Args:
            response: A text, or the texts of its steps, which are kept.
            steps: Where the steps of a text end.
            is_complete: Whether the response ends here, or another step is to follow.
        """

    def special_token_in(self, text: str) -> str | None:
        """Return a special token that a text spells, other than the marks of thoughts; None where it spells none."""


class Verdict(Enum):
    """What a call to a verifier judges."""

    STEPS = "steps"  # each step of the call
    CALL = "call"  # all steps of the call together: only the score of the last one means something
    RESPONSE = "response"  # a whole response: no verifier of steps


def verdict_of(verifier: object) -> Verdict:
    """Return what a call to a verifier judges: each step, unless its `verdict` says something else."""
    verdict = getattr(verifier, "verdict", Verdict.STEPS)
    return verdict if isinstance(verdict, Verdict) else Verdict.STEPS


class Verifier(Protocol):
    """The process reward model. Cancelling the caller's task aborts the engine's work."""

    async def score(
        self, problem: Problem, prefix: Sequence[Step], steps: Sequence[Step], meter: Meter
    ) -> tuple[float, ...]:
        """Judge `steps`, which follow `prefix` in a response.

        Args:
            problem: What the response answers.
            prefix: Steps judged before; their tokens are read from the verifier's cache where it holds them.
            steps: At least one step, none blank.
            meter: Where the verifier's tokens are counted.

        Returns:
            For each of `steps` the probability in [0, 1] that it is right, given all before it.

        Raises:
            ContextOverflowError: The response is longer than the verifier's context.
            EngineUnavailableError: The engine died or refused the request.
        """


@runtime_checkable
class ReadsConfidences(Verifier, Protocol):
    """A verifier that reads what the policy said while it sampled the steps."""

    @property
    def num_logprobs(self) -> int:
        """Most probable tokens of each place that it reads, at least 1: as many as `Sampling` is to ask for."""

    @property
    def reads_thoughts(self) -> bool:
        """Whether it is to be shown the steps of the thoughts, too, even where these get no score of their own."""
