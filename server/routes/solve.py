"""`POST /solve`: a problem and a budget in, an answer and the evidence for it out."""

import logging
import time
from typing import Any

from fastapi import APIRouter, Request

from search.aggregation import Aggregation
from search.solve import solve
from server.access import client_of
from server.disconnect import until_disconnect
from server.keys import Client
from server.limits import cost_of, within
from server.planning import plan_models, plan_problem, plan_sampling, plan_strategy
from server.replies import reply
from server.schemas import ErrorResponse, SolveRequest, SolveResponse, Timing
from server.state import State

logger = logging.getLogger(__name__)
router = APIRouter(tags=["solve"])

STATUSES = (400, 415, 422, 429, 500, 503)
ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorResponse} for status in STATUSES}


@router.post("/solve", responses=ERRORS)
async def post_solve(body: SolveRequest, request: Request) -> SolveResponse:
    """Search for the answer of a problem with a budget of N candidates."""
    search = search_for(body, State.of(request), client_of(request), time.perf_counter())
    return await until_disconnect(request, search)


async def search_for(body: SolveRequest, state: State, client: Client, arrived: float) -> SolveResponse:
    """Search when it is the turn of this request; what can be refused is refused before it waits.

    Args:
        body: What is asked.
        state: Of the service.
        client: Who asks.
        arrived: When, by `time.perf_counter`: the deadline counts from there.

    Raises:
        RequestError: The request cannot be served.
        FullError: The queue is full, or the deadline passed in it.
        ModelError: A model failed, or the problem is longer than its context.
        SearchError: The search cannot run with these hyperparameters.
    """
    body = within(body, state.settings)
    strategy, problem, models = plan_strategy(body), plan_problem(body), plan_models(body, state.models)

    def left_s() -> float | None:
        return None if body.deadline_s is None else arrived + body.deadline_s - time.perf_counter()

    with state.admission.join(client, cost_of(body, models.policy.context, state.settings)) as place:
        prompt_tokens = models.policy.count_prompt_tokens(problem)
        await place.reach(left_s())
        started = time.perf_counter()
        sampling, aggregation = plan_sampling(body), Aggregation(body.aggregation)
        result = await solve(problem, strategy, models, sampling, aggregation=aggregation, deadline_s=left_s())
    ended = time.perf_counter()
    timing = Timing(queue_s=place.waited_s, search_s=ended - started, total_s=ended - arrived)
    answer = reply(body, result, prompt_tokens, timing)
    logger.info(
        "solve %s n=%d client=%s status=%s answered=%s completion_tokens=%d verifier_tokens=%d queue_s=%.3f "
        "total_s=%.3f",
        body.strategy,
        body.n,
        client.name,
        answer.status,
        answer.answer is not None,
        answer.usage.completion_tokens,
        answer.usage.verifier_tokens,
        timing.queue_s,
        timing.total_s,
    )
    return answer
