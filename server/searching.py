"""One search for one request: planned, so that nothing is refused any more, then run, and told as a reply."""

import logging
import time
from dataclasses import dataclass

from models.interfaces import Problem
from search.aggregation import Aggregation
from search.expander import Models
from search.observer import Observer, Silence
from search.solve import Strategy, solve
from server.planning import plan_models, plan_problem, plan_sampling, plan_strategy
from server.replies import reply
from server.schemas import SolveRequest, SolveResponse, Timing
from server.state import State
from server.tracing import describe, search_span

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Search:
    """A search that can begin.

    Attributes:
        request: What was asked for.
        problem: Of the request.
        strategy: That it names.
        models: With the reader of answers that it wants.
        prompt_tokens: Of the problem after the chat template.
        received: When the request came, on the clock of `time.perf_counter`.
        state: Of the service.
    """

    request: SolveRequest
    problem: Problem
    strategy: Strategy
    models: Models
    prompt_tokens: int
    received: float
    state: State

    @classmethod
    def plan(cls, request: SolveRequest, state: State) -> "Search":
        """Plan the search that a request asks for.

        Raises:
            RequestError: It cannot be served.
            HyperparameterError: Its strategy cannot run with these values.
            ContextOverflowError: The problem leaves no room for a response.
        """
        received = time.perf_counter()
        strategy, problem = plan_strategy(request), plan_problem(request)
        prompt_tokens = state.models.policy.count_prompt_tokens(problem)
        return cls(request, problem, strategy, plan_models(request, state.models), prompt_tokens, received, state)

    async def run(self, observer: Observer | None = None) -> SolveResponse:
        """Search, and tell `observer` of every growth; cancelling stops the work of the engines.

        Raises:
            EngineUnavailableError: An engine failed and no candidate is complete.
        """
        with search_span(self.state.tracer, self.request, observer or Silence()) as (span, watched):
            answer = await self._run(watched)
            describe(span, answer)
        logger.info(
            "solve %s n=%d status=%s answered=%s completion_tokens=%d verifier_tokens=%d total_s=%.3f",
            self.request.strategy,
            self.request.n,
            answer.status,
            answer.answer is not None,
            answer.usage.completion_tokens,
            answer.usage.verifier_tokens,
            answer.timing.total_s,
        )
        return answer

    async def _run(self, observer: Observer) -> SolveResponse:
        request, started = self.request, time.perf_counter()
        with self.state.metrics.search(request.strategy, request.n) as record:
            result = await solve(
                self.problem,
                self.strategy,
                self.models,
                plan_sampling(request),
                aggregation=Aggregation(request.aggregation),
                deadline_s=request.deadline_s,
                observer=observer,
            )
            ended = time.perf_counter()
            timing = Timing(queue_s=started - self.received, search_s=ended - started, total_s=ended - self.received)
            record(result, timing)
        return reply(request, result, self.prompt_tokens, timing)
