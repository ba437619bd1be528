"""`POST /solve`: a problem and a budget in, an answer and the evidence for it out."""

import logging
import time
from typing import Any

from fastapi import APIRouter, Request

from search.aggregation import Aggregation
from search.solve import solve
from server.disconnect import until_disconnect
from server.planning import plan_models, plan_problem, plan_sampling, plan_strategy
from server.replies import reply
from server.schemas import ErrorResponse, SolveRequest, SolveResponse, Timing
from server.state import State

logger = logging.getLogger(__name__)
router = APIRouter(tags=["solve"])

ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorResponse} for status in (400, 415, 422, 500, 503)}


@router.post("/solve", responses=ERRORS)
async def post_solve(body: SolveRequest, request: Request) -> SolveResponse:
    """Search for the answer of a problem with a budget of N candidates."""
    received = time.perf_counter()
    state = State.of(request)
    strategy, problem = plan_strategy(body), plan_problem(body)
    prompt_tokens = state.models.policy.count_prompt_tokens(problem)
    started = time.perf_counter()
    search = solve(
        problem,
        strategy,
        plan_models(body, state.models),
        plan_sampling(body),
        aggregation=Aggregation(body.aggregation),
        deadline_s=body.deadline_s,
    )
    result = await until_disconnect(request, search)
    ended = time.perf_counter()
    timing = Timing(queue_s=started - received, search_s=ended - started, total_s=ended - received)
    answer = reply(body, result, prompt_tokens, timing)
    logger.info(
        "solve %s n=%d status=%s answered=%s completion_tokens=%d verifier_tokens=%d total_s=%.3f",
        body.strategy,
        body.n,
        answer.status,
        answer.answer is not None,
        answer.usage.completion_tokens,
        answer.usage.verifier_tokens,
        timing.total_s,
    )
    return answer
