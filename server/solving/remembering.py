"""A verifier that remembers its scores, so that a response that comes again with one more step costs that step.

The engine's prefix cache holds keys and values, but no scores: without this memory a step whose tokens are cached is
computed again. A score belongs to the problem and all tokens up to the end of its step.
"""

import hashlib
from array import array
from collections.abc import Iterator, Sequence

from cachetools import LRUCache

from models.interfaces import Meter, Problem, Step, Verdict, Verifier, verdict_of


class RememberingVerifier:
    """Asks a verifier for what it does not remember.

    Args:
        verifier: Scores each step for itself, whatever else a call holds.
        max_scores: Scores remembered, those used last, at least 1; each takes about 250 bytes.
    """

    def __init__(self, verifier: Verifier, max_scores: int) -> None:
        self._verifier = verifier
        self._scores: LRUCache[bytes, float] = LRUCache(max_scores)

    async def score(
        self, problem: Problem, prefix: Sequence[Step], steps: Sequence[Step], meter: Meter
    ) -> tuple[float, ...]:
        """Judge `steps`, which follow `prefix` in a response; remembered ones are counted as read from the cache.

        Raises:
            ContextOverflowError: The response is longer than the verifier's context.
            EngineUnavailableError: The engine died or refused the request.
        """
        keys = [*_keys(problem, (*prefix, *steps))][len(prefix) :]
        known: list[float] = []
        for key in keys:
            if (score := self._scores.get(key)) is None:
                break
            known.append(score)
        remembered, new = steps[: len(known)], steps[len(known) :]
        meter.verifier_cached_tokens += sum(len(step.token_ids) for step in remembered)
        if not new:
            return tuple(known)
        scores = await self._verifier.score(problem, (*prefix, *remembered), new, meter)
        self._scores.update(zip(keys[len(known) :], scores, strict=True))
        return (*known, *scores)


def remembering(verifier: Verifier | None, max_scores: int) -> Verifier | None:
    """Return a verifier with a memory; None for one whose calls do not judge each of their steps, or no verifier."""
    if verifier is None or verdict_of(verifier) is not Verdict.STEPS:
        return None
    return RememberingVerifier(verifier, max_scores)


def _keys(problem: Problem, steps: Sequence[Step]) -> Iterator[bytes]:
    """A key for each step: of the problem and all tokens up to its end."""
    key = hashlib.blake2b(repr(problem).encode(errors="surrogatepass"), digest_size=16).digest()
    for step in steps:
        digest = hashlib.blake2b(key, digest_size=16)
        digest.update(array("q", step.token_ids).tobytes())
        digest.update(step.text.encode(errors="surrogatepass"))
        key = digest.digest()
        yield key
