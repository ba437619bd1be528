"""Prompt and completion: the chosen response of every search, for supervised training.

Source: TRL, "Dataset formats and types", prompt-completion; ReST (Gulcehre et al. 2023, 2308.08998) and RFT (Yuan et
al. 2023, 2308.01825) train on what was found so.
"""

from collections.abc import Iterator

from search.export.options import LeftOut, Options, Row, completion_of, prompt_of, provenance
from search.export.population import Population


def rows(population: Population, options: Options) -> Iterator[Row | LeftOut]:
    """Yield the row of the chosen response."""
    chosen = population.chosen
    if chosen is None or not chosen.is_complete:
        yield LeftOut("no complete response was chosen")
        return
    if fault := options.fault(chosen):
        yield fault
        return
    about = provenance(population, score=chosen.score, is_correct=chosen.is_correct, thinking=chosen.thinking)
    yield {"prompt": prompt_of(population, options), "completion": completion_of(chosen.text, options)} | about
