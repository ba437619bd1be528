"""How verifiers that ask the policy are set up, apart from what they know of the policy itself."""

from dataclasses import dataclass
from enum import Enum


class Measure(Enum):
    """How the confidences of a response's tokens become one; a group is the tokens of a sliding window."""

    TOKEN = "token"  # the mean of all tokens
    GROUP = "group"  # the mean of all groups
    LOWEST_GROUP = "lowest_group"  # the least confident group
    LOWEST_TENTH = "lowest_tenth"  # the mean of the least confident tenth of the groups
    TAIL = "tail"  # the last group
    MEAN_LOGPROB = "mean_logprob"  # the mean log probability of the tokens themselves


@dataclass(frozen=True, slots=True)
class ConfidenceOptions:
    """What of the policy's log probabilities makes a score.

    Attributes:
        measure: From tokens to a response.
        num_logprobs: k, the most probable tokens of each place whose log probabilities are read, at least 3.
        window: Of a group: so many tokens, or below 1 that share of the response so far.
    """

    measure: Measure = Measure.LOWEST_GROUP
    num_logprobs: int = 20
    window: float = 0.1

    def __str__(self) -> str:
        return f"{self.measure.value}, k = {self.num_logprobs}, window {self.window:g}"
