"""The formats of an export, a row each: its name, how its rows are made, and which options it reads."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from models.labels.formats import FORMATS
from search.export import preference, preference_steps, prompt_completion, stepwise
from search.export.options import LeftOut, Options, Row
from search.export.population import Population

EVERY = frozenset({"min_score", "max_score", "correct_only"})
PAIRS = EVERY | {"margin", "as_messages"}


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A format of an export.

    Attributes:
        name: As `--format` spells it.
        rows: Of the responses to one problem.
        reads: Fields of `Options` that change what it makes.
        needs_responses: Whether it needs more than the chosen response.
    """

    name: str
    rows: Callable[[Population, Options], Iterator[Row | LeftOut]]
    reads: frozenset[str]
    needs_responses: bool = True

    def made_of(self, population: Population, options: Options) -> Iterator[Row | LeftOut]:
        """Yield the rows of the responses to one problem, and why others are left out."""
        if self.needs_responses and not population.responses:
            yield LeftOut("only its chosen response was kept; keep all with --keep")
        else:
            yield from self.rows(population, options)


EXPORTS = {
    each.name: each
    for each in (
        *(
            ExportFormat(
                known.name, partial(stepwise.rows, known), EVERY | ({"threshold"} if known.is_binary else set())
            )
            for known in FORMATS.values()
        ),
        ExportFormat("preference", preference.rows, PAIRS),
        ExportFormat("preference-steps", preference_steps.rows, PAIRS),
        ExportFormat("prompt-completion", prompt_completion.rows, EVERY | {"as_messages"}, needs_responses=False),
    )
}
