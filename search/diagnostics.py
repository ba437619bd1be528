"""How far a result can be trusted: agreement of the answers, spread of the scores, and warnings in words."""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from search.answers.answer import TrialOutcome
from search.candidate import Candidate
from search.stopping import Stop
from search.voting import Vote, voted

SIMILAR_SCORES = 0.01
"""A spread (standard deviation) below this tells candidates no more apart than a coin."""


LOW_DIVERSITY = 0.5
"""Where fewer of the responses than this share are different, a larger N buys repetitions."""
SATURATED = 0.9
MOST = 0.5
"""Where more than this share of responses state no answer, or are one step, something is set wrong."""
MIN_SATURATED = 8
"""Where at least so large a share of at least so many responses agree, a smaller N would have done."""


ASK_FOR_A_PROGRAM = ": ask for it in the system_prompt, as in: put your program into a code block of Python"
ASK_FOR_A_BOX = r": ask for it in the system_prompt, as in: put your final answer within \boxed{}"
CUT_FINER = (
    ', so the tree search had nothing to cut: set steps, for example to {"delimiter": "\\n"} or {"tokens": 64}; '
    "winnow doctor --probe measures what suits the policy"
)


class Sign(Enum):
    """What a warning is about."""

    TRUNCATED = "truncated"
    NO_ANSWER = "no_answer"
    REFUTED = "refuted"
    UNTESTED = "untested"
    NO_AGREEMENT = "no_agreement"
    SIMILAR_SCORES = "similar_scores"
    BEST_IS_MEAN = "best_is_mean"
    LOW_DIVERSITY = "low_diversity"
    SATURATED = "saturated"
    NOTHING_TO_CUT = "nothing_to_cut"
    UNFAMILIAR = "unfamiliar"


@dataclass(frozen=True, slots=True)
class Caution:
    """A sign that a search cannot be trusted, or was larger than it had to be, and its words."""

    sign: Sign
    text: str


@dataclass(frozen=True, slots=True)
class TrialCounts:
    """What tests said of the programs of complete candidates, how many to each."""

    passed: int = 0
    failed: int = 0
    timeout: int = 0
    untested: int = 0


@dataclass(frozen=True, slots=True)
class FieldAgreement:
    """How many responses agree with the elected answer on one of its parts.

    Attributes:
        field: Where the part is, as a JSON pointer.
        agreement: Share of the complete candidates that have the same there, in [0, 1].
        confidence: The same by weight: share of the sum of their scores; None when they were not judged.
    """

    field: str
    agreement: float
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Novelty:
    """How unlike the problems that confidence was calibrated on a problem is.

    Attributes:
        share: Of its parts, those that none of them has, in [0, 1].
        limit: Above it the problem is unfamiliar.
    """

    share: float
    limit: float

    @property
    def is_familiar(self) -> bool:
        """Whether the problem may be one of them."""
        return self.share <= self.limit


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """Measures of a vote. None where there is nothing to measure.

    Attributes:
        agreement: Share of the complete candidates that give the elected answer, in [0, 1].
        entropy: Shannon entropy of the answers given, in nats: 0 when all agree.
        distinct_answers: Equivalence classes of answers.
        refuted: Complete candidates whose answer was checked and is wrong.
        score_mean: Mean score of the complete candidates.
        score_std: Population standard deviation of their scores.
        best_minus_mean: How far the best score stands above the mean.
        warnings: What a reader of the answer should know.
        tests: Of a search whose answers are programs.
        fields: Of an elected answer that has parts, how far each is agreed on.
        stopping: How a search ended that may stop when its answer is probable; None of any other.
        novelty: Of the problem, where a calibration table measures it.
    """

    agreement: float | None
    entropy: float | None
    distinct_answers: int
    refuted: int
    score_mean: float | None
    score_std: float | None
    best_minus_mean: float | None
    warnings: tuple[Caution, ...]
    tests: TrialCounts | None = None
    fields: tuple[FieldAgreement, ...] = ()
    stopping: Stop | None = None
    novelty: Novelty | None = None

    @property
    def familiar(self) -> bool | None:
        """Whether the problem is like those that confidence was calibrated on; None where that was not measured."""
        return self.novelty.is_familiar if self.novelty else None

    def comparing(self, novelty: Novelty, kind: str) -> "Diagnostics":
        """Return these with the novelty of the problem, and with a warning first if that is unfamiliar.

        Args:
            novelty: Of the problem.
            kind: What the policy is for, as a sentence without its full stop.
        """
        warning = Caution(Sign.UNFAMILIAR, f"unfamiliar problem: {kind}; confidence does not hold here")
        warnings = self.warnings if novelty.is_familiar else (warning, *self.warnings)
        return replace(self, novelty=novelty, warnings=warnings)


