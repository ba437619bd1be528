"""From the result of a search to the reply."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

from asgi_correlation_id import correlation_id

from models.interfaces import Meter
from search.calibration.table import Calibration
from search.candidate import Candidate
from search.diagnostics import Diagnostics
from search.observer import Decision, Loss
from search.solve import SearchResult, Status
from search.strategies import SELECTION, label
from search.voting import Vote, voted
from server.schemas import (
    CandidateOut,
    DiagnosticsOut,
    FieldOut,
    Finish,
    NodeOut,
    Shown,
    SolveRequest,
    SolveResponse,
    StepOut,
    StoppingOut,
    Timing,
    TreeOut,
    TrialOut,
    Usage,
    VoteOut,
)
from server.solving.forms import FORM_FIELDS
from server.solving.planning import OF_THOUGHTS, Planned

MEASURED_AT_DEFAULT = ("verify", "checker", "judge", *FORM_FIELDS, *OF_THOUGHTS)
"""Fields that change the meaning of a vote's support; calibration measures their defaults."""

EVERY_SEARCH = ("temperature", "top_p", "max_tokens", "seed", "early_stop", "verify")
"""Fields that a reply shows for every strategy."""


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
    answer = voted(chosen) if chosen else None
    final = [candidate for candidate in result.candidates if not candidate.is_growing]
    return SolveResponse(
        id=correlation_id.get() or "",
        answer=answer.text if answer else None,
        thinking=chosen.thinking if chosen else None,
        response=chosen.response if chosen else None,
        trial=_trial(chosen) if chosen else None,
        score=chosen.score if chosen else None,
        confidence=_confidence(request, planned, result, table),
        status=result.status.value,
        status_reason=_losses(result.losses),
        strategy=strategy_of(request, planned) | _reason(planned, result.decision),
        votes=votes_of(result.votes),
        diagnostics=diagnostics_of(result.diagnostics),
        usage=usage_of(result.meter, prompt_tokens, len(result.final_candidates), result.rounds),
        timing=timing,
        candidates=[_candidate(candidate) for candidate in final] if "candidates" in request.include else None,
        tree=_tree(result.candidates) if "tree" in request.include else None,
    )


def votes_of(votes: Sequence[Vote[Candidate]]) -> list[VoteOut]:
    """Return the votes in the order given."""
    return [VoteOut(answer=vote.answer, count=vote.count, weight=vote.weight, strength=vote.strength) for vote in votes]


def usage_of(meter: Meter, prompt_tokens: int, num_candidates: int, rounds: int) -> Usage:
    """Return the bill."""
    return Usage(
        prompt_tokens=prompt_tokens,
        completion_tokens=meter.completion_tokens,
        reasoning_tokens=meter.reasoning_tokens,
        verifier_tokens=meter.verifier_tokens,
        verifier_cached_tokens=meter.verifier_cached_tokens,
        speculative_tokens=meter.speculative_tokens,
        test_runs=meter.test_runs,
        test_s=round(meter.test_s, 3),
        candidates=num_candidates,
        rounds=rounds,
    )


def strategy_of(request: SolveRequest, planned: Planned) -> dict[str, Shown]:
    """Return the strategy and its hyperparameters."""
    used = ("n", *(each.name for each in planned.row.fields), *EVERY_SEARCH)
    shown: dict[str, Shown] = {"name": planned.row.name} | {name: getattr(request, name) for name in used}
    shown |= {"selection": planned.strategy.selection.value} if planned.row.reads("selection") else {}
    shown |= {"steps": request.steps.shown()} if request.steps else {}
    shown |= {name: value for name in OF_THOUGHTS if (value := getattr(request, name)) is not None}
    shown |= {"stop_probability": request.stop_probability} if request.early_stop == "probable" else {}
    shown |= {"judge": request.judge} if request.judge != "answer" else {}
    shown |= {"checker": request.checker} if request.checker else {}
    return shown | ({"vote_on": request.vote_on} if request.vote_on else {})


def _reason(planned: Planned, decision: Decision | None) -> dict[str, Shown]:
    """Return what the strategy decided, and why."""
    if decision is None:
        return {"reason": planned.reason}
    values, reason = decided(decision)
    return values | {"reason": f"{planned.reason}: {reason}"}


def decided(decision: Decision, *, meanwhile: bool = False) -> tuple[dict[str, Shown], str]:
    """Return the values of a decision and its reason; `meanwhile`, while the search goes on, what it does now."""
    values = {name: _shown(value) for name, value in decision.values.items()}
    words = decision.meanwhile if meanwhile and decision.meanwhile else decision.reason
    return values, words.format_map(values)


