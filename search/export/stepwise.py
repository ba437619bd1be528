"""Labelled steps: what the verifier scored, or what was labelled, for the formats of `models/labels/`.

A step at the end that nobody judged is cut off. Of a tree PRM800K's format takes the chosen response, and its siblings
at every step; the others take every response, those that were not continued, too.
"""

from collections.abc import Iterator
from itertools import dropwhile

from models.labels.formats import FORMATS, LabelFormat
from models.labels.response import OURS, LabelledResponse
from search.export.options import LeftOut, Options, Row, provenance
from search.export.population import Population, Response, siblings


def rows(known: LabelFormat, population: Population, options: Options) -> Iterator[Row | LeftOut]:
    """Yield a row for each response, or one for a whole tree."""
    if known is FORMATS["prm800k"] and not population.is_flat:
        yield from _tree(known, population, options)
        return
    for response in population.responses:
        yield _row(known, population, response, options)


def _row(known: LabelFormat, population: Population, response: Response, options: Options) -> Row | LeftOut:
    if fault := options.fault(response):
        return fault
    labelled = labelled_of(population, response)
    if isinstance(labelled, LeftOut):
        return labelled
    return _written(known, population, [labelled], response, options)


def _written(
    known: LabelFormat, population: Population, labelled: list[LabelledResponse], response: Response, options: Options
) -> Row | LeftOut:
    found = known.write(labelled, options.threshold)
    if not found:
        return LeftOut(f"it cannot be told from the marks of {known.name}")
    about = provenance(population, score=response.score, is_correct=response.is_correct)[OURS]
    scores = [step.score for step in response.steps]
    return found[0] | {OURS: about | found[0].get(OURS, {}) | {"scores": scores}}


def _tree(known: LabelFormat, population: Population, options: Options) -> Iterator[Row | LeftOut]:
    chosen = population.chosen
    if chosen is None:
        yield LeftOut("no response was chosen")
        return
    main = options.fault(chosen) or labelled_of(population, chosen)
    if isinstance(main, LeftOut):
        yield main
        return
    others = []
    for prefix, responses in siblings(population):
        place = len(prefix)
        if main.steps[:place] == tuple(step.text for step in prefix):
            beside = (each for each in responses if each.steps[place].text not in main.steps[place : place + 1])
            cut = (labelled_of(population, each, place + 1) for each in beside)
            others += [each for each in cut if isinstance(each, LabelledResponse) and len(each.steps) == place + 1]
    yield _written(known, population, [main, *others], chosen, options)


def labelled_of(population: Population, response: Response, num_steps: int | None = None) -> LabelledResponse | LeftOut:
    """Return a response with its scores as labels, whole or up to a step."""
    if response.labelled is not None and None not in response.labelled.labels:
        return response.labelled
    steps = response.steps[:num_steps]
    judged = list(dropwhile(lambda step: step.score is None, reversed(steps)))[::-1]
    if not judged:
        return LeftOut("its steps were not judged")
    if num_steps is None and any(step.score is None for step in judged):
        return LeftOut("its steps were not all judged")
    return LabelledResponse(
        problem=population.problem,
        answer=population.gold,
        steps=tuple(step.text for step in judged),
        token_ids=None,
        labels=tuple(step.score for step in judged),
        is_complete=response.is_complete and len(judged) == len(response.steps),
        system_prompt=population.system_prompt,
        family=population.family,
    )
