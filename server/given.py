"""What crosses the wire where clients bring responses of their own: to be judged step by step, or to choose from."""

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from models.interfaces import Turn
from models.json_values import find_flaw
from search.aggregation import Aggregation
from search.voting import Selection
from server.schemas import (
    MAX_DEADLINE_S,
    MAX_PROBLEM_CHARS,
    Asked,
    DiagnosticsOut,
    Instruction,
    ProblemIn,
    Real,
    StepOut,
    StepsIn,
    Timing,
    VoteOut,
    Wire,
)

MAX_RESPONSES = 256
MAX_RESPONSE_CHARS = 262_144
MAX_STEP_CHARS = 65_536
MAX_GIVEN_STEPS = 1_024
MAX_TURNS = 256


def _read_response(value: Any) -> str | list[str]:
    if isinstance(value, str):
        _require_text(value, "it", MAX_RESPONSE_CHARS)
        return value
    if not isinstance(value, list) or not all(isinstance(step, str) for step in value):
        raise PydanticCustomError("response_type", "a response is a text, or a list of the texts of its steps")
    if not 1 <= len(value) <= MAX_GIVEN_STEPS:
        raise PydanticCustomError(
            "too_many_steps",
            "{number} steps; allowed: 1 to {most}",
            {"number": len(value), "most": f"{MAX_GIVEN_STEPS:,}"},
        )
    for number, step in enumerate(value, 1):
        _require_text(step, f"step {number}", MAX_STEP_CHARS)
    if (length := sum(map(len, value))) > MAX_RESPONSE_CHARS:
        raise _too_long("it", length, MAX_RESPONSE_CHARS)
    return value


def _require_text(text: str, name: str, most: int) -> None:
    if not text.strip():
        raise PydanticCustomError("blank", "{name} is blank; allowed: visible text", {"name": name})
    if "\0" in text:
        raise PydanticCustomError("nul", "{name} holds a NUL character; remove it", {"name": name})
    if flaw := find_flaw(text):
        raise PydanticCustomError("surrogate", "{name} {what}", {"name": name, "what": flaw.what})
    if len(text) > most:
        raise _too_long(name, len(text), most)


def _too_long(name: str, length: int, most: int) -> PydanticCustomError:
    return PydanticCustomError(
        "too_long",
        "{name} has {length} characters; allowed: at most {most}",
        {"name": name, "length": f"{length:,}", "most": f"{most:,}"},
    )


Texts = {
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": MAX_RESPONSE_CHARS},
        {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": MAX_STEP_CHARS},
            "minItems": 1,
            "maxItems": MAX_GIVEN_STEPS,
        },
    ]
}
ResponseIn = Annotated[str | list[str], PlainValidator(_read_response), WithJsonSchema(Texts)]


class TurnIn(Asked):
    """What was said before the problem."""

    role: Literal["user", "assistant"]
    content: Annotated[str, StringConstraints(min_length=1, max_length=MAX_PROBLEM_CHARS)]


class GivenRequest(ProblemIn):
    """A problem, and responses to it."""

    responses: list[ResponseIn] = Field(
        min_length=1,
        max_length=MAX_RESPONSES,
        description="Each a text, which is cut as the policy's responses are, or the texts of its steps.",
        examples=[["6 * 4 = 24\n\n8 + 24 - 12 = 20\n\nThe answer is \\boxed{20}."]],
    )
    aggregation: Aggregation = Field(Aggregation.LAST, description="From step scores to the score of a response.")
    system_prompt: Instruction | None = Field(
        None, description="Instruction that the responses followed; null takes the recipe's, an empty text none."
    )
    history: list[TurnIn] = Field([], max_length=MAX_TURNS, description="What was said before the problem.")
    steps: StepsIn | None = Field(None, description="Where the steps of a text end; null takes the recipe's rule.")
    special_tokens: Literal["refuse", "text"] = Field(
        "refuse",
        description="What to do with a response that spells a special token, such as <|im_end|>.",
    )
    deadline_s: Real | None = Field(
        None, gt=0, le=MAX_DEADLINE_S, description="Seconds after which what is judged by then is returned."
    )

    @property
    def turns(self) -> tuple[Turn, ...]:
        """What was said before the problem."""
        return tuple(Turn(turn.role, turn.content) for turn in self.history)


class ScoreRequest(GivenRequest):
    """Responses whose steps are to be judged."""

    complete: bool = Field(
        True, strict=True, description="Whether the responses end where their texts end, or another step would follow."
    )
    stream: bool = Field(False, strict=True, description="Reply with events as scores come.")


class ChooseRequest(GivenRequest):
    """Responses to choose from."""

    selection: Selection = Field(Selection.WEIGHTED, description="How the answer is chosen; majority judges nothing.")
    from_policy: bool = Field(
        False,
        strict=True,
        description="The policy itself drew the responses, as a search does, so that calibrated confidence holds.",
    )


class JudgingUsage(Wire):
    """Every token judged."""

    prompt_tokens: int = Field(description="The problem after the chat template, counted once.")
    response_tokens: int = Field(description="Of all responses, as the policy's tokenizer counts.")
    verifier_tokens: int = Field(description="Computed by the verifier.")
    verifier_cached_tokens: int = Field(description="Judged from the cache.")


Status = Literal["complete", "deadline", "degraded"]


class ScoredOut(Wire):
    """A response and its scores."""

    index: int = Field(description="Place among the responses, from 0.")
    score: float | None = Field(description="Aggregation of the step scores; null where nothing was judged.")
    steps: list[StepOut]
    error: str | None = Field(None, description="Why it was not judged.")


class ScoreResponse(Wire):
    """The scores of all responses, in their order."""

    id: str
    status: Status
    responses: list[ScoredOut]
    usage: JudgingUsage
    timing: Timing


class ClassOut(VoteOut):
    """The responses with equivalent answers."""

    responses: list[int] = Field(description="Their places, the one that speaks for the answer first.")


class ChosenFromOut(ScoredOut):
    """A response, its answer and its scores."""

    answer: str | None


class ChooseResponse(Wire):
    """The chosen answer and the evidence for it."""

    id: str
    status: Status
    index: int | None = Field(description="Place of the chosen response, from 0; null where none states an answer.")
    answer: str | None
    response: str | None
    score: float | None
    confidence: float | None = Field(
        description="Calibrated probability that the answer is right; null unless `from_policy` and measured, or if "
        "the problem is unfamiliar."
    )
    votes: list[ClassOut] = Field(description="Classes of equivalent answers, the chosen one first.")
    diagnostics: DiagnosticsOut
    responses: list[ChosenFromOut]
    usage: JudgingUsage
    timing: Timing
