"""One search for one request: planned, which refuses what cannot run; admitted in its turn; and run."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from models.errors import EngineUnavailableError
from models.interfaces import Meter, Problem, Turn
from search.candidate import Candidate
from search.expander import Models
from search.observer import Observer, Silence
from search.solve import SearchResult, solve
from search.tournament import comparer_for
from server.errors import RequestError
from server.http.disconnect import stop
from server.keys import Client
from server.schemas import SolveRequest, SolveResponse, Timing
from server.solving.admission import Place, Standing
from server.solving.familiar import compare
from server.solving.forms import Form, cause_of, plan_form, require_parser, try_grammar
from server.solving.planning import (
    Planned,
    cost_of,
    count_prompt_tokens,
    num_responses,
    plan_aggregation,
    plan_models,
    plan_problem,
    plan_sampling,
    plan_strategy,
    within,
)
from server.solving.replies import reply
from server.solving.seen import Kind, kind_of
from server.solving.state import State
from server.solving.tracing import describe, search_span

logger = logging.getLogger(__name__)

T = TypeVar("T")
MANY_STEPS = 2_000
"""Of all candidates: a reply with more is built in a thread, since with 60,000 it takes a third of a second."""


class Audience(Protocol):
    """Is told of a search before and after it runs. Must return at once."""

    def on_queue(self, standing: Standing) -> None:
        """Its place in the queue has changed."""

    def on_turn(self, prompt_tokens: int, meter: Meter) -> None:
        """It runs from now on; its tokens are counted by `meter`."""

    def on_reply(self, reply: SolveResponse) -> None:
        """It has ended."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a search.

    Attributes:
        result: What it found.
        reply: The reply of `POST /solve`.
        form: What responses must look like; None for text.
    """

    result: SearchResult
    reply: SolveResponse
    form: Form | None = None


async def built(build: Callable[[], T], candidates: Sequence[Candidate]) -> T:
    """Return a reply on candidates, built where that does not hold the event loop up."""
    is_large = sum(len(candidate.steps) for candidate in candidates) > MANY_STEPS
    return await asyncio.to_thread(build) if is_large else build()


async def begun(run: Callable[[Callable[[], None]], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
    """Start a task, and return it once it has a place in the queue; what is wrong before that is raised.

    Args:
        run: Is given what to call once it has its place.
    """
    has_joined = asyncio.Event()
    task = asyncio.create_task(run(has_joined.set))
    task.add_done_callback(lambda _: has_joined.set())
    try:
        await has_joined.wait()
    except asyncio.CancelledError:
        await stop(task)
        raise
    if task.done() and not task.cancelled() and (error := task.exception()):
        raise error
    return task


@dataclass(frozen=True, slots=True)
class Search:
    """A search that can begin.

    Attributes:
        request: Within the limits of the service.
        problem: Of the request.
        planned: Its strategy.
        models: With the reader of answers that it needs.
        cost: Most tokens that it may generate.
        num_responses: That it may generate.
        client: Of the request.
        arrived: When the request came, by `time.perf_counter`; its deadline counts from there.
        state: Of the service.
        form: What responses must look like; None for text.
    """

    request: SolveRequest
    problem: Problem
    planned: Planned
    models: Models
    cost: int
    num_responses: int
    client: Client
    arrived: float
    state: State
    form: Form | None = None

    @classmethod
    def plan(
        cls, request: SolveRequest, state: State, client: Client, arrived: float, history: tuple[Turn, ...] = ()
    ) -> "Search":
        """Plan the search that a request asks for; nothing is tokenised yet.

        Args:
            request: As the client sent it.
            state: Of the service.
            client: Of the request.
            arrived: When the request arrived, by `time.perf_counter`.
            history: Turns before the problem.

        Raises:
            RequestError: It cannot be served.
            HyperparameterError: Its strategy cannot run with these values, or not with this verifier.
        """
        request = within(request, state.settings)
        form = plan_form(request)
        if form is not None and state.models.policy.thinks:
            require_parser(form, state.settings)
        models = plan_models(request, state.models, state.settings, form)
        planned = plan_strategy(request, state.calibrated, has_verifier=models.verifier is not None, form=form)
        comparer_for(planned.strategy.selection, models.verifier)
        problem = plan_problem(request, models.policy, state.settings, history)
        cost = cost_of(request, models.policy.context, state.settings, form)
        return cls(request, problem, planned, models, cost, num_responses(request), client, arrived, state, form)

    async def begin(
        self,
        observer: Observer,
        audience: Audience | None = None,
        on_started: Callable[[], None] = lambda: None,
    ) -> asyncio.Task[Outcome]:
        """Start a task that runs the search, and return it once the search has a place in the queue.

        Raises:
            RequestError: The tests cannot be compiled.
            FullError: The queue is full.
            ContextOverflowError: The problem leaves no room for a response.
        """
        return await begun(lambda on_joined: self.run(observer, on_joined, audience, on_started))

    async def run(
        self,
        observer: Observer | None = None,
        on_joined: Callable[[], None] = lambda: None,
        audience: Audience | None = None,
        on_started: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """Wait for its turn, then search; cancelling stops the work of the engines.

        Args:
            observer: Of the search.
            on_joined: Called once only a model or the queue can still fail.
            audience: Is told of what comes before and after.
            on_started: Called when its turn has come.

        Raises:
            RequestError: The tests cannot be compiled.
            FullError: The queue is full, or the deadline passed in it.
            ContextOverflowError: The problem leaves no room for a response.
            EngineUnavailableError: An engine failed and no candidate is complete.
            RequestError: What responses must look like cannot be compiled or kept to.
        """
        if self.form is not None:
            await try_grammar(self.form.asked, self.state, self.client, self.request.n)
        meter = Meter()
        expected = partial(self._expected, meter)
        with self.state.admission.join(self.client, self.cost, expected) as place:
            prompt_tokens = await count_prompt_tokens(self.problem, self.models.policy)
            await self._refuse_flawed_tests()
            on_joined()
            if audience:
                place.watch(audience.on_queue)
            await place.reach(self._left_s())
            on_started()
            if audience:
                audience.on_turn(prompt_tokens, meter)
            with search_span(self.state.tracer, self.request, observer or Silence()) as (span, watched):
                try:
                    outcome = await self._search(watched, place, prompt_tokens, meter)
                except EngineUnavailableError as error:
                    raise await cause_of(error, self.form, self.state) from error
                describe(span, outcome.reply)
            if outcome.reply.status == "complete":
                self._remember(outcome.reply)
        self._log(outcome.reply)
        if audience:
            audience.on_reply(outcome.reply)
        return outcome

    async def _refuse_flawed_tests(self) -> None:
        if self.models.examiner is None:
            return
        with suppress(TimeoutError):  # which the queue then tells
            async with asyncio.timeout(self._left_s()):
                flaw = await self.models.examiner.flaw()
                if flaw is not None:
                    raise RequestError(f"tests: {flaw}", "tests")

    async def _search(self, observer: Observer, place: Place, prompt_tokens: int, meter: Meter) -> Outcome:
        request, started = self.request, time.perf_counter()
        with self.state.metrics.search(request.strategy, request.n) as record:
            result = await solve(
                self.problem,
                self.planned.strategy,
                self.models,
                plan_sampling(request, self.form),
                aggregation=plan_aggregation(request),
                judges_thoughts=request.judge == "all",
                deadline_s=self._left_s(),
                observer=observer,
                meter=meter,
            )
            ended = time.perf_counter()
            result = await compare(result, self.problem, self.state)
            timing = Timing(queue_s=place.waited_s, search_s=ended - started, total_s=ended - self.arrived)
            record(result, timing)
        build = partial(reply, request, self.planned, result, self.state.calibrated.table, prompt_tokens, timing)
        return Outcome(result, await built(build, result.candidates), self.form)

    @property
    def kind(self) -> Kind:
        """What its cost depends on, apart from its problem and N."""
        return kind_of(self.request, self.planned.row.name, self.models.policy.context)

    @property
    def expected(self) -> int:
        """Tokens that it will probably take."""
        return self._expected(Meter())

    def _expected(self, meter: Meter) -> int:
        """Return what it will probably take, or what it has generated once that is more."""
        name, strategy = self.client.name, self.request.strategy
        expected = self.state.lengths.expected(name, strategy, self.num_responses, self.cost)
        return max(expected, meter.completion_tokens)

    def _remember(self, answer: SolveResponse) -> None:
        """Keep what it took, before its place is free: the next one is charged by it."""
        state, strategy, usage = self.state, self.request.strategy, answer.usage
        state.seen.add(self.kind, self.planned.strategy.n, answer)
        taken = usage.prompt_tokens + usage.completion_tokens
        typical = state.lengths.add(self.client.name, strategy, self.num_responses, taken)
        if typical is not None:
            state.metrics.response_tokens.labels(strategy).set(typical)

    def _left_s(self) -> float | None:
        deadline_s = self.request.deadline_s
        return None if deadline_s is None else self.arrived + deadline_s - time.perf_counter()

    def _log(self, answer: SolveResponse) -> None:
        logger.info(
            "%s n=%d client=%s status=%s answered=%s completion_tokens=%d verifier_tokens=%d queue_s=%.3f total_s=%.3f",
            self.request.strategy,
            self.request.n,
            self.client.name,
            answer.status,
            answer.answer is not None,
            answer.usage.completion_tokens,
            answer.usage.verifier_tokens,
            answer.timing.queue_s,
            answer.timing.total_s,
        )
