"""The strategies there are, a row each: what a request calls one, which fields it reads, and how it is built.

All that differs between strategies outside their own files follows from these rows: the schema of requests and what
they are refused for, the names of models, metrics, evaluation, calibration, forecasts and plots. A package elsewhere
adds a row of its own by an entry point of the group `winnow.strategies`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from search.aggregation import Aggregation
from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.compute_optimal import ComputeOptimal
from search.deepconf import DeepConf
from search.dvts import DVTS
from search.errors import HyperparameterError, StrategyError
from search.rebase import Rebase
from search.stopping import EarlyStop, Probable
from search.strategy import Strategy
from search.ttt_best_of_n import UNABLE, AdaptableVerifier, TTTBestOfN
from search.voting import Selection

GROUP = "winnow.strategies"
ALONE = (
    "majority and plain requests are served; all other strategies need a verifier to judge the steps of responses: set "
    "verifier_model and verifier_format, or verifier_format: confidence, which needs no second model "
    "(models/bringing-models.md)"
)
MAX_N = 1024
MAX_STEPS = 1_000


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a request that some strategies read.

    Attributes:
        name: In the request, and of the hyperparameter where it is one.
        kind: int, float, or an enum whose values are spelt out.
        default: None: not given.
        description: For the documentation and `--help`.
        low, high: The least and the largest value; None where there is none.
        is_above: Whether `low` itself is too small.
        moves_confidence: Whether another value than the default makes confidences as they were measured wrong.
    """

    name: str
    kind: type[int] | type[float] | type[Enum]
    default: int | float | Enum | None
    description: str
    low: float | None = None
    high: float | None = None
    is_above: bool = False
    moves_confidence: bool = False


BEAM_WIDTH = Field("beam_width", int, 4, "M, children of each survivor; divides n.", 1, MAX_N)
MAX_STEPS_FIELD = Field("max_steps", int, 40, "Steps of a tree search; the last runs to the end.", 1, MAX_STEPS)
LOOKAHEAD = Field(
    "lookahead", int, 0, "k, greedy steps rolled out before a step is judged.", 0, 16, moves_confidence=True
)
AGGREGATION = Field("aggregation", Aggregation, Aggregation.LAST, "From step scores to a score.", moves_confidence=True)
SELECTION = Field(
    "selection",
    Selection,
    None,
    "How the answer is chosen; null: best by best_of_n, weighted by others. A tournament needs verifier_format judge.",
    moves_confidence=True,
)
KEEP = Field(
    "keep",
    float,
    None,
    "Share of the responses that vote, those with the highest scores; default: 1, in deepconf .9.",
    0,
    1,
    is_above=True,
    moves_confidence=True,
)
TARGET_CONFIDENCE = Field(
    "target_confidence", float, None, "auto: probability of being right that is enough to stop.", 0, 1, is_above=True
)
MAX_TOTAL_TOKENS = Field(
    "max_total_tokens", int, None, "auto: generated and judged tokens that 19 of 20 searches must stay within.", 1
)
TREE = (BEAM_WIDTH, MAX_STEPS_FIELD, LOOKAHEAD, AGGREGATION, SELECTION)


