"""What crosses the wire: requests and replies of `/solve`, `/solve/batch` and `/v1/answers/equivalent`, and errors.

Limits are declared here, so that the documentation shows them; those that depend on two fields or on the models are
checked in `server/solving/planning.py`.
"""

from enum import Enum
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from models.interfaces import (
    MAX_DELIMITER_CHARS,
    MAX_MARKER_CHARS,
    MAX_MARKERS,
    MAX_STEP_TOKENS,
    Delimiter,
    Markers,
    StepRule,
    TokenCount,
)
from models.json_values import find_flaw
from search.stopping import Probable
from search.strategies import MAX_N, by_table, request_fields, strategies

MAX_PROBLEM_CHARS = 65_536
MAX_TESTS_CHARS = 65_536
MAX_TOKENS = 131_072
MAX_DEADLINE_S = 3600
MAX_BATCH = 256
MAX_PAIRS = 256
MAX_ARGUMENTS = 16
MAX_ARGUMENT_CHARS = 1_024
MAX_ANSWER_CHARS = 4_096
MAX_TOOLS = 128
MAX_VOTED_FIELDS = 64
MAX_FIELD_CHARS = 256
MAX_FIELDS = 256
MAX_WHOLE = 2.0**63
"""Above this, 1e308 would become an integer of 309 digits, which no engine reads."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_PROBLEM_CHARS)]
Instruction = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_PROBLEM_CHARS)]
AnswerText = Annotated[str, StringConstraints(max_length=MAX_ANSWER_CHARS)]
TestText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TESTS_CHARS)]
Count = Annotated[int, Field(strict=True)]
Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Evidence = Annotated[
    set[Literal["candidates", "tree"]],
    Field(fail_fast=True),
    WithJsonSchema({"type": "array", "items": {"type": "string", "enum": ["candidates", "tree"]}}),
]
"""On the wire a list, whose repeats are ignored."""


def _read_early_stop(value: Any) -> Any:
    if value is True:
        return "exact"
    return value if value is False or isinstance(value, str) else None  # 0 would be taken for False


EarlyStopIn = Annotated[
    Literal["exact", "probable", False],
    BeforeValidator(_read_early_stop),
    WithJsonSchema({"enum": ["exact", "probable", True, False]}),
]
"""True, as older clients say it, is exact."""

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Plain = Annotated[str, StringConstraints(max_length=MAX_ARGUMENT_CHARS)] | bool | Count | Real | None
TemplateArguments = Annotated[
    dict[Annotated[str, StringConstraints(max_length=MAX_ARGUMENT_CHARS)], Plain],
    Field(max_length=MAX_ARGUMENTS),
    BeforeValidator(lambda value: require_few(value, MAX_ARGUMENTS, "arguments")),
]
"""By name; lists and objects are not passed on."""

Shown = str | int | float | bool | list[float] | list[str] | dict[str, Any] | None
"""A hyperparameter of a strategy, a value that it decided, or the rule of its steps."""

Finish = Literal["complete", "truncated", "stopped", "dropped"]
"""Complete: the policy ended it. Truncated: the token limit did. Stopped: it could not win. Dropped: not continued."""


def require_few(value: Any, most: int, what: str) -> Any:
    """Refuse an object of too many members at once: told one by one, a body of them takes seconds and a gigabyte."""
    if isinstance(value, dict) and len(value) > most:
        raise PydanticCustomError(
            "too_many",
            "{number} {what}; allowed: at most {most}",
            {"number": f"{len(value):,}", "what": what, "most": most},
        )
    return value


class Wire(BaseModel):
    """Base of all messages: unknown fields are refused, never ignored."""

    model_config = ConfigDict(extra="forbid")


def whole(value: Any) -> Any:
    """Read 5.0 as 5: JSON has one kind of number, and some clients write integers so."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < MAX_WHOLE else value


class Asked(Wire):
    """Base of all that requests hold."""

    @model_validator(mode="before")
    @classmethod
    def _read_numbers(cls, fields: Any) -> Any:
        require_few(fields, MAX_FIELDS, "fields")
        return {name: whole(value) for name, value in fields.items()} if isinstance(fields, dict) else fields


M = TypeVar("M", bound=Asked)
BY_TABLE = " or ".join(row.name for row in by_table())


