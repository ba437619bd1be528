"""Runs the search that a request of OpenAI's asks for."""

import logging
import time
from dataclasses import dataclass

from search.aggregation import Aggregation
from search.observer import Observer
from search.solve import SearchResult, solve
from server.openai.planning import Plan
from server.planning import plan_sampling
from server.replies import reply
from server.schemas import SolveResponse, Timing

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a search.

    Attributes:
        result: What it found.
        evidence: What `POST /solve` would have said.
    """

    result: SearchResult
    evidence: SolveResponse


async def run(plan: Plan, observer: Observer | None = None) -> Outcome:
    """Search.

    Raises:
        EngineUnavailableError: An engine failed and no candidate is complete.
    """
    started = time.perf_counter()
    request = plan.request
    result = await solve(
        plan.problem,
        plan.strategy,
        plan.models,
        plan_sampling(request),
        aggregation=Aggregation(request.aggregation),
        deadline_s=request.deadline_s,
        observer=observer,
    )
    search_s = time.perf_counter() - started
    timing = Timing(queue_s=0.0, search_s=search_s, total_s=search_s)
    evidence = reply(request, result, plan.prompt_tokens, timing)
    logger.info(
        "openai %s n=%d status=%s answered=%s completion_tokens=%d verifier_tokens=%d total_s=%.3f",
        request.strategy,
        request.n,
        evidence.status,
        evidence.answer is not None,
        evidence.usage.completion_tokens,
        evidence.usage.verifier_tokens,
        search_s,
    )
    return Outcome(result, evidence)
