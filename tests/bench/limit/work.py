"""What a search did on a problem, as bare engines can do it: token by token, without the tree."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, zip_longest

from search.candidate import Candidate

TokenIds = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """The work of one search.

    Attributes:
        prompt: Of the policy.
        lanes: Tokens of as many sequences as were in flight: the first child of every depth, the second, and so on.
        responses: What the verifier read, each response in full, without those that another one begins with.
        num_steps: Of the tree.
        num_requests: Nodes of the tree, each a request to the policy.
        num_leaves: Nodes without children.
    """

    prompt: Sequence[int]
    lanes: tuple[int, ...]
    responses: tuple[TokenIds, ...]
    num_steps: int
    num_requests: int
    num_leaves: int

    @property
    def num_tokens(self) -> int:
        """Tokens of the tree."""
        return sum(self.lanes)


def work_of(prompt: Sequence[int], candidates: Sequence[Candidate]) -> Work:
    """Return the work behind a tree: every candidate that was grown, in the order of the paths."""
    by_path = {candidate.path: candidate for candidate in candidates}
    by_depth = defaultdict[int, list[int]](list)
    judged, begun, num_steps = dict[TokenIds, None](), set[TokenIds](), 0
    for candidate in candidates:
        parent = by_path.get(candidate.path[:-1], Candidate())
        by_depth[len(candidate.path)].append(candidate.num_tokens - parent.num_tokens)
        num_steps += len(candidate.steps) - len(parent.steps)
        own, before = _judged(candidate), _judged(parent)
        if own != before:
            begun.add(before)
            judged[own] = None
    return Work(
        prompt,
        tuple(map(sum, zip_longest(*by_depth.values(), fillvalue=0))),
        tuple(token_ids for token_ids in judged if token_ids not in begun),
        num_steps,
        len(candidates),
        len(candidates) - len({path[:-1] for path in by_path} - {()}),
    )


def num_distinct(sequences: Iterable[Sequence[int]]) -> int:
    """Count the tokens of sequences, of what they have in common at their beginnings once."""
    ordered = sorted(map(tuple, sequences))
    return sum(map(len, ordered)) - sum(_num_common(*neighbours) for neighbours in pairwise(ordered))


def _num_common(one: TokenIds, other: TokenIds) -> int:
    """Count the tokens with which both begin."""
    pairs = zip(one, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _judged(candidate: Candidate) -> TokenIds:
    steps = candidate.steps[: len(candidate.step_scores)]
    return tuple(chain.from_iterable(step.token_ids for step in steps))