def with_strategies(model: type[M]) -> type[M]:
    """Add the name of a strategy and every field that a strategy reads to a request."""
    declared: dict[str, Any] = {"strategy": (Literal[tuple(strategies())], model.model_fields["strategy"])}
    for each in request_fields():
        default = each.default.value if isinstance(each.default, Enum) else each.default
        kind: Any = {int: Count, float: Real}.get(each.kind)
        if issubclass(each.kind, Enum):
            kind = Literal[tuple(choice.value for choice in each.kind)]
        bounds: dict[str, Any] = {"gt" if each.is_above else "ge": each.low, "le": each.high}
        bounds = {name: bound for name, bound in bounds.items() if bound is not None}
        field = Field(default, description=each.description, **bounds)
        declared[each.name] = (kind | None if default is None else kind, field)
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, **declared)


@with_strategies
class Spending(Asked):
    """A budget, and the strategy that spends it."""

    n: Count = Field(16, ge=1, le=MAX_N, description="N, the budget: candidate responses.")
    strategy: str = Field(
        next(iter(strategies())),
        description=f"{BY_TABLE} chooses by the difficulty of the problem and may spend less than n.",
    )


Marker = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_MARKER_CHARS)]


class StepsIn(Asked):
    """Where the steps of a response end: by one of the three."""

    delimiter: str | None = Field(
        None, min_length=1, max_length=MAX_DELIMITER_CHARS, description="A text that ends a step."
    )
    tokens: Count | None = Field(None, ge=1, le=MAX_STEP_TOKENS, description="Tokens of a step.")
    markers: list[Marker] | None = Field(
        None,
        min_length=1,
        max_length=MAX_MARKERS,
        description="Texts that begin a step, where a line or a sentence begins.",
    )

    @model_validator(mode="after")
    def _require_one(self) -> Self:
        if len(self.shown()) != 1:
            raise PydanticCustomError("steps", "give one of delimiter, tokens and markers")
        return self

    @property
    def rule(self) -> StepRule:
        """What it asks for."""
        if self.tokens is not None:
            return TokenCount(self.tokens)
        if self.markers is not None:
            return Markers(tuple(self.markers))
        return Delimiter(self.delimiter or "")

    def shown(self) -> dict[str, Any]:
        """Return what was given."""
        return self.model_dump(exclude_none=True)


def _require_sound(value: dict[str, Any]) -> dict[str, Any]:
    if flaw := find_flaw(value):
        what = f"{flaw.where}: {flaw.what}" if flaw.where else flaw.what
        raise PydanticCustomError("json_value", "{what}", {"what": what})
    return value


Schema = Annotated[dict[str, Any], AfterValidator(_require_sound)]
FormName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]


class JsonSchemaIn(Asked):
    """A JSON schema, and what it is called."""

    name: FormName
    definition: Schema = Field(alias="schema", description="The schema itself; every response keeps to it.")
    description: Instruction | None = Field(None, description="Not read.")
    strict: bool | None = Field(None, description="Not read: a schema is always kept to.")


class ResponseFormatIn(Asked):
    """What a response must look like."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaIn | None = Field(None, description="Of type json_schema.")

    @model_validator(mode="after")
    def _require_its_schema(self) -> Self:
        if (self.type == "json_schema") is not (self.json_schema is not None):
            raise PydanticCustomError("json_schema", "json_schema belongs to type json_schema, and to no other")
        return self


def _leave_out_text(form: ResponseFormatIn | None) -> ResponseFormatIn | None:
    """Read what any text keeps to as nothing: clients write it out."""
    return None if form is None or form.type == "text" else form


ResponseFormat = Annotated[ResponseFormatIn | None, AfterValidator(_leave_out_text)]


class FunctionIn(Asked):
    """A function that a response may call; the client runs it."""

    name: FormName
    description: Instruction | None = None
    parameters: Schema | None = Field(None, description="JSON schema of its arguments; null for none.")
    strict: bool | None = Field(None, description="Not read: a schema is always kept to.")


class ToolIn(Asked):
    """A tool of the client's."""

    type: Literal["function"]
    function: FunctionIn


class FunctionNameIn(Asked):
    """A function by its name."""

    name: FormName


class ToolChoiceIn(Asked):
    """The function that every response calls."""

    type: Literal["function"]
    function: FunctionNameIn


