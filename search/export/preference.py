"""Preference of whole responses: the best complete response of a search over its worst.

Best and worst are those of the scores; with known answers and `correct_only` the best right one and the worst wrong
one, which need no scores.

Source: TRL, "Dataset formats and types", preference; Rafailov et al. 2023 (DPO, 2305.18290).
"""

from collections.abc import Iterator

from search.export.options import LeftOut, Options, Row, completion_of, prompt_of, provenance
from search.export.population import Population, Response

ROUNDING = 1e-9
"""By which a difference may miss the margin."""


def rows(population: Population, options: Options) -> Iterator[Row | LeftOut]:
    """Yield the row of the pair."""
    found = _pair(population, options)
    if isinstance(found, LeftOut):
        yield found
        return
    chosen, rejected = found
    yield {
        "prompt": prompt_of(population, options),
        "chosen": completion_of(chosen.text, options),
        "rejected": completion_of(rejected.text, options),
    } | provenance(
        population,
        score_chosen=chosen.score,
        score_rejected=rejected.score,
        is_chosen_correct=chosen.is_correct,
        is_rejected_correct=rejected.is_correct,
    )


def _pair(population: Population, options: Options) -> tuple[Response, Response] | LeftOut:
    complete = population.complete
    best, worst = list(complete), list(complete)
    if options.correct_only:
        if complete and complete[0].is_correct is None:
            return LeftOut("the right answer is not known")
        best = [each for each in complete if each.is_correct]
        worst = [each for each in complete if not each.is_correct]
        if not best or not worst:
            return LeftOut("its responses are all right, or all wrong")
    elif any(each.score is None for each in complete):
        return LeftOut("its responses were not judged")
    if len(complete) < 2:
        return LeftOut("it has no two different complete responses")
    chosen = max(best, key=lambda each: each.score or 0.0)
    rejected = min(worst, key=lambda each: each.score or 0.0)
    return unlike(chosen, chosen.score, rejected, rejected.score, options) or (chosen, rejected)


def unlike(
    chosen: Response, high: float | None, rejected: Response, low: float | None, options: Options
) -> LeftOut | None:
    """Say why a pair makes no row; None where it does."""
    if chosen is rejected or (not options.correct_only and high == low):
        return LeftOut("its scores are all the same")
    if options.margin > 0 and (high is None or low is None or high - low < options.margin - ROUNDING):
        return LeftOut("the scores are closer than --margin")
    if options.min_score is not None and (high is None or high < options.min_score):
        return LeftOut("the chosen score is below --min-score")
    if options.max_score is not None and (low is None or low > options.max_score):
        return LeftOut("the rejected score is above --max-score")
    return None
