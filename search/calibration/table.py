"""The calibration table: what `winnow calibrate` found out about a policy, a verifier and a prompt.

It says how `auto` spends a budget, and how probable an answer is: a small YAML file beside the policy's folder, to
be read by people too. A table that was made for other models or another prompt is not used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    field_validator,
    model_validator,
)

from models.files import UnreadableFileError, read_yaml, replace_file
from models.interfaces import DELIMITER
from search.calibration.costs import Cost, Spread
from search.calibration.familiarity import FALSE_ALARMS, Seen, see
from search.compute_optimal import MODES, Bin, ComputeOptimal
from search.confidence import Confidence
from search.diagnostics import Novelty
from search.errors import HyperparameterError
from search.stopping import EarlyStop, Probable
from search.strategies import calibrated, strategies
from search.strategy import Strategy

MAX_KNOTS = 10
MIN_PER_KNOT = 20
"""Problems."""

Amount = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


def _rises(knots: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Refuse what makes no map."""
    try:
        _map(knots)
    except HyperparameterError as error:
        raise ValueError(str(error)) from error
    return knots


Knots = Annotated[list[tuple[Share, Share]], AfterValidator(_rises)]
"""Support and probability."""


def _unpack(text: Any) -> Any:
    """Read the text of a table; what is unpacked stays as it is."""
    return Seen.unpack(text) if isinstance(text, str) else text


Packed = Annotated[Seen, BeforeValidator(_unpack), PlainSerializer(lambda seen: seen.packed)]