def _read_choice(choice: Any) -> Any:
    """Say in one sentence what may stand there: of two kinds, an error would name both."""
    match choice:
        case None | "none" | "auto" | "required" | {"type": "function", "function": {"name": str()}}:
            return choice
    raise PydanticCustomError("tool_choice", 'must be "none", "auto", "required", or a function of type function')


ToolChoice = Annotated[Literal["none", "auto", "required"] | ToolChoiceIn | None, BeforeValidator(_read_choice)]


class SearchIn(Spending):
    """How to spend a budget. Fields that the strategy does not read must keep their defaults."""

    steps: StepsIn | None = Field(None, description="Where the steps of a response end; null takes the recipe's rule.")
    judge: Literal["answer", "all"] = Field(
        "answer", description="What the verifier judges of a policy that thinks: the answer, or the thoughts as well."
    )
    early_stop: EarlyStopIn = Field(
        "exact",
        description="Work to leave out: what can no longer change the answer (exact, or true), what probably does not "
        "(probable; of majority, best_of_n, weighted_best_of_n, dvts and auto), or none (false).",
    )
    stop_probability: Real = Field(
        Probable().probability,
        gt=0.5,
        lt=1,
        description="With early_stop probable: that the answer is the one of all n, over problems as they come.",
    )
    deadline_s: Real | None = Field(
        None, gt=0, le=MAX_DEADLINE_S, description="Seconds after which the best so far is returned."
    )
    verify: Literal["sympy"] | None = Field(
        None, description="Check answers by substitution where the problem is to solve an equation; wrong ones lose."
    )
    checker: Literal["unit_tests"] | None = Field(
        None, description="unit_tests: answers are programs, and one that passes `tests` wins."
    )
    tests: TestText | None = Field(None, description="Python with assert statements; the policy does not see it.")
    vote_on: list[Annotated[str, StringConstraints(min_length=1, max_length=MAX_FIELD_CHARS)]] | None = Field(
        None,
        min_length=1,
        max_length=MAX_VOTED_FIELDS,
        description="Of JSON responses, the keys or JSON pointers that alone vote; of calls, those of their arguments.",
    )


class ProblemIn(Asked):
    """A problem."""

    problem: Text = Field(examples=["Compute 8 + 6 * 4 - 12."])


class SolveRequest(SearchIn, ProblemIn):
    """A problem, a budget, and how to spend it. Fields that the strategy does not read must keep their defaults."""

    temperature: Real = Field(0.8, ge=0, le=2, description="Of sampling; at 0 the most probable token is taken.")
    top_p: Real = Field(1.0, gt=0, le=1, description="Probability of the tokens that are sampled from, together.")
    max_tokens: Count = Field(2048, ge=1, le=MAX_TOKENS, description="Longest response, in tokens.")
    seed: Count | None = Field(None, ge=0, le=2**63 - 1, description="The same seed gives the same candidates.")
    system_prompt: Instruction | None = Field(
        None, description="Instruction to the policy; null takes the recipe's, an empty text none."
    )
    thinking_budget: Count | None = Field(
        None, ge=0, le=MAX_TOKENS, description="Tokens of thoughts in a response; then the answer has to follow."
    )
    reasoning_effort: Effort | None = Field(None, description="How much to think, for chat templates that read it.")
    chat_template_kwargs: TemplateArguments | None = Field(
        None, description="Arguments of the policy's chat template, those that the recipe allows."
    )
    response_format: ResponseFormat = Field(None, description="What every response must look like.")
    tools: list[ToolIn] | None = Field(None, max_length=MAX_TOOLS, description="Functions that responses may call.")
    tool_choice: ToolChoice = Field(
        None, description="With tools: required or a function, so that every response calls; or none."
    )
    parallel_tool_calls: bool | None = Field(None, strict=True, description="False: a response makes one call.")
    stream: bool = Field(False, strict=True, description="Reply with events as the search tree grows.")
    background: bool = Field(
        False, strict=True, description="Run on when the client goes; `GET /solve/{id}` has the result and the events."
    )
    include: Evidence = Field({"candidates", "tree"}, description="Evidence to return.")


class BatchRequest(Asked):
    """Requests that are answered together, each on its own."""

    requests: list[Any] = Field(
        min_length=1,
        max_length=MAX_BATCH,
        description="Each as for `POST /solve`; an invalid one does not fail the others.",
        examples=[[{"problem": "Compute 8 + 6 * 4 - 12.", "n": 4}]],
    )