def diagnose(
    votes: Sequence[Vote[Candidate]],
    candidates: Sequence[Candidate],
    first_steps: Sequence[Candidate] = (),
    *,
    wants_programs: bool = False,
    is_structured: bool = False,
    stopping: Stop | None = None,
) -> Diagnostics:
    """Measure a vote.

    Args:
        votes: As they were cast.
        candidates: The final ones of a search, complete or truncated.
        first_steps: Of a tree search, the candidates after their first step.
        wants_programs: Whether answers are programs that are tested.
        is_structured: Whether responses are documents, which have no box for the answer.
        stopping: How the search ended, where it may stop when its answer is probable.
    """
    counts = [vote.count for vote in votes if vote.answer is not None]
    num_cast = sum(vote.count for vote in votes)
    num_refuted = sum(c.answer is not None and c.answer.is_refuted for vote in votes for c in vote.candidates)
    scored = [(c, c.score) for vote in votes for c in vote.candidates if c.score is not None]
    scores = [score for _, score in scored]
    mean = statistics.fmean(scores) if scores else None
    tests = _tests(votes) if wants_programs else None
    remedy, has_stopped = "" if is_structured else ASK_FOR_A_BOX, stopping is not None and stopping.is_early
    cautions = [
        *(_about_tests(tests, num_cast) if tests else _about_votes(counts, num_cast, num_refuted, remedy, has_stopped)),
        *_about_scores({_judged(candidate): score for candidate, score in scored}),
        *_about_responses(candidates),
        *_about_steps(first_steps),
    ]
    return Diagnostics(
        agreement=counts[0] / num_cast if counts else None,
        entropy=_entropy(counts) if counts else None,
        distinct_answers=len(counts),
        refuted=num_refuted,
        score_mean=mean,
        score_std=statistics.pstdev(scores) if scores else None,
        best_minus_mean=None if mean is None else max(scores) - mean,
        warnings=tuple(cautions),
        tests=tests,
        fields=tuple(_agreements(votes)),
        stopping=stopping,
    )


def _tests(votes: Sequence[Vote[Candidate]]) -> TrialCounts:
    answers = (candidate.answer for vote in votes for candidate in vote.candidates)
    outcomes = Counter(answer.trial.outcome for answer in answers if answer and answer.trial)
    return TrialCounts(**{outcome.value: outcomes[outcome] for outcome in TrialOutcome})


def _about_tests(tests: TrialCounts, num_cast: int) -> Iterator[Caution]:
    num_programs = tests.passed + tests.failed + tests.timeout + tests.untested
    if num_cast > num_programs:
        remedy = ASK_FOR_A_PROGRAM if num_cast - num_programs > MOST * num_cast else ""
        seen = f"{num_cast - num_programs} of {num_cast} complete responses hold no program and did not vote"
        yield Caution(Sign.NO_ANSWER, seen + remedy)
    if num_refuted := tests.failed + tests.timeout:
        yield Caution(Sign.REFUTED, f"{num_refuted} of {num_programs} programs fail the tests: no vote")
    if tests.untested and not tests.passed:
        yield Caution(
            Sign.UNTESTED, f"{tests.untested} of {num_programs} programs were not tested, and none has passed"
        )


