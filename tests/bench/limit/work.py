"""What a search did on a problem, as bare engines can do it: token by token, without the tree."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from search.candidate import Candidate

TokenIds = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """The work of one search.

    Attributes:
        prompt: Of the policy.
        lanes: Tokens of as many sequences as were in flight: the first child of every depth, the second, and so on.
        responses: What the verifier read, each response in full, without those that another one begins with.
        num_steps: Nodes of the tree, each a request to the policy.
        num_leaves: Nodes without children.
        num_judged: Tokens that the verifier must read at the least, of each prefix once, the prompt's included.
    """

    prompt: Sequence[int]
    lanes: tuple[int, ...]
    responses: tuple[TokenIds, ...]
    num_steps: int
    num_leaves: int
    num_judged: int

    @property
    def num_tokens(self) -> int:
        """Tokens of the tree."""
        return sum(self.lanes)


def work_of(prompt: Sequence[int], candidates: Sequence[Candidate]) -> Work:
    """Return the work behind a tree: every candidate that was grown, in the order of the paths."""
    by_path = {candidate.path: candidate for candidate in candidates}
    by_depth = defaultdict[int, list[int]](list)
    judged, begun, num_judged = dict[TokenIds, None](), set[TokenIds](), len(prompt)
    for candidate in candidates:
        parent = by_path.get(candidate.path[:-1], Candidate())
        by_depth[len(candidate.path)].append(candidate.num_tokens - parent.num_tokens)
        own, before = _judged(candidate), _judged(parent)
        if own != before:
            begun.add(before)
            num_judged += 0 if own in judged else len(own) - len(before)
            judged[own] = None
    return Work(
        prompt,
        tuple(map(sum, zip_longest(*by_depth.values(), fillvalue=0))),
        tuple(token_ids for token_ids in judged if token_ids not in begun),
        len(candidates),
        len(candidates) - len({path[:-1] for path in by_path} - {()}),
        num_judged,
    )


def _judged(candidate: Candidate) -> TokenIds:
    steps = candidate.steps[: len(candidate.step_scores)]
    return tuple(chain.from_iterable(step.token_ids for step in steps))