class VoteOut(Wire):
    """The votes for one equivalence class of answers; `answer` is null for responses without a valid answer."""

    answer: str | None
    count: int
    weight: float | None = Field(description="Sum of the scores; null if nothing was judged.")
    strength: float | None = Field(
        None, description="Of its best response in the tournament: mean chance against a pivot; null without one."
    )


class TestsOut(Wire):
    """What the tests said of the programs, how many to each."""

    passed: int
    failed: int
    timeout: int
    untested: int = Field(description="They could win no more, or there was no time.")


class TrialOut(Wire):
    """What the tests said of one program."""

    outcome: Literal["passed", "failed", "timeout", "untested"]
    detail: str | None = Field(description="What failed, or why it was not tested.")
    seconds: float


class FieldOut(Wire):
    """How far the responses agree with the answer on one of its fields."""

    agreement: float = Field(description="Share of the complete responses that have the same there.")
    confidence: float | None = Field(description="The same share by score; null if nothing was judged.")


class StoppingOut(Wire):
    """How a search ended that may stop when its answer is probable."""

    rule: Literal["probable", "exact", "confidence", "all"] = Field(
        description="The answer probably stays; it cannot change; it reached target_confidence; or all were drawn."
    )
    num_candidates: int = Field(description="Candidates drawn, including those that the stop cut off.")
    of: int = Field(description="Candidates that the whole search would have drawn.")
    change_probability_bound: float = Field(
        description="Probability that the whole search would have elected another answer, at most."
    )


class NoveltyOut(Wire):
    """How unlike the problems that confidence was calibrated on the problem is."""

    share: float = Field(description="Of the problem's parts, those that none of them has.")
    limit: float = Field(description="Above it the problem is unfamiliar.")


class DiagnosticsOut(Wire):
    """How far the answer can be trusted; null where there is nothing to measure."""

    agreement: float | None = Field(description="Share of the complete responses that give the answer.")
    entropy: float | None = Field(description="Shannon entropy of the answers, in nats.")
    distinct_answers: int
    refuted: int = Field(description="Complete responses whose answer failed the check that `verify` asks for.")
    score_mean: float | None
    score_std: float | None
    best_minus_mean: float | None
    warnings: list[str]
    tests: TestsOut | None = Field(None, description="Null without `checker`.")
    fields: dict[str, FieldOut] | None = Field(
        None, description="Of an answer in JSON, by JSON pointer; the calls of tools in the order of their names."
    )
    stopping: StoppingOut | None = Field(None, description="With early_stop probable, unless the deadline ended it.")
    familiar: bool | None = Field(
        None,
        description="Whether the problem is like those that confidence was calibrated on; null if that is not known.",
    )
    novelty: NoveltyOut | None = Field(None, description="What `familiar` was read from.")


class Usage(Wire):
    """Every token generated or judged, including those of pruned and stopped candidates."""

    prompt_tokens: int = Field(description="The problem after the chat template, counted once.")
    completion_tokens: int = Field(description="Generated by the policy.")
    reasoning_tokens: int = Field(0, description="Those of them that are thoughts.")
    verifier_tokens: int = Field(description="Computed by the verifier.")
    verifier_cached_tokens: int = Field(description="Judged from the cache.")
    speculative_tokens: int = Field(
        0, description="Generated and computed for candidates that were begun early and in vain; counted above, too."
    )
    test_runs: int = Field(0, description="Programs run against the tests; of several alike one.")
    test_s: float = Field(0.0, description="Seconds that these took together.")
    candidates: int = Field(description="Responses brought to an end.")
    rounds: int = Field(description="Sequential expansions.")


class Timing(Wire):
    """Where the time went, in seconds."""

    queue_s: float
    search_s: float
    total_s: float


class StepOut(Wire):
    """A step and its score; null if it was not judged."""

    text: str
    score: float | None
    thinking: bool = Field(description="Whether it is of the thoughts.")


class CandidateOut(Wire):
    """A response that was brought to an end or stopped."""

    id: str
    thinking: str | None = Field(description="The thoughts before the response; null without any.")
    response: str
    answer: str | None
    verified: bool | None = Field(description="Whether the answer passed the check; null if it was not checked.")
    trial: TrialOut | None = Field(None, description="What the tests said of its program.")
    score: float | None
    finish: Finish
    steps: list[StepOut]
    tokens: int


