"""Which strategy and which N for a wish: an accuracy, a number of tokens, a time, or several of these at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.scaling.alternatives import WORTH, Alternative

Bounds = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for; at least one of the first three.

    Attributes:
        accuracy: At least, from 0 to 1.
        budget_tokens: Generated and judged a problem, in the mean, at most.
        deadline_s: That 95 % of the problems may take at most, in seconds.
        chance: With which the accuracy has to be reached.
    """

    accuracy: float | None = None
    budget_tokens: float | None = None
    deadline_s: float | None = None
    chance: float = 0.8

    def affords(self, alternative: Alternative) -> bool:
        """Tell whether an alternative keeps within tokens and time; what nobody timed keeps within none."""
        cost = alternative.cost
        if self.budget_tokens is not None and cost.tokens > self.budget_tokens:
            return False
        return self.deadline_s is None or (cost.seconds_tail is not None and cost.seconds_tail <= self.deadline_s)

    @property
    def bounds(self) -> str:
        """Tokens and time, in words; empty without."""
        tokens = None if self.budget_tokens is None else f"{self.budget_tokens:,.0f} tokens"
        return " and ".join(filter(None, [tokens, None if self.deadline_s is None else f"{self.deadline_s:g} s"]))


@dataclass(frozen=True, slots=True)
class Advice:
    """The answer to a wish.

    Attributes:
        chosen: What to do; where the wish cannot be met, what comes nearest to it.
        is_possible: Whether it can be met.
        chance: That `chosen` meets it: of reaching the accuracy, or of being less than `WORTH` below the best that can
            be afforded; 0 where tokens or time are exceeded.
        reason: Why, in a sentence or two.
        others: For every other strategy of every pair of models what is best of it for the wish, the best first.
    """

    chosen: Alternative
    is_possible: bool
    chance: float
    reason: str
    others: tuple[Alternative, ...]


def advise(alternatives: Sequence[Alternative], wish: Wish) -> Advice:
    """Return what of at least one alternative to do."""
    affordable = [each for each in alternatives if wish.affords(each)]
    pool = affordable or alternatives
    groups: dict[tuple[str, str], list[Alternative]] = {}
    for each in pool:
        groups.setdefault((each.models, each.point.strategy), []).append(each)
    best = [_best(group, wish, bool(affordable)) for group in groups.values()]
    chosen = _best(pool, wish, bool(affordable))
    own = (chosen.models, chosen.point.strategy)
    others = [each for each in best if (each.models, each.point.strategy) != own]
    others.sort(key=lambda each: _merit(each, wish, bool(affordable)))
    if not affordable:
        return Advice(chosen, False, 0.0, _too_dear(chosen, alternatives, wish), tuple(others))
    if wish.accuracy is None:
        chance = _chance_of_best(chosen, affordable)
        return Advice(chosen, True, chance, _most_for(chosen, affordable, wish, chance), tuple(others))
    chance = chance_of(chosen, wish.accuracy)
    is_possible = chance >= wish.chance
    reason = (
        _cheapest_for(chosen, affordable, wish, chance) if is_possible else _too_much(chosen, affordable, wish, chance)
    )
    return Advice(chosen, is_possible, chance, reason, tuple(others))


def chance_of(alternative: Alternative, accuracy: float) -> float:
    """Return the share of draws that reach an accuracy."""
    return float(np.mean(alternative.draws >= accuracy))


def _best(group: Sequence[Alternative], wish: Wish, is_affordable: bool) -> Alternative:
    """Return the best of a group; without an accuracy to reach, the cheapest less than `WORTH` below the highest."""
    if is_affordable and wish.accuracy is None:
        top = max(each.accuracy.mean for each in group)
        group = [each for each in group if each.accuracy.mean > top - WORTH]
        return min(group, key=lambda each: each.cost.tokens)
    return min(group, key=lambda each: _merit(each, wish, is_affordable))


def _merit(alternative: Alternative, wish: Wish, is_affordable: bool) -> Bounds:
    """Return a key by which the better alternative is smaller."""
    cost = alternative.cost
    if not is_affordable:
        late = 0.0 if wish.deadline_s is None else (cost.seconds_tail or np.inf) / wish.deadline_s
        dear = 0.0 if wish.budget_tokens is None else cost.tokens / wish.budget_tokens
        return max(late, dear), -alternative.accuracy.mean
    if wish.accuracy is None:
        return -alternative.accuracy.mean, cost.tokens
    chance = chance_of(alternative, wish.accuracy)
    return (0.0, cost.tokens) if chance >= wish.chance else (1.0, -chance, -alternative.accuracy.mean)


def _chance_of_best(chosen: Alternative, affordable: Sequence[Alternative]) -> float:
    best = np.max([each.draws for each in affordable], axis=0)
    return float(np.mean(chosen.draws > best - WORTH))


def _cheapest_for(chosen: Alternative, affordable: Sequence[Alternative], wish: Wish, chance: float) -> str:
    return (
        f"{_named(chosen, affordable)} spends the fewest tokens of the {len(affordable)} alternatives{_within(wish)} "
        f"that reach {_aim(wish)} or more; its own chance is {chance:.0%}."
    )


def _most_for(chosen: Alternative, affordable: Sequence[Alternative], wish: Wish, chance: float) -> str:
    return (
        f"{_named(chosen, affordable)} is the cheapest within a point of the highest accuracy that {wish.bounds} buy; "
        f"the chance that none of the {len(affordable)} alternatives is a point better is {chance:.0%}."
    )


def _too_much(chosen: Alternative, affordable: Sequence[Alternative], wish: Wish, chance: float) -> str:
    promises = [(float(np.quantile(each.draws, 1 - wish.chance)), each) for each in affordable]
    most, best = max(promises, key=lambda promise: promise[0])
    return (
        f"Nothing reaches {_aim(wish)}{_within(wish)}. The likeliest to is {_named(chosen, affordable)}, with "
        f"{chance:.0%}; with a chance of {wish.chance:.0%} {_named(best, affordable)} reaches {most:.1%}."
    )


def _too_dear(chosen: Alternative, alternatives: Sequence[Alternative], wish: Wish) -> str:
    cost = chosen.cost
    seconds = "" if cost.seconds_tail is None else f" and {cost.seconds_tail:.2f} s for 95 % of the problems"
    nearest = f"{_named(chosen, alternatives)}, with {cost.tokens:,.0f} tokens{seconds}"
    return f"Nothing keeps within {wish.bounds}. The nearest is {nearest}."


def _named(alternative: Alternative, among: Sequence[Alternative]) -> str:
    """Return strategy and N in words, and the models where there are others."""
    models = f" of {alternative.models}" if any(each.models != alternative.models for each in among) else ""
    return f"{alternative.point.strategy} with N = {alternative.point.n}{models}"


def _aim(wish: Wish) -> str:
    return f"{100 * (wish.accuracy or 0.0):.4g}% with a chance of {wish.chance:.0%}"


def _within(wish: Wish) -> str:
    return f" within {wish.bounds}" if wish.bounds else ""