def _shown(value: Any) -> Shown:
    """Return a plain value as it is, a strategy by its name and budget."""
    is_plain = isinstance(value, str | int | float | list | None)
    return value if is_plain else label(value)


def _confidence(
    request: SolveRequest, planned: Planned, result: SearchResult, table: Calibration | None
) -> float | None:
    """Return the probability of the answer; None if no such search was measured."""
    if table is None or result.status is not Status.COMPLETE or result.diagnostics.familiar is False:
        return None
    if result.decision is not None:
        return result.decision.confidence if is_drawn_alike(request, table) else None
    confidence = table.confidence_of(planned.row.name, request.n)
    return confidence.of(result.votes) if confidence and is_measured(request, planned, table) else None


def is_measured(request: SolveRequest, planned: Planned, table: Calibration) -> bool:
    """Tell whether the answers of a strategy are as probable as the table says: all that matters is as it was."""
    if planned.strategy.selection is not planned.row.selection:
        return False
    moving = (each.name for each in planned.row.fields if each.moves_confidence and each is not SELECTION)
    names = (*MEASURED_AT_DEFAULT, *moving)
    defaults = (getattr(request, name) == SolveRequest.model_fields[name].default for name in names)
    return all(defaults) and is_drawn_alike(request, table)


def is_drawn_alike(request: SolveRequest, table: Calibration) -> bool:
    """Tell whether the responses to a request come as those that the table was made from."""
    told = request.system_prompt
    if told is not None and (told or None) != table.identity.system_prompt:
        return False
    if request.steps and request.steps.shown() != table.identity.steps:
        return False
    return (request.temperature, request.top_p) == (table.temperature, 1.0)


def diagnostics_of(found: Diagnostics) -> DiagnosticsOut:
    """Return the measures of a vote."""
    fields = {each.field: FieldOut(agreement=each.agreement, confidence=each.confidence) for each in found.fields}
    stop = found.stopping
    stopping = StoppingOut(**asdict(stop) | {"rule": stop.rule.value}) if stop else None
    warnings = [caution.text for caution in found.warnings]
    shown = {"warnings": warnings, "fields": fields or None, "stopping": stopping, "familiar": found.familiar}
    return DiagnosticsOut(**asdict(found) | shown)


def _losses(losses: tuple[Loss, ...]) -> str | None:
    if not losses:
        return None
    return "lost " + "; ".join(f"{name_of(loss.path)}: {loss.error}" for loss in losses)


def name_of(path: tuple[int, ...]) -> str:
    """Return the name of the node at `path`."""
    return ".".join(map(str, path))


def steps_of(candidate: Candidate, first: int = 0) -> list[StepOut]:
    """Return the visible steps of a candidate from `first` on, with the scores that they have."""
    scores = (*candidate.step_scores, *[None] * len(candidate.steps))
    return [
        StepOut(text=step.text, score=score, thinking=step.is_thinking)
        for step, score in list(zip(candidate.steps, scores, strict=False))[first:]
        if not step.is_blank
    ]


def state_of(candidate: Candidate) -> Literal["growing", "complete", "truncated", "stopped"]:
    """Return whether a candidate is growing, or how it ended."""
    if candidate.is_growing:
        return "growing"
    if candidate.is_stopped:
        return "stopped"
    return "complete" if candidate.is_complete else "truncated"


def _finish(candidate: Candidate) -> Finish:
    """Return how a candidate of a finished search ended."""
    state = state_of(candidate)
    return "dropped" if state == "growing" else state


def _candidate(candidate: Candidate) -> CandidateOut:
    return CandidateOut(
        id=name_of(candidate.path),
        thinking=candidate.thinking,
        response=candidate.response,
        answer=candidate.answer.text if candidate.answer else None,
        verified=candidate.answer.is_verified if candidate.answer else None,
        trial=_trial(candidate),
        score=candidate.score,
        finish=_finish(candidate),
        steps=steps_of(candidate),
        tokens=candidate.num_tokens,
    )


def _trial(candidate: Candidate) -> TrialOut | None:
    trial = candidate.answer.trial if candidate.answer else None
    return TrialOut(outcome=trial.outcome.value, detail=trial.detail, seconds=trial.seconds) if trial else None


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
                steps=steps_of(candidate, first=len(parent.steps) if parent else 0),
                tokens=candidate.num_tokens - (parent.num_tokens if parent else 0),
                score=candidate.score,
                state="expanded" if path in parents else _finish(candidate),
            )
        )
    return TreeOut(nodes=nodes)
