"""Judges the responses of one request: cut into steps in their turn, judged, and voted on."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from models.errors import ContextOverflowError
from models.interfaces import (
    PARAGRAPHS,
    Cutter,
    Problem,
    ReadsConfidences,
    Sampling,
    Step,
    StepRule,
    Verdict,
    Verifier,
    verdict_of,
)
from search.answers.answer import Answer
from search.expander import Models
from search.given import Given
from search.observer import Observer, Silence
from search.solve import SearchResult, solve
from search.voting import Selection
from server.errors import RequestError
from server.given import ChooseRequest, ChooseResponse, GivenRequest, ScoreRequest, ScoreResponse
from server.keys import Client
from server.schemas import Timing
from server.solving.familiar import compare
from server.solving.judged import Judged, chosen_reply, scored_reply
from server.solving.planning import count_prompt_tokens
from server.solving.searching import begun, built
from server.solving.state import State

logger = logging.getLogger(__name__)

CHARS_PER_TOKEN = 3
"""What a token holds at least, on average; a request waits in the queue for so many tokens."""


class NoReader:
    """Reads no answer."""

    async def read(self, response: str) -> Answer | None:
        return None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of judging.

    Attributes:
        reply: What the client reads.
    """

    reply: ScoreResponse | ChooseResponse


@dataclass(frozen=True, slots=True)
class Judging:
    """Responses that can be judged.

    Attributes:
        request: Within the limits of the service.
        problem: Of the request.
        models: The verifier that the request needs, and the reader of answers.
        rule: Where the steps of a text end.
        cost: Tokens to judge, about.
        client: Of the request.
        arrived: When the request came, by `time.perf_counter`; its deadline counts from there.
        state: Of the service.
    """

    request: GivenRequest
    problem: Problem
    models: Models
    rule: StepRule
    cost: int
    client: Client
    arrived: float
    state: State

    @classmethod
    def plan(cls, request: GivenRequest, state: State, client: Client, arrived: float) -> "Judging":
        """Plan to judge the responses of a request; nothing is tokenised yet.

        Raises:
            RequestError: The service cannot judge them.
        """
        problem = Problem(request.problem, request.system_prompt, request.turns)
        steps = request.steps or state.settings.steps
        rule = steps.rule if steps else PARAGRAPHS
        return cls(request, problem, _models(request, state), rule, _cost(request, state), client, arrived, state)

    async def begin(self, observer: Observer) -> asyncio.Task[Outcome]:
        """Start a task that judges, and return it once it has a place in the queue.

        Raises:
            FullError: The queue is full.
            ContextOverflowError: The problem leaves no room for a response.
        """
        return await begun(lambda on_joined: self.run(observer, on_joined))

    async def run(self, observer: Observer | None = None, on_joined: Callable[[], None] = lambda: None) -> Outcome:
        """Wait for its turn, then judge; cancelling stops the work of the engines.

        Args:
            observer: Is told of scores as they come.
            on_joined: Called once only a model or the queue can still fail.

        Raises:
            FullError: The queue is full, or the deadline passed in it.
            ContextOverflowError: The problem leaves no room for a response.
            EngineUnavailableError: The verifier failed, and judged no response.
            RequestError: No response fits into the verifier's context.
        """
        unseen = partial(self.state.lengths.unseen, self.cost)
        with self.state.admission.join(self.client, self.cost, unseen) as place:
            prompt_tokens = await count_prompt_tokens(self.problem, self.models.policy)
            await asyncio.to_thread(self._refuse_special_tokens)
            on_joined()
            await place.reach(self._left_s())
            started = time.perf_counter()
            responses = await asyncio.to_thread(self._cut)
            result = await self._judge(responses, observer or Silence())
            ended = time.perf_counter()
        if isinstance(self.request, ChooseRequest):
            result = await compare(result, self.problem, self.state)
        timing = Timing(queue_s=place.waited_s, search_s=ended - started, total_s=ended - self.arrived)
        self.state.metrics.record_judged(result, timing)
        self._log(result, timing)
        judged = Judged(responses, result, prompt_tokens, timing)
        return Outcome(await built(partial(self._reply, judged), result.candidates))

    def _reply(self, judged: Judged) -> ScoreResponse | ChooseResponse:
        if isinstance(self.request, ChooseRequest):
            return chosen_reply(self.request, judged, self.state.calibrated.table)
        return scored_reply(judged)

    def _refuse_special_tokens(self) -> None:
        """Refuse a response that spells a special token, unless it is to be read as text.

        Raises:
            RequestError: One does.
        """
        if self.request.special_tokens == "text":
            return
        for index, response in enumerate(self.request.responses):
            for text in texts_of(response):
                if token := self._cutter.special_token_in(text):
                    where = f"responses.{index}"
                    remedy = 'remove it, or set special_tokens to "text"'
                    message = f"{where}: spells the special token {token}; {remedy}"
                    raise RequestError(message, where, code="special_token")

    def _cut(self) -> tuple[tuple[Step, ...], ...]:
        is_complete = self.request.complete if isinstance(self.request, ScoreRequest) else True
        cutter = self._cutter
        return tuple(cutter.cut(response, self.rule, is_complete=is_complete) for response in self.request.responses)

    async def _judge(self, responses: tuple[tuple[Step, ...], ...], observer: Observer) -> SearchResult:
        is_by_step = isinstance(self.request, ScoreRequest) and verdict_of(self.models.verifier) is Verdict.CALL
        result = await solve(
            self.problem,
            Given(responses, selection_of(self.request), self.models.verifier is not None, is_by_step),
            self.models,
            Sampling(temperature=0, top_p=1, max_tokens=1),
            aggregation=self.request.aggregation,
            deadline_s=self._left_s(),
            observer=observer,
        )
        if not result.candidates and result.losses and isinstance(result.losses[0].error, ContextOverflowError):
            raise RequestError(f"responses: {result.losses[0].error}", "responses", code="context_length_exceeded")
        return result

    @property
    def _cutter(self) -> Cutter:
        assert isinstance(self.models.policy, Cutter)  # noqa: S101 - the composition root makes it so
        return self.models.policy

    def _left_s(self) -> float | None:
        deadline_s = self.request.deadline_s
        return None if deadline_s is None else self.arrived + deadline_s - time.perf_counter()

    def _log(self, result: SearchResult, timing: Timing) -> None:
        logger.info(
            "judged n=%d client=%s status=%s verifier_tokens=%d queue_s=%.3f total_s=%.3f",
            len(self.request.responses),
            self.client.name,
            result.status.value,
            result.meter.verifier_tokens,
            timing.queue_s,
            timing.total_s,
        )


