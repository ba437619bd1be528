"""From judged responses to the reply."""

from collections.abc import Iterator
from dataclasses import dataclass

from asgi_correlation_id import correlation_id

from models.interfaces import Step
from search.answers.answer import Answer
from search.calibration.table import Calibration
from search.candidate import Candidate
from search.solve import SearchResult, Status
from search.strategies import flat
from search.voting import voted
from server.given import (
    ChooseRequest,
    ChooseResponse,
    ChosenFromOut,
    ClassOut,
    JudgingUsage,
    ScoredOut,
    ScoreResponse,
)
from server.schemas import StepOut, Timing
from server.solving.replies import diagnostics_of, steps_of

Response = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """Responses and what was found.

    Attributes:
        responses: In their steps.
        result: Of the vote; the paths of its candidates are the places of the responses.
        prompt_tokens: Of the problem.
        timing: Of the request.
    """

    responses: tuple[Response, ...]
    result: SearchResult
    prompt_tokens: int
    timing: Timing

    @property
    def usage(self) -> JudgingUsage:
        """Every token judged."""
        return JudgingUsage(
            prompt_tokens=self.prompt_tokens,
            response_tokens=sum(len(step.token_ids) for response in self.responses for step in response),
            verifier_tokens=self.result.meter.verifier_tokens,
            verifier_cached_tokens=self.result.meter.verifier_cached_tokens,
        )


def scored_reply(judged: Judged) -> ScoreResponse:
    """Build the reply of `POST /v1/steps/score`."""
    return ScoreResponse(
        id=correlation_id.get() or "",
        status=judged.result.status.value,
        responses=[scored for scored, _ in _scored(judged)],
        usage=judged.usage,
        timing=judged.timing,
    )


def chosen_reply(request: ChooseRequest, judged: Judged, table: Calibration | None) -> ChooseResponse:
    """Build the reply of `POST /v1/answers/choose`."""
    result, chosen = judged.result, judged.result.chosen
    answer = voted(chosen) if chosen else None
    return ChooseResponse(
        id=correlation_id.get() or "",
        status=result.status.value,
        index=chosen.path[0] if chosen and answer else None,
        answer=answer.text if answer else None,
        response=chosen.response if chosen and answer else None,
        score=chosen.score if chosen and answer else None,
        confidence=_confidence(request, result, table),
        votes=[
            ClassOut(
                answer=vote.answer,
                count=vote.count,
                weight=vote.weight,
                responses=[candidate.path[0] for candidate in vote.candidates],
            )
            for vote in result.votes
        ],
        diagnostics=diagnostics_of(result.diagnostics),
        responses=[
            ChosenFromOut(**scored.model_dump(), answer=answer.text if answer else None)
            for scored, answer in _scored(judged)
        ],
        usage=judged.usage,
        timing=judged.timing,
    )


def _scored(judged: Judged) -> Iterator[tuple[ScoredOut, Answer | None]]:
    """Yield the responses in their order, with what each states; those that were lost say why."""
    candidates = {candidate.path: candidate for candidate in judged.result.candidates}
    errors = {loss.path: str(loss.error) for loss in judged.result.losses}
    for index, response in enumerate(judged.responses):
        candidate = candidates.get((index,))
        scored = ScoredOut(
            index=index,
            score=candidate.score if candidate else None,
            steps=_steps(response, candidate),
            error=errors.get((index,)),
        )
        yield scored, candidate.answer if candidate else None


def _steps(response: Response, candidate: Candidate | None) -> list[StepOut]:
    """The steps of a response, with the scores that they have."""
    scores = candidate.step_scores if candidate else ()
    return steps_of(Candidate(steps=response, step_scores=scores))


def _confidence(request: ChooseRequest, result: SearchResult, table: Calibration | None) -> float | None:
    """Return the probability of the answer; None where no such vote was measured."""
    if table is None or not request.from_policy or result.status is not Status.COMPLETE:
        return None
    if result.diagnostics.familiar is False:
        return None
    row = next(row for row in flat() if row.selection is request.selection)
    confidence = table.confidence_of(row.name, len(request.responses))
    is_default = ChooseRequest.model_fields["aggregation"].default is request.aggregation
    return confidence.of(result.votes) if confidence and is_default and request.system_prompt is None else None
