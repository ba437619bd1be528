"""Smaller budgets and other votes out of one sampled set.

The first n of N independent responses are those that a search with the budget n and the same seed draws, since a
candidate's seed depends on its place alone. So one run with the largest N gives majority, best-of-N and weighted
best-of-N at every smaller n, exactly, and comparable response by response. In the same way the first n/M subtrees of a
DVTS are those of a DVTS with the budget n and the same M. Both hold for searches that do not stop early. Beam search
cannot be subsampled: its survivors are chosen among all candidates.

Source: the Hugging Face blog "Scaling test-time compute with open models", which subsamples in the same way.
Beyond the source: DVTS, by whole subtrees.
"""

from collections.abc import Sequence
from dataclasses import replace

from search.answers.answer import Answer
from search.candidate import Candidate
from search.voting import Ballot, Selection, kept, rank


def elect(candidates: Sequence[Candidate], n: int, selection: Selection, keep: float = 1.0) -> Answer | None:
    """Return what the first `n` of `candidates` elect; None when none of them states an answer.

    Args:
        candidates: Of one run.
        n: A budget.
        selection: How the answer is chosen.
        keep: Share of them that votes by weight.
    """
    ballot: Ballot[Candidate] = Ballot(selection)
    for candidate in kept(candidates[:n], keep) if selection is Selection.WEIGHTED else candidates[:n]:
        is_judged = selection is not Selection.MAJORITY  # a majority has no scores, by which to break its ties
        ballot.cast(candidate if is_judged else replace(candidate, score=None))
    winner = ballot.winner()
    return winner.answer if winner else None


def elect_subtrees(
    candidates: Sequence[Candidate], n: int, beam_width: int, selection: Selection = Selection.WEIGHTED
) -> Answer | None:
    """Return what the first n/M subtrees of a DVTS answer; None when no complete candidate of theirs states an answer.

    Args:
        candidates: The whole tree of a DVTS with a budget of at least `n`.
        n: A multiple of M.
        beam_width: M.
        selection: How the answer is chosen.
    """
    ballot: Ballot[Candidate] = Ballot(selection)
    complete: list[Candidate] = []
    for first in range(0, n, beam_width):
        subtree = [candidate for candidate in candidates if first <= candidate.path[0] < first + beam_width]
        complete += [candidate for candidate in subtree if candidate.is_complete]
        for candidate in _voters(subtree):
            ballot.cast(candidate)
    chosen = ballot.winner() or next(iter(rank(complete)), None)  # without a vote the best of the complete answers
    return chosen.answer if chosen else None


def _voters(subtree: Sequence[Candidate]) -> list[Candidate]:
    """The candidates of a subtree's last step."""
    depth = max((len(candidate.path) for candidate in subtree), default=0)
    last = [candidate for candidate in subtree if len(candidate.path) == depth]
    ranked = rank([candidate for candidate in last if candidate.is_complete or candidate.is_growing])
    is_last = not (ranked and ranked[0].is_growing)  # else it was grown on, and a failing model took all its children
    return last if is_last else []
