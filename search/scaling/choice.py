"""Which option meets a requirement: an accuracy, a number of tokens, a deadline, or several of these at once.

Measured options come first: one that was not measured is chosen only where no measured one will do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from search.scaling.options import Option

WORTH = 0.01
"""Share of problems by which a more expensive option has to be better."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What is asked for; at least one of the first three.

    Attributes:
        accuracy: At least, from 0 to 1.
        budget_tokens: Generated and judged a problem, in the mean, at most.
        deadline_s: What 95 % of the problems may take at most, in seconds.
        chance: With which the accuracy has to be reached.
    """

    accuracy: float | None = None
    budget_tokens: float | None = None
    deadline_s: float | None = None
    chance: float = 0.8

    def excess(self, option: Option) -> float:
        """Return how many times the tokens or the seconds are those allowed; at most 1 where both are kept."""
        tail = float("inf") if option.cost.seconds_tail is None else option.cost.seconds_tail
        tokens = 0.0 if self.budget_tokens is None else option.cost.tokens / self.budget_tokens
        return max(tokens, 0.0 if self.deadline_s is None else tail / self.deadline_s)

    @property
    def limits(self) -> str:
        """Tokens and time, in words; empty without."""
        tokens = "" if self.budget_tokens is None else f"{self.budget_tokens:,.0f} tokens"
        return " and ".join(filter(None, [tokens, "" if self.deadline_s is None else f"{self.deadline_s:g} s"]))


@dataclass(frozen=True, slots=True)
class Choice:
    """What meets a requirement.

    Attributes:
        option: The cheapest that does; where none does, the nearest.
        is_met: Whether it does.
        reason: Why, in a sentence or two.
    """

    option: Option
    is_met: bool
    reason: str


def choose(options: Sequence[Option], requirement: Requirement) -> Choice:
    """Return the choice among at least one option."""
    affordable = [each for each in options if requirement.excess(each) <= 1]
    if not affordable:
        nearest = min(options, key=lambda each: (requirement.excess(each), -each.accuracy.mean))
        return Choice(nearest, False, f"Nothing keeps within {requirement.limits}. The nearest is {_name(nearest)}.")
    within = f" within {requirement.limits}" if requirement.limits else ""
    if requirement.accuracy is None:
        pool = _measured_first(affordable)
        top = max(each.accuracy.mean for each in pool)
        option = _cheapest([each for each in pool if each.accuracy.mean > top - WORTH])
        reason = f"{_name(option)} is the cheapest within a point of the highest accuracy{within}."
        return Choice(option, True, reason)
    wanted, chance = requirement.accuracy, requirement.chance
    aim = f"{100 * wanted:.4g}% with a chance of {chance:.0%}"
    if reaching := [each for each in affordable if each.chance(wanted) >= chance]:
        option = _cheapest(_measured_first(reaching))
        reason = f"{_name(option)} spends the fewest tokens of those that reach {aim}{within}."
        return Choice(option, True, reason + ("" if option.is_measured else " It was not measured: measure it first."))
    option = max(affordable, key=lambda each: (each.chance(wanted), each.accuracy.mean))
    likeliest = f"The likeliest to is {_name(option)}, with {option.chance(wanted):.0%}."
    return Choice(option, False, f"Nothing reaches {aim}{within}. {likeliest}")


def best_of_each(options: Sequence[Option], requirement: Requirement) -> list[Option]:
    """Return what is chosen of every configuration of every pair of models, the cheapest first."""
    groups: dict[object, list[Option]] = {}
    for each in options:
        groups.setdefault((each.models, each.point.configuration), []).append(each)
    return sorted((choose(group, requirement).option for group in groups.values()), key=lambda each: each.cost.tokens)


def _measured_first(options: Sequence[Option]) -> Sequence[Option]:
    return [each for each in options if each.is_measured] or options


def _cheapest(options: Sequence[Option]) -> Option:
    return min(options, key=lambda each: (each.cost.tokens, -each.accuracy.mean))


def _name(option: Option) -> str:
    return f"{option.point} of {option.models}"
