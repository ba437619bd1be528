"""Preference step by step: of the steps behind one prefix the one with the highest score over that with the lowest.

As text the prefix is in the prompt. As messages it begins both completions, since a message is whole: what both share
cancels out of the loss of DPO.

Source: Lai et al. 2024 (Step-DPO, 2406.18629). Beyond the source: pairs come from the siblings of a search tree, and so
of any depth. With `correct_only` the chosen step leads to a right answer in the tree, and the rejected one to none.
"""

from collections.abc import Iterator, Sequence

from search.export.options import LeftOut, Options, Row, completion_of, prompt_of, provenance
from search.export.population import Population, Response, siblings
from search.export.preference import unlike
from search.stored import StoredStep


def rows(population: Population, options: Options) -> Iterator[Row | LeftOut]:
    """Yield a row for every prefix whose steps differ."""
    is_any = False
    for prefix, responses in siblings(population):
        is_any = True
        yield _row(population, prefix, responses, options)
    if not is_any:
        yield LeftOut("no two of its steps follow the same prefix")


def _row(
    population: Population, prefix: tuple[StoredStep, ...], responses: Sequence[Response], options: Options
) -> Row | LeftOut:
    place = len(prefix)
    responses = [each for each in responses if not _is_cut(each, place)]
    if len(responses) < 2:
        return LeftOut("all its steps but one were cut off")
    best, worst = list(responses), list(responses)
    if options.correct_only:
        if responses[0].is_correct is None:
            return LeftOut("the right answer is not known")
        best = [each for each in responses if _reaches(population, each, place)]
        worst = [each for each in responses if not _reaches(population, each, place)]
        if not best or not worst:
            return LeftOut("its steps all lead to a right answer, or all to none")
    elif any(each.steps[place].score is None for each in responses):
        return LeftOut("its steps were not all judged")
    chosen = max(best, key=lambda each: each.steps[place].score or 0.0)
    rejected = min(worst, key=lambda each: each.steps[place].score or 0.0)
    high, low = chosen.steps[place].score, rejected.steps[place].score
    if fault := unlike(chosen, high, rejected, low, options):
        return fault
    before = "".join(step.text for step in prefix)
    return {
        "prompt": prompt_of(population, options, before),
        "chosen": completion_of(chosen.steps[place].text, options, before),
        "rejected": completion_of(rejected.steps[place].text, options, before),
    } | provenance(population, score_chosen=high, score_rejected=low, num_steps_before=place)


def _is_cut(response: Response, place: int) -> bool:
    """Tell whether a step was cut at the token limit: nobody judges it."""
    step = response.steps[place]
    return not response.is_complete and step is response.steps[-1] and step.score is None


def _reaches(population: Population, response: Response, place: int) -> bool:
    """Tell whether a response that begins like this one, up to a step, is right."""
    beginning = [step.text for step in response.steps[: place + 1]]
    alike = (each for each in population.responses if [step.text for step in each.steps[: place + 1]] == beginning)
    return any(each.is_correct and each.is_complete for each in alike)
