"""From the scores of a response's steps to the score of the response.

Source: Snell et al. 2024 (2408.03314), section 5.1, and the Hugging Face blog, which prefer the last step's score;
Lightman et al. 2023 (2305.20050) take the product, Wang et al. 2023 (Math-Shepherd, 2312.08935) the minimum.
"""

import math
from collections.abc import Sequence
from enum import Enum


class Aggregation(Enum):
    """How step scores become the score of a response."""

    LAST = "last"
    MIN = "min"
    PROD = "prod"

    @property
    def is_monotone(self) -> bool:
        """True when a further step can only lower the score, so that a running score bounds the final one."""
        return self is not Aggregation.LAST

    def score(self, step_scores: Sequence[float]) -> float:
        """Aggregate at least one step score, each in [0, 1], into a score in [0, 1]."""
        match self:
            case Aggregation.LAST:
                return step_scores[-1]
            case Aggregation.MIN:
                return min(step_scores)
            case Aggregation.PROD:
                return math.prod(step_scores)