class NodeOut(Wire):
    """A node of the search tree. Thoughts and response of a candidate are the steps from the root to it."""

    id: str = Field(description="Which child it is at each expansion, joined by dots.")
    parent: str | None = Field(description="Null for children of the root, which is the problem itself.")
    steps: list[StepOut]
    tokens: int = Field(description="Generated since its parent.")
    score: float | None
    state: Literal["expanded"] | Finish = Field(description="Expanded if it has children, otherwise how it ended.")


class TreeOut(Wire):
    """The search tree, parents before their children."""

    nodes: list[NodeOut]


class SolveResponse(Wire):
    """The answer and the evidence for it."""

    id: str
    answer: str | None
    thinking: str | None = Field(None, description="The thoughts before the response; null without any.")
    response: str | None
    trial: TrialOut | None = Field(None, description="What the tests said of the program in the response.")
    score: float | None
    confidence: float | None = Field(
        description="Calibrated probability that the answer is right; null where no such search was measured, or if "
        "the problem is unfamiliar."
    )
    status: Literal["complete", "deadline", "degraded"]
    status_reason: str | None = Field(None, description="Which candidates were lost and why.")
    strategy: dict[str, Shown]
    votes: list[VoteOut]
    diagnostics: DiagnosticsOut
    usage: Usage
    timing: Timing
    candidates: list[CandidateOut] | None = None
    tree: TreeOut | None = None


class ErrorBody(Wire):
    """What went wrong, in OpenAI's format."""

    message: str
    type: str
    param: str | None
    code: str | None


class BatchFailure(Wire):
    """What went wrong with one request of a batch."""

    error: ErrorBody
    http_status: int = Field(description="Status that `POST /solve` would return.")
    retry_after_s: int | None = Field(description="Seconds until a retry may succeed; null if unknown.")


class BatchResponse(Wire):
    """The result of each request, in order."""

    results: list[SolveResponse | BatchFailure]


class PairIn(Asked):
    """Two answers; null or blank text means no answer."""

    a: AnswerText | None = Field(examples=["0.5"])
    b: AnswerText | None = Field(examples=[r"\frac{1}{2}"])


class EquivalenceRequest(Asked):
    """Pairs of answers to compare."""

    pairs: list[PairIn] = Field(min_length=1, max_length=MAX_PAIRS)


class EquivalenceOut(Wire):
    """The comparison of one pair."""

    equivalent: bool = Field(description="Whether they are the same answer; false if one is missing.")
    canonical: tuple[str | None, str | None] = Field(description="What each is compared as; null for a missing answer.")
    reason: str = Field(description="Why, in plain words.")


class EquivalenceResponse(Wire):
    """The results, in the order of the pairs."""

    results: list[EquivalenceOut]


class Following(Wire):
    """How to look at a search that outlives its connection."""

    stream: bool = Field(False, description="Reply with its events.")
    starting_after: int | None = Field(
        None, ge=0, le=2**53, description="With stream: the event behind which to go on."
    )


class BackgroundOut(Wire):
    """A search that outlives its connection."""

    id: str = Field(description="Without keys, all that is needed to see the search.")
    state: Literal["queued", "running", "complete", "failed", "cancelled"]
    created: float = Field(description="Unix time.")
    expires: float | None = Field(description="Unix time at which it is forgotten; null until it has ended.")
    error: ErrorBody | None = Field(description="Why it failed.")
    result: SolveResponse | None = Field(description="Once it is complete.")


class SpreadOut(Wire):
    """A quantity over problems."""

    low: float = Field(description="One problem in ten stays below.")
    expected: float = Field(description="The mean.")
    high: float = Field(description="One problem in ten exceeds it.")


class EstimateResponse(Wire):
    """What a search will probably take; null where nothing like it was measured."""

    completion_tokens: SpreadOut | None
    verifier_tokens: SpreadOut | None
    seconds: SpreadOut | None = Field(description="Of the search, without the queue.")
    queue_s: float = Field(description="Probable wait for a place.")
    accuracy: SpreadOut | None = Field(description="Probability that the answer is right.")
    basis: str = Field(description="What this rests on, in words.")


class ErrorResponse(Wire):
    """An error and the request it belongs to."""

    error: ErrorBody
    request_id: str