class Row(BaseModel):
    """What every part of the table has in common: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Spending(Row):
    """A strategy and its hyperparameters; how much it spends stands elsewhere.

    Attributes:
        strategy: Its name.
        beam_width: M, of a strategy that has it.
        thinks: Whether the policy is asked to think; None: as its template has it.
    """

    strategy: str
    beam_width: int | None = Field(None, ge=1)
    thinks: bool | None = None

    @property
    def name(self) -> str:
        """In words."""
        width = "" if self.beam_width is None else f", M = {self.beam_width}"
        return f"{self.strategy}{width}{MODES[self.thinks]}"

    def build(self, n: int, *, early_stop: EarlyStop = True) -> Strategy | None:
        """Return the strategy with a budget of at most `n`; None where that is not even one beam."""
        row, width = strategies()[self.strategy], self.beam_width or 1
        if n < width:
            return None
        allowed = early_stop if row.stops_probably else bool(early_stop)
        return row.build(n - n % width, early_stop=allowed, beam_width=width)

    @field_validator("strategy")
    @classmethod
    def _can_be_calibrated(cls, name: str) -> str:
        allowed = [row.name for row in calibrated()]
        if name not in allowed:
            raise ValueError(f"{name} cannot spend a budget here; use {', '.join(allowed)}")
        return name


class Difficulty(Row):
    """A bin: problems whose probe was at least so sure.

    Attributes:
        floor: Least confidence after the probe.
        rest: How the rest of the budget is spent; null ends the search.
        problems: Measured in this bin.
        accuracy: Share of them that are answered right in the end.
    """

    floor: Share
    rest: Spending | None
    problems: int
    accuracy: Share


class Budget(Row):
    """How `auto` spends a budget.

    Attributes:
        n: N, the budget.
        probe: The search that shows how hard a problem is.
        probe_n: Its budget.
        bins: What follows, the easiest problems first.
        confidence: Of the probe's answer.
        final_confidence: Of the answer in the end, where the search went on.
        accuracy: Share of right answers, cross-validated.
        tokens: Generated and judged for a problem: the mean, and what nineteen in twenty do not exceed.
        seconds: A problem alone takes: the same two.
    """

    n: int = Field(ge=1)
    probe: Spending
    probe_n: int = Field(ge=1)
    bins: list[Difficulty] = Field(min_length=1)
    confidence: Knots
    final_confidence: Knots
    accuracy: Share
    tokens: tuple[Amount, Amount]
    seconds: tuple[Amount, Amount]

    @property
    def chances(self) -> Spread:
        """How probable the answers are, over problems: after the probe where that is all, else in the end."""
        floor = min((bin.floor for bin in self.bins if bin.rest is None), default=2.0)
        early = [probability for _, probability in self.confidence if probability >= floor]
        late = [probability for _, probability in self.final_confidence]
        num_late = sum(bin.problems for bin in self.bins if bin.rest)
        num_each = sum(bin.problems for bin in self.bins) // len(self.confidence)
        chances = early * num_each + late * (num_late // len(late))
        return Spread.over(chances or late)._replace(expected=self.accuracy)

    @model_validator(mode="after")
    def _makes_a_search(self) -> Self:
        try:
            self.build(self.n)
        except HyperparameterError as error:
            raise ValueError(str(error)) from error
        return self

    def build(self, n: int, target: float | None = None, *, early_stop: EarlyStop = True) -> ComputeOptimal:
        """Return the search that spends a budget of `n`, which is at least that of the row, in the way of the row."""
        if isinstance(early_stop, Probable) and any(bin.rest for bin in self.bins):
            early_stop = early_stop.shared(2)
        may_stop = isinstance(early_stop, Probable) and strategies()[self.probe.strategy].stops_probably
        probe = self.probe.build(self.probe_n, early_stop=may_stop and early_stop)  # else all informs the decision
        if probe is None:
            raise HyperparameterError("probe_n", f"{self.probe_n} is too small for one beam")
        left = n - probe.n
        bins = tuple(
            Bin(bin.floor, bin.rest.build(left, early_stop=early_stop), bin.rest.thinks)
            if bin.rest
            else Bin(bin.floor, None)
            for bin in self.bins
        )
        confidence, final = _map(self.confidence), _map(self.final_confidence)
        return ComputeOptimal(n, probe, confidence, bins, final, target, self.probe.thinks)


class Costs(Row):
    """What searches take, at their defaults, one problem at a time.

    Attributes:
        made: When, where and from which commit.
        problems: Measured for each.
        beam_width: M of strategies that have it.
        strategies: By name and N.
    """

    made: dict[str, Any]
    problems: int = Field(ge=1)
    beam_width: int = Field(ge=1)
    strategies: dict[str, dict[Annotated[int, Field(ge=1)], Cost]]


class Identity(Row):
    """What a table was measured with, and holds for.

    Attributes:
        policy: Fingerprint of its folder.
        verifier: Of its folder; the name of a checker.
        verifier_format: How it reads and scores.
        system_prompt: Instruction to the policy.
        steps: Where steps end, as a request says it.
        thinking: The marks around thoughts; None of a policy without.
    """

    policy: str
    verifier: str
    verifier_format: str
    system_prompt: str | None
    steps: dict[str, Any] = {"delimiter": DELIMITER}
    thinking: list[str] | None = None


class Familiarity(Row):
    """What the problems of the calibration look like.

    Attributes:
        made_for: What the policy was trained on, in words; null where nobody said.
        problems: Whose parts were seen.
        false_alarms: Share of new problems of this kind that are called unfamiliar, at most.
        limit: Above this novelty a problem is unfamiliar.
        made: How: commit and date.
        seen: Their parts.
    """

    made_for: str | None = None
    problems: int = Field(ge=1)
    false_alarms: float = Field(gt=0, lt=1)
    limit: Share
    made: dict[str, Any]
    seen: Packed

    @classmethod
    def of(
        cls, problems: Sequence[str], made_for: str | None, made: dict[str, Any], false_alarms: float = FALSE_ALARMS
    ) -> Self | None:
        """Return what problems look like; None if they are too few to tell."""
        found = see(problems, false_alarms)
        if found is None:
            return None
        seen, limit = found
        values = {"made_for": made_for, "problems": len(problems), "false_alarms": false_alarms, "limit": limit}
        return cls(**values, made=made, seen=seen)

    def novelty(self, problem: str) -> Novelty:
        """Return how unlike these a problem is."""
        return Novelty(self.seen.novelty(problem), self.limit)


class Calibration(Row):
    """The table.

    Attributes:
        version: Of the format.
        identity: What it holds for.
        temperature: At which it was measured.
        made: How: commit, problems, machine.
        budgets: How `auto` spends, the smallest budget first.
        confidence: Of the answers of every strategy, by budget.
        familiarity: What its problems look like; None of a table that cannot tell.
        costs: Of every strategy; None in tables that were made without.
    """

    version: Literal[1] = 1
    identity: Identity
    temperature: float = Field(ge=0)
    made: dict[str, Any]
    budgets: list[Budget] = Field(min_length=1)
    confidence: dict[str, dict[Annotated[int, Field(ge=1)], Knots]]
    familiarity: Familiarity | None = None
    costs: Costs | None = None

    @model_validator(mode="after")
    def _budgets_rise(self) -> Self:
        budgets = [budget.n for budget in self.budgets]
        if budgets != sorted(set(budgets)):
            raise ValueError(f"budgets must rise from one to the next, not {budgets}")
        return self

    def budget(self, n: int, max_tokens: float | None = None, max_seconds: float | None = None) -> Budget | None:
        """Return the row of the largest budget that is at most `n` and stays within the limits; None where none is."""
        rows = [
            row
            for row in self.budgets
            if row.n <= n
            and (max_tokens is None or row.tokens[1] <= max_tokens)
            and (max_seconds is None or row.seconds[1] <= max_seconds)
        ]
        return rows[-1] if rows else None

    def confidence_of(self, strategy: str, n: int) -> Confidence | None:
        """Return the map at the measured budget nearest to `n`; None where none is within a factor of two."""
        distances = {budget: abs(log2(budget / n)) for budget in self.confidence.get(strategy, {})}
        nearest = min(distances, key=distances.__getitem__, default=None)
        if nearest is None or distances[nearest] > 1:
            return None
        return _map(self.confidence[strategy][nearest])

    def chances_of(self, strategy: str, n: int) -> Spread | None:
        """Return how probable the answers of a strategy are, over problems; None where that was not measured.

        Knots stand for equally many problems each, unless groups of one support became one of them.
        """
        confidence = self.confidence_of(strategy, n)
        num_groups = min(MAX_KNOTS, max(self.made.get("problems", 0) // MIN_PER_KNOT, 1))
        if confidence is None or len(confidence.probabilities) < num_groups:
            return None
        return Spread.over(confidence.probabilities)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The table of a service, or why it has none.

    Attributes:
        table: To be used.
        reason: Why there is none, in words; empty where there is one.
    """

    table: Calibration | None
    reason: str = ""


ALONE = Calibrated(None, "this service has no verifier")
UNCALIBRATED = Calibrated(None, "these models have no calibration table; `winnow calibrate` makes one")


def read_calibration(path: Path) -> Calibration:
    """Read a table.

    Raises:
        UnreadableFileError: There is none; the message names the file and the field.
    """
    values = read_yaml(path, f"calibration {path}")
    try:
        return Calibration.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise UnreadableFileError(f"calibration {path}: {place}: {first['msg']}") from error


def write_calibration(table: Calibration, path: Path) -> None:
    """Write a table.

    Raises:
        UnwritableFileError: It cannot be written; the one that was there is untouched.
    """
    values = {"version": table.version} | table.model_dump(mode="json", exclude_unset=True)
    replace_file(path, yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=110, allow_unicode=True))


def _map(knots: Sequence[tuple[float, float]]) -> Confidence:
    return Confidence(tuple(support for support, _ in knots), tuple(probability for _, probability in knots))