class Parts(Enum):
    """What smaller searches a larger one holds, when it does not stop early."""

    RESPONSES = "responses"  # its first n responses are those of a search with the budget n
    SUBTREES = "subtrees"  # its first n/M subtrees are
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Row:
    """A strategy.

    Attributes:
        name: On the wire.
        make: Its class, whose fields are the hyperparameters.
        colour: In plots.
        fields: Those of a request that it reads, besides n, early_stop and what every search reads.
        fixed: Hyperparameters that make the class this strategy.
        parts: What smaller searches a larger one holds.
        selections: How its answer may be chosen.
        parts: What smaller searches a larger one holds. Where it holds any, `early_stop` may be `Probable`.
        unmet: Says why a service with this verifier cannot run it; None where it can.
        fallback: Of a strategy that a calibration table builds: which one stands in where there is no table.
        is_calibrated: Whether `winnow calibrate` may choose it.
        cost: The most responses that it may generate, by N and the values of its fields.
    """

    name: str
    make: Callable[..., Strategy]
    colour: str
    fields: tuple[Field, ...] = ()
    fixed: Mapping[str, object] = field(default_factory=dict)
    parts: Parts = Parts.NONE
    selections: tuple[Selection, ...] = tuple(Selection)
    unmet: Callable[[object], str | None] = lambda verifier: None
    fallback: str | None = None
    is_calibrated: bool = False
    cost: Callable[[int, Mapping[str, Any]], int] = lambda n, values: n

    def build(self, n: int, *, early_stop: EarlyStop = True, **values: object) -> Strategy:
        """Return the strategy with a budget.

        Args:
            n: N, the budget.
            early_stop: Which work it may leave out.
            values: Of hyperparameters, by name; those that this strategy does not have are left out, as is None.

        Raises:
            HyperparameterError: It cannot run with these values.
        """
        own = {name: value for name, value in values.items() if name in self.hyperparameters and value is not None}
        if own.get("selection") not in (None, *self.selections):
            allowed = ", ".join(selection.value for selection in self.selections)
            raise HyperparameterError("selection", f"not supported by strategy {self.name}; allowed: {allowed}")
        if isinstance(early_stop, Probable) and not self.stops_probably:
            others = ", ".join(row.name for row in strategies().values() if row.stops_probably)
            raise HyperparameterError(
                "early_stop", f"probable is not supported by strategy {self.name}; use exact, or one of {others}"
            )
        return self.make(n=n, early_stop=early_stop, **{**self.fixed, **own})

    @property
    def hyperparameters(self) -> frozenset[str]:
        """Names of the fields that are hyperparameters of the class."""
        return frozenset(each.name for each in fields(self.make)) & {each.name for each in self.fields}  # type: ignore[arg-type]

    def lacks(self, verifier: object | None) -> str | None:
        """Say why a service with this verifier, or without any, cannot run it; None where it can."""
        if verifier is None and self.judges and self.fallback is None:
            return (
                f"{self.name} needs a verifier, which this service does not have; use {one_sample().name}, or start "
                "winnow with verifier_model and verifier_format: a verifier judges each step, so that the best "
                "responses are found and not only the most frequent answer"
            )
        return self.unmet(verifier)

    def stand_in(self, has_verifier: bool) -> "Row":
        """Return the strategy that runs in place of one that needs a table, where there is none."""
        return strategies()[self.fallback] if self.fallback and has_verifier else one_sample()

    @property
    def selection(self) -> Selection:
        """How it chooses where a request does not say."""
        return self.build(1).selection

    @property
    def judges(self) -> bool:
        """Whether it needs a verifier."""
        return AGGREGATION in self.fields or self.fallback is not None

    @property
    def grows_by_steps(self) -> bool:
        """Whether it continues responses step by step, and does not draw each as a whole."""
        return self.reads(MAX_STEPS_FIELD.name)

    @property
    def has_beams(self) -> bool:
        """Whether it has a beam width."""
        return BEAM_WIDTH in self.fields

    @property
    def stops_probably(self) -> bool:
        """Whether it may stop when its answer is probable: it draws independent parts, or a table builds it of such."""
        return self.parts is not Parts.NONE or self.fallback is not None

    def reads(self, name: str) -> bool:
        """Tell whether it reads a field."""
        return any(each.name == name for each in self.fields)

    def has_made(self, strategy: Strategy) -> bool:
        """Tell whether a strategy is this one."""
        if type(strategy) is not self.make or strategy.selection not in self.selections:
            return False
        return all(getattr(strategy, name) == value for name, value in self.fixed.items() if name != "selection")


def _tree(name: str, make: type[Strategy], colour: str, *, parts: Parts = Parts.NONE) -> Row:
    def cost(n: int, values: Mapping[str, Any]) -> int:
        return n * (1 + int(values["lookahead"]))

    return Row(name, make, colour, TREE, parts=parts, is_calibrated=True, cost=cost)


def _flat(name: str, colour: str, selections: tuple[Selection, ...], *own: Field, is_calibrated: bool = False) -> Row:
    fixed = {"selection": selections[0]}
    return Row(name, BestOfN, colour, own, fixed, Parts.RESPONSES, selections, is_calibrated=is_calibrated)


def _can_learn(verifier: object) -> str | None:
    return None if isinstance(verifier, AdaptableVerifier) else UNABLE


