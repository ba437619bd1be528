"""From the result of a search to the reply."""

from dataclasses import asdict
from typing import Literal

from asgi_correlation_id import correlation_id

from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.candidate import Candidate
from search.compute_optimal import ComputeOptimal
from search.diagnostics import Diagnostics
from search.observer import Loss
from search.solve import SearchResult, Status
from search.strategy import Decision, Strategy
from search.voting import Selection
from server.calibration.table import Calibration
from server.planning import AUTO_FIELDS, TREE_FIELDS, UNUSED_FIELDS, Planned
from server.schemas import (
    AdaptationOut,
    AdaptIn,
    CandidateOut,
    DiagnosticsOut,
    Finish,
    NodeOut,
    SolveRequest,
    SolveResponse,
    StepOut,
    Timing,
    TreeOut,
    Usage,
    VoteOut,
)

FLAT = {
    Selection.MAJORITY: "majority",
    Selection.BEST: "best_of_n",
    Selection.WEIGHTED: "weighted_best_of_n",
}
MEASURED_AT_DEFAULT = ("system_prompt", "lookahead", "aggregation", "selection", "verify", "adapt")
"""Fields that change what a support means; calibration leaves them at their defaults."""

Told = str | int | float | bool | AdaptIn | None
SAMPLING_FIELDS = ("temperature", "top_p", "max_tokens", "seed")
HYPERPARAMETERS = ("n", *TREE_FIELDS, "aggregation", *SAMPLING_FIELDS, "early_stop", "verify", "adapt", *AUTO_FIELDS)


def reply(
    request: SolveRequest,
    planned: Planned,
    result: SearchResult,
    table: Calibration | None,
    prompt_tokens: int,
    timing: Timing,
) -> SolveResponse:
    """Build the reply of `POST /solve`."""
    chosen = result.chosen
    final = [candidate for candidate in result.candidates if not candidate.is_growing]
    return SolveResponse(
        id=correlation_id.get() or "",
        answer=chosen.answer.text if chosen and chosen.answer else None,
        response=chosen.text if chosen else None,
        score=chosen.score if chosen else None,
        confidence=_confidence(request, planned, result, table),
        status=result.status.value,
        status_reason=_losses(result.losses),
        strategy=_strategy(request, planned, result.decision),
        votes=[VoteOut(answer=vote.answer, count=vote.count, weight=vote.weight) for vote in result.votes],
        diagnostics=_diagnostics(result.diagnostics),
        usage=Usage(
            prompt_tokens=prompt_tokens,
            completion_tokens=result.meter.completion_tokens,
            verifier_tokens=result.meter.verifier_tokens,
            verifier_cached_tokens=result.meter.verifier_cached_tokens,
            candidates=len(result.final_candidates),
            rounds=result.rounds,
        ),
        timing=timing,
        adaptation=AdaptationOut(**asdict(result.adaptation)) if result.adaptation else None,
        candidates=[_candidate(candidate) for candidate in final] if "candidates" in request.include else None,
        tree=_tree(result.candidates) if "tree" in request.include else None,
    )


def _strategy(request: SolveRequest, planned: Planned, decision: Decision | None) -> dict[str, Told]:
    """Return what was run, with every hyperparameter that it has, and why."""
    used = [name for name in HYPERPARAMETERS if name not in UNUSED_FIELDS[planned.name]]
    told: dict[str, Told] = {"name": planned.name} | {name: getattr(request, name) for name in used}
    if not isinstance(planned.strategy, ComputeOptimal):
        return told | {"reason": planned.reason}
    probe = describe(planned.strategy.probe)
    if decision is None:
        return told | {"probe": probe, "reason": f"{planned.reason}: time was up in the probe, {probe}"}
    rest = describe(decision.rest) if decision.rest else None
    found = f"{probe} was {decision.confidence:.0%} sure (difficulty {decision.difficulty} of {decision.num_bins})"
    return told | {
        "probe": probe,
        "probe_confidence": decision.confidence,
        "difficulty": decision.difficulty,
        "rest": rest,
        "reason": f"{planned.reason}: {found}, {f'so {rest} followed' if rest else 'so nothing followed'}",
    }