def _agreements(votes: Sequence[Vote[Candidate]]) -> Iterator[FieldAgreement]:
    elected = voted(votes[0].candidates[0]) if votes else None
    cast = [candidate for vote in votes for candidate in vote.candidates]
    if elected is None:
        return
    counts, weights = Counter[tuple[str, str]](), defaultdict[tuple[str, str], float](float)
    for candidate in cast:
        answer = voted(candidate)
        for field in set(elected.fields) & set(answer.fields if answer else ()):
            counts[field] += 1
            weights[field] += candidate.score or 0.0
    total = math.fsum(candidate.score or 0.0 for candidate in cast)
    for field in elected.fields:
        yield FieldAgreement(field[0], counts[field] / len(cast), weights[field] / total if total else None)


def _entropy(counts: Sequence[int]) -> float:
    total = sum(counts)
    return math.fsum(count / total * math.log(total / count) for count in counts)


def _about_votes(
    counts: Sequence[int], num_cast: int, num_refuted: int, remedy: str, has_stopped: bool
) -> Iterator[Caution]:
    num_silent = num_cast - sum(counts) - num_refuted
    if num_silent:
        remedy = remedy if num_silent > MOST * num_cast else ""
        seen = f"{num_silent} of {num_cast} complete responses state no answer and did not vote"
        yield Caution(Sign.NO_ANSWER, seen + remedy)
    if num_refuted:
        yield Caution(
            Sign.REFUTED, f"{num_refuted} of {num_cast} complete responses give an answer that fails the check: no vote"
        )
    if len(counts) > 1 and len(counts) == sum(counts):
        yield Caution(Sign.NO_AGREEMENT, "no two responses agree on an answer")
    if counts and num_cast >= MIN_SATURATED and counts[0] >= SATURATED * num_cast and not has_stopped:
        yield Caution(
            Sign.SATURATED, f"{counts[0]} of {num_cast} responses agree: a smaller n would have given the same answer"
        )


def _judged(candidate: Candidate) -> tuple[str, ...]:
    """Return what the verifier has judged of a candidate."""
    scores = zip(candidate.steps, candidate.step_scores, strict=False)
    return tuple(step.text for step, score in scores if score is not None)


def _about_scores(by_response: Mapping[tuple[str, ...], float]) -> Iterator[Caution]:
    """Judge the verifier by the responses that differ: copies of one tell nothing more of it."""
    scores = list(by_response.values())
    if len(scores) < 2:
        return
    if statistics.pstdev(scores) < SIMILAR_SCORES:
        yield Caution(Sign.SIMILAR_SCORES, "all scores are similar: the verifier does not tell the responses apart")
    elif max(scores) - statistics.fmean(scores) < SIMILAR_SCORES:
        yield Caution(Sign.BEST_IS_MEAN, "the best score is no better than the mean")


def _about_responses(candidates: Sequence[Candidate]) -> Iterator[Caution]:
    num_truncated = len(candidates) - sum(candidate.is_complete for candidate in candidates)
    if num_truncated:
        num_thinking = sum(not c.is_complete and c.is_thinking for c in candidates)
        inside = f", {num_thinking} of them in their thoughts: set thinking_budget" if num_thinking else ""
        seen = f"{num_truncated} of {len(candidates)} responses were truncated and did not vote"
        yield Caution(Sign.TRUNCATED, seen + inside)
    num_different = len({candidate.text for candidate in candidates})
    if len(candidates) > 2 and num_different < LOW_DIVERSITY * len(candidates):
        yield Caution(Sign.LOW_DIVERSITY, f"only {num_different} of {len(candidates)} responses are different")


def _about_steps(first_steps: Sequence[Candidate]) -> Iterator[Caution]:
    num_whole = sum(candidate.is_final for candidate in first_steps)
    if len(first_steps) > 1 and num_whole > MOST * len(first_steps):
        yield Caution(Sign.NOTHING_TO_CUT, f"{num_whole} of {len(first_steps)} responses were one step{CUT_FINER}")