ROWS = (
    Row("auto", ComputeOptimal, "#CC79A7", (TARGET_CONFIDENCE, MAX_TOTAL_TOKENS), fallback="weighted_best_of_n"),
    _flat("majority", "#999999", (Selection.MAJORITY,)),
    _flat("best_of_n", "#E69F00", (Selection.BEST, Selection.TOURNAMENT), AGGREGATION, SELECTION),
    _flat("weighted_best_of_n", "#D55E00", (Selection.WEIGHTED,), KEEP, AGGREGATION, is_calibrated=True),
    _tree("beam_search", BeamSearch, "#0072B2"),
    _tree("dvts", DVTS, "#009E73", parts=Parts.SUBTREES),
    Row(
        "rebase",
        Rebase,
        "#8B5A2B",
        (
            Field(
                "balance_temperature",
                float,
                0.1,
                "rebase: T_b; the larger, the more alike are the shares of the budget.",
                0,
                100,
                is_above=True,
                moves_confidence=True,
            ),
            MAX_STEPS_FIELD,
            AGGREGATION,
        ),
        is_calibrated=True,
    ),
    Row(
        "deepconf",
        DeepConf,
        "#332288",
        (
            KEEP,
            Field("warmup", int, 16, "deepconf: responses that are not stopped, and of each later wave.", 1, MAX_N),
            Field(
                "consensus", float, 0.95, "deepconf: share of the weight at which drawing ends.", 0.5, 1, is_above=True
            ),
            AGGREGATION,
        ),
    ),
    Row(
        "ttt_best_of_n",
        TTTBestOfN,
        "#F0E442",
        (
            Field("adapt_steps", int, 1, "Gradient steps of the verifier on the responses.", 1, 5),
            Field("adapt_learning_rate", float, 0.01, "Of these steps.", 0.001, 0.1),
            AGGREGATION,
            SELECTION,
        ),
        unmet=_can_learn,
    ),
)
"""Colours: Okabe and Ito 2008, "Color universal design", which differ for colour-blind eyes, too."""


@cache
def strategies() -> Mapping[str, Row]:
    """Return all rows by name: the project's own, and those of installed packages.

    Raises:
        StrategyError: One of a package cannot be loaded, or is called like another.
    """
    rows = {row.name: row for row in ROWS}
    known = {each.name: each for row in ROWS for each in row.fields}
    for point in entry_points(group=GROUP):
        row = _load(point)
        if row.name in rows:
            raise StrategyError(f"{_origin(point)}: there is a strategy called {row.name} already; rename it")
        for each in row.fields:
            if known.setdefault(each.name, each) != each:
                raise StrategyError(
                    f"{_origin(point)}: field {each.name} differs from that of another strategy; rename it"
                )
        rows[row.name] = row
    return MappingProxyType(rows)


def _load(point: EntryPoint) -> Row:
    try:
        row = point.load()
    except Exception as error:
        raise StrategyError(f"{_origin(point)} cannot be imported: {type(error).__name__}: {error}") from error
    if not isinstance(row, Row):
        raise StrategyError(f"{_origin(point)} is a {type(row).__name__}; make it a search.strategies.Row")
    return row


def _origin(point: EntryPoint) -> str:
    package = f" of {point.dist.name} {point.dist.version}" if point.dist else ""
    return f"strategy {point.name} ({point.value}{package})"


def request_fields() -> tuple[Field, ...]:
    """Return every field that some strategy reads, once."""
    return tuple(dict.fromkeys((*TREE, *(each for row in strategies().values() for each in row.fields))))


def label(strategy: Strategy) -> str:
    """Return the name of a strategy with its budget, as the names of models have it."""
    return f"{name_of(strategy)}-{strategy.n}"


def name_of(strategy: Strategy) -> str:
    """Return the name of a strategy that a row has built."""
    return next(row.name for row in strategies().values() if row.has_made(strategy))


def flat() -> tuple[Row, ...]:
    """Return the strategies that draw the same independent responses, and differ in how these vote."""
    return tuple(row for row in strategies().values() if row.parts is Parts.RESPONSES)


def trees() -> tuple[Row, ...]:
    """Return those that spend a budget otherwise, by themselves."""
    return tuple(row for row in strategies().values() if row.parts is not Parts.RESPONSES and row.fallback is None)


def calibrated() -> tuple[Row, ...]:
    """Return those that `winnow calibrate` may choose from: the independent responses first."""
    return tuple(row for row in strategies().values() if row.is_calibrated)


def unable(verifier: object | None) -> frozenset[str]:
    """Return the names of those that a service with this verifier, or without any, cannot run."""
    return frozenset(row.name for row in strategies().values() if row.lacks(verifier) is not None)


def by_table() -> tuple[Row, ...]:
    """Return those that a calibration table builds."""
    return tuple(row for row in strategies().values() if row.fallback is not None)


def one_sample() -> Row:
    """Return the strategy that, with N = 1, draws a response and does nothing else."""
    return next(row for row in flat() if not row.judges)


def conversions(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a request's fields as strategies take them."""
    kinds = {each.name: each.kind for each in request_fields()}
    return {name: value if value is None else kinds[name](value) for name, value in values.items() if name in kinds}
