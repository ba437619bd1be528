"""Smaller budgets and other votes out of one sampled set.

The first n of N independent responses are those that a search with the budget n and the same seed draws, since a
candidate's seed depends on its place alone. So one run with the largest N gives majority, best-of-N and weighted
best-of-N at every smaller n, exactly, and comparable response by response.

Source: the Hugging Face blog "Scaling test-time compute with open models", which subsamples in the same way.
"""

from collections.abc import Sequence
from dataclasses import replace

from search.answers.answer import Answer
from search.candidate import Candidate
from search.voting import Ballot, Selection


def elect(candidates: Sequence[Candidate], n: int, selection: Selection) -> Answer | None:
    """Return what the first `n` of `candidates` elect; None when none of them states an answer."""
    ballot = Ballot(selection)
    for candidate in candidates[:n]:
        is_judged = selection is not Selection.MAJORITY  # a majority has no scores, by which to break its ties
        ballot.cast(candidate if is_judged else replace(candidate, score=None))
    winner = ballot.winner()
    return winner.answer if winner else None