def describe(strategy: Strategy) -> str:
    """Return the name of a strategy with its budget, as the names of models have it."""
    match strategy:
        case BestOfN():
            return f"{FLAT[strategy.selection]}-{strategy.n}"
        case BeamSearch():
            return f"beam_search-{strategy.n}"
        case _:
            return f"dvts-{strategy.n}"


def _confidence(
    request: SolveRequest, planned: Planned, result: SearchResult, table: Calibration | None
) -> float | None:
    """Return how probable the answer is; None where no such search was measured."""
    is_drawn_alike = table is not None and (request.temperature, request.top_p) == (table.temperature, 1.0)
    if table is None or not is_drawn_alike or result.status is not Status.COMPLETE:
        return None
    if isinstance(planned.strategy, ComputeOptimal):
        decision = result.decision
        if decision is None or decision.rest is None:
            return decision.confidence if decision else None
        return planned.strategy.final_confidence.of(result.votes)
    defaults = (getattr(request, name) == SolveRequest.model_fields[name].default for name in MEASURED_AT_DEFAULT)
    confidence = table.confidence_of(planned.name, request.n)
    return confidence.of(result.votes) if confidence and all(defaults) else None


def _diagnostics(found: Diagnostics) -> DiagnosticsOut:
    return DiagnosticsOut(**asdict(found) | {"warnings": [caution.text for caution in found.warnings]})


def _losses(losses: tuple[Loss, ...]) -> str | None:
    if not losses:
        return None
    return "lost " + "; ".join(f"{name_of(loss.path)}: {loss.error}" for loss in losses)


def name_of(path: tuple[int, ...]) -> str:
    """The name of the node at `path`."""
    return ".".join(map(str, path))


def _steps(candidate: Candidate, first: int = 0) -> list[StepOut]:
    scores = (*candidate.step_scores, *[None] * len(candidate.steps))
    return [
        StepOut(text=step.text, score=score)
        for step, score in list(zip(candidate.steps, scores, strict=False))[first:]
        if not step.is_blank
    ]


def state_of(candidate: Candidate) -> Literal["growing", "complete", "truncated", "stopped"]:
    """Whether a candidate grows, or how it ended."""
    if candidate.is_growing:
        return "growing"
    if candidate.is_stopped:
        return "stopped"
    return "complete" if candidate.is_complete else "truncated"


def _finish(candidate: Candidate) -> Finish:
    """How a candidate of a search that is over has ended."""
    state = state_of(candidate)
    return "dropped" if state == "growing" else state


def _candidate(candidate: Candidate) -> CandidateOut:
    return CandidateOut(
        id=name_of(candidate.path),
        response=candidate.text,
        answer=candidate.stated.text if candidate.stated else None,
        verified=candidate.stated.is_verified if candidate.stated else None,
        score=candidate.score,
        finish=_finish(candidate),
        steps=_steps(candidate),
        tokens=candidate.num_tokens,
    )


def _tree(candidates: tuple[Candidate, ...]) -> TreeOut:
    by_path = {candidate.path: candidate for candidate in candidates}
    parents = {candidate.path[:-1] for candidate in candidates}
    nodes = []
    for path, candidate in by_path.items():
        parent = by_path.get(path[:-1])
        nodes.append(
            NodeOut(
                id=name_of(path),
                parent=name_of(parent.path) if parent else None,
                steps=_steps(candidate, first=len(parent.steps) if parent else 0),
                tokens=candidate.num_tokens - (parent.num_tokens if parent else 0),
                score=candidate.score,
                state="expanded" if path in parents else _finish(candidate),
            )
        )
    return TreeOut(nodes=nodes)