def texts_of(response: str | list[str]) -> list[str]:
    """Return the texts of a response, which is one or the list of its steps."""
    return [response] if isinstance(response, str) else response


def selection_of(request: GivenRequest) -> Selection:
    """Return how the answer is chosen; where only scores are asked for, it does not matter."""
    return request.selection if isinstance(request, ChooseRequest) else Selection.BEST


def _models(request: GivenRequest, state: State) -> Models:
    """Return the models that a request needs.

    Raises:
        RequestError: The service has no verifier, or none that judges steps.
    """
    if isinstance(request, ChooseRequest):
        return replace(state.models, verifier=_chooser(request, state))
    return replace(state.models, verifier=_step_verifier(state), reader=NoReader())


def _chooser(request: ChooseRequest, state: State) -> Verifier | None:
    if request.selection is Selection.MAJORITY:
        if request.aggregation is not ChooseRequest.model_fields["aggregation"].default:
            raise RequestError("aggregation: not supported by selection majority; omit it", "aggregation")
        return None
    if state.models.verifier is None:
        choice = request.selection.value
        message = f"selection: {choice} needs a verifier, which this service does not have; use majority"
        raise RequestError(message, "selection")
    _refuse_confidence(state, "selection")
    if request.selection is Selection.TOURNAMENT:
        return state.models.verifier  # which compares; a memory of scores does not
    return state.step_verifier or state.models.verifier


def _step_verifier(state: State) -> Verifier:
    if state.models.verifier is None:
        message = "responses: this service has no verifier; start winnow with verifier_model and verifier_format"
        raise RequestError(message, "responses", code="no_verifier")
    _refuse_confidence(state, "responses")
    if verdict_of(state.models.verifier) is Verdict.RESPONSE:
        name = state.settings.verifier_format
        message = f"responses: verifier_format {name} judges whole responses, not steps; use POST /v1/answers/choose"
        raise RequestError(message, "responses", code="no_step_verifier")
    return state.step_verifier or state.models.verifier


def _refuse_confidence(state: State, field: str) -> None:
    """Refuse a verifier that reads how sure the policy was of its tokens, which nobody knows of other responses.

    Raises:
        RequestError: The service has such a one.
    """
    if isinstance(state.models.verifier, ReadsConfidences):
        name = state.settings.verifier_format
        message = f"{field}: verifier_format {name} reads what the policy said of its own tokens; it judges no others"
        raise RequestError(message, field, code="no_step_verifier")


def _cost(request: GivenRequest, state: State) -> int:
    """Return about how many tokens are judged.

    Raises:
        RequestError: They are more than the service allows.
    """
    num_chars = sum(len(text) for response in request.responses for text in texts_of(response))
    cost = num_chars // CHARS_PER_TOKEN + len(request.responses)
    if cost > state.settings.max_cost:
        raise RequestError(
            f"responses: {num_chars:,} characters are about {cost:,} tokens; allowed: {state.settings.max_cost:,} "
            "tokens in a request; send fewer responses at once",
            "responses",
        )
    return cost
