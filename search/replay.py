"""Runs a strategy on a search that was made before, without a model: what it would draw and judge is stored there.

A candidate's seed, and so its steps, depends on the request's seed and its place in the tree alone. So a strategy that
asks for places that are stored finds there what the models would say, and answers as it would with them: another vote,
a smaller budget, a score aggregated in another way. Where it asks for more, the replay fails and guesses nothing.

Source: the Hugging Face blog "Scaling test-time compute with open models" subsamples smaller budgets of independent
responses. Beyond the source: by running the strategy itself, and so for whatever strategy.
"""

import sys
from collections.abc import AsyncGenerator, Sequence
from itertools import count
from typing import Protocol

from models.interfaces import Finish, Meter, Problem, Sampling, Step, response_of
from search.aggregation import Aggregation
from search.answers.answer import Answer
from search.errors import NotStoredError
from search.expander import Models, seed_of
from search.solve import SearchResult, solve
from search.stored import Path, StoredNode, StoredSearch
from search.strategy import Strategy

SEED = 0
"""Of every replay: a place has a seed by it, and is found again by that seed."""

SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_tokens=sys.maxsize, seed=SEED)


class Keys(Protocol):
    """Brings answers into canonical form."""

    async def canonicalise(self, text: str) -> str:
        """Return the key of an answer's text."""


async def replay(stored: StoredSearch, strategy: Strategy, aggregation: Aggregation, keys: Keys) -> SearchResult:
    """Return what a search with the same seed and models finds.

    Args:
        stored: The search that was made.
        strategy: Without lookahead: scores are stored as they stood after it.
        aggregation: From step scores to a score.
        keys: Tell which answers are equivalent.

    Raises:
        NotStoredError: The stored search does not hold what this one asks for.
    """
    tree = StoredModels(stored, keys)
    return await solve(
        Problem(stored.problem),
        strategy,
        Models(tree, tree, tree),
        SAMPLING,
        aggregation=aggregation,
        judges_thoughts=stored.strategy.get("judge") == "all",
    )


class StoredModels:
    """Policy, verifier and reader of one stored search."""

    context = sys.maxsize
    template_arguments: frozenset[str] = frozenset()

    def __init__(self, stored: StoredSearch, keys: Keys) -> None:
        numbers = count()
        self._nodes = {seed_of(SEED, path): node for path, node in stored.nodes.items()}
        self._steps = {path: _steps(node, numbers) for path, node in stored.nodes.items()}
        self._scores: dict[tuple[int, ...], float | None] = {}
        self._answers: dict[str, tuple[str | None, bool | None]] = {}
        self._keys = keys
        self._max_steps = stored.strategy.get("max_steps", 1)  # behind so many, whole rests of responses are drawn
        for path, node in stored.nodes.items():
            scores = (step.score for step in node.steps)
            self._scores |= {step.token_ids: score for step, score in zip(self._steps[path], scores, strict=False)}
            if node.is_complete:
                self._answers[response_of(self._prefix(path, with_own=True))] = (node.answer, node.is_verified)
        self.thinks = any(step.is_thinking for steps in self._steps.values() for step in steps)

    def count_prompt_tokens(self, problem: Problem) -> int:
        return 0

    async def propose(self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter) -> Step:
        step = self._step(prefix, sampling)
        if len(self._nodes[sampling.seed or 0].path) >= self._max_steps:  # it may have ended with a blank step
            raise NotStoredError("it drew the rest of a response where this one draws a step")
        return step

    async def respond(
        self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter
    ) -> AsyncGenerator[Step, None]:
        steps = list(prefix)
        while not steps or steps[-1].finish is Finish.STEP:
            steps.append(self._step(steps, sampling))
            yield steps[-1]

    async def score(
        self, problem: Problem, prefix: Sequence[Step], steps: Sequence[Step], meter: Meter
    ) -> tuple[float, ...]:
        scores = [score for step in steps if (score := self._scores[step.token_ids]) is not None]
        if len(scores) < len(steps):
            raise NotStoredError("not all its steps were judged")
        return tuple(scores)

    async def read(self, response: str) -> Answer | None:
        text, is_verified = self._answers[response]
        return None if text is None else Answer(text, await self._keys.canonicalise(text), is_verified)

    def _step(self, prefix: Sequence[Step], sampling: Sampling) -> Step:
        node = self._nodes.get(sampling.seed or 0)
        if node is None:
            raise NotStoredError("it grew no candidate at a place where this one does")
        place = len(prefix) - len(self._prefix(node.path))
        if place >= len(self._steps[node.path]):
            raise NotStoredError("it did not let a candidate grow as far as this one does")
        return self._steps[node.path][place]

    def _prefix(self, path: Path, *, with_own: bool = False) -> list[Step]:
        """The steps before those of a node."""
        lengths = range(1, len(path) + with_own)
        return [step for length in lengths for step in self._steps.get(path[:length], ())]


def _steps(node: StoredNode, numbers: "count[int]") -> tuple[Step, ...]:
    """The steps of a node, each with one token of its own by which its score is found; a blank end is one, too."""
    texts = [(step.text, step.is_thinking) for step in node.steps] or [("", False)]
    steps = [Step(text, (next(numbers),), Finish.STEP, is_thinking=thinking) for text, thinking in texts]
    last = steps[-1]
    return (*steps[:-1], Step(last.text, last.token_ids, node.finish, is_thinking=last.is_thinking))
