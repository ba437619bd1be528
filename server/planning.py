"""From a request to the search that it asks for, or to an error that says why there is none."""

from dataclasses import dataclass, replace

from models.interfaces import AdaptableVerifier, AdaptationPlan, Problem, Sampling, Turn
from search.answers.checking.reader import CheckingReader
from search.answers.pool import AnswerPool
from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.dvts import DVTS
from search.expander import Models
from search.strategy import Strategy
from search.voting import Selection
from server.calibration.table import Budget, Calibrated, Calibration
from server.errors import RequestError
from server.schemas import SolveRequest

TREE_FIELDS = ("beam_width", "max_steps", "lookahead", "selection")
AUTO_FIELDS = ("target_confidence", "max_total_tokens")
UNUSED_FIELDS = {
    "auto": (*TREE_FIELDS, "aggregation", "adapt"),
    "majority": (*TREE_FIELDS, "aggregation", "adapt", *AUTO_FIELDS),
    "best_of_n": (*TREE_FIELDS, *AUTO_FIELDS),
    "weighted_best_of_n": (*TREE_FIELDS, *AUTO_FIELDS),
    "beam_search": ("adapt", *AUTO_FIELDS),
    "dvts": ("adapt", *AUTO_FIELDS),
}
FALLBACK = "weighted_best_of_n"
"""What auto is without a table."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A strategy, and why it is this one.

    Attributes:
        strategy: To be run.
        name: Of the strategy, on the wire.
        reason: In words.
    """

    strategy: Strategy
    name: str
    reason: str


def plan_strategy(request: SolveRequest, calibrated: Calibrated) -> Planned:
    """Build the strategy that a request names.

    Raises:
        RequestError: The strategy has no use for a field that was set, or cannot keep within a limit.
        HyperparameterError: It cannot run with these values.
    """
    _refuse_unused(request)
    if request.strategy == "auto":
        return _plan_auto(request, calibrated)
    return Planned(_build(request, request.strategy), request.strategy, "asked for by the request")


def _build(request: SolveRequest, name: str) -> Strategy:
    match name:
        case "majority":
            return BestOfN(request.n, Selection.MAJORITY, request.early_stop)
        case "best_of_n":
            return BestOfN(request.n, Selection.BEST, request.early_stop, _plan_adaptation(request))
        case "weighted_best_of_n":
            return BestOfN(request.n, Selection.WEIGHTED, request.early_stop, _plan_adaptation(request))
    tree = BeamSearch if name == "beam_search" else DVTS
    return tree(
        n=request.n,
        beam_width=request.beam_width,
        max_steps=request.max_steps,
        lookahead=request.lookahead,
        selection=Selection(request.selection),
        early_stop=request.early_stop,
    )


def _plan_auto(request: SolveRequest, calibrated: Calibrated) -> Planned:
    table = calibrated.table
    if table is None:
        return _fall_back(request, calibrated.reason)
    if request.system_prompt is not None:
        return _fall_back(request, "the calibration table holds for another system prompt")
    if request.n < table.budgets[0].n:
        return _fall_back(request, f"the smallest budget of the calibration table is {table.budgets[0].n}")
    budget = _choose_budget(request, table)
    n, reason = request.n, "auto"
    if budget is not table.budget(request.n):
        n, reason = budget.n, f"auto: N = {budget.n} instead of {request.n} to stay within the limits"
    return Planned(budget.build(n, request.target_confidence, early_stop=request.early_stop), "auto", reason)


def _fall_back(request: SolveRequest, reason: str) -> Planned:
    for name in AUTO_FIELDS:
        if getattr(request, name) is not None:
            raise RequestError(f"{name}: cannot be kept, since {reason}; allowed: null", name)
    return Planned(_build(request, FALLBACK), FALLBACK, f"auto: {reason}, so {FALLBACK}")


def _choose_budget(request: SolveRequest, table: Calibration) -> Budget:
    """Return the row of the largest budget within the limits; a deadline too short for all gets the smallest."""
    limit, smallest = request.max_total_tokens, table.budgets[0]
    if limit is not None and table.budget(request.n, limit) is None:
        allowed = f"at least {smallest.tokens[1]:.0f}, for n = {smallest.n}"
        raise RequestError(f"max_total_tokens: {limit} is too small; allowed: {allowed}", "max_total_tokens")
    return table.budget(request.n, limit, request.deadline_s) or smallest


def plan_problem(request: SolveRequest, history: tuple[Turn, ...] = ()) -> Problem:
    """Return the problem that a request asks, after what was said before it."""
    return Problem(request.problem, request.system_prompt, history)


def plan_sampling(request: SolveRequest) -> Sampling:
    """Return how a request wants its responses drawn."""
    return Sampling(request.temperature, request.top_p, request.max_tokens, request.seed)


def plan_models(request: SolveRequest, models: Models) -> Models:
    """Return the models with the reader of answers that a request wants.

    Raises:
        RequestError: They cannot do what it asks for.
    """
    if request.adapt is not None and not isinstance(models.verifier, AdaptableVerifier):
        message = "adapt: the verifier of this service cannot learn from candidates; allowed: null"
        raise RequestError(f"{message} (a service with WINNOW_VERIFIER_FORMAT=torch can)", "adapt")
    if request.verify is None:
        return models
    return replace(models, reader=CheckingReader(answer_pool(models), request.problem))


def answer_pool(models: Models) -> AnswerPool:
    """Return what reads the answers of the service."""
    assert isinstance(models.reader, AnswerPool)  # noqa: S101 - the composition root makes it so
    return models.reader


def _plan_adaptation(request: SolveRequest) -> AdaptationPlan | None:
    return AdaptationPlan(request.adapt.steps, request.adapt.learning_rate) if request.adapt else None


def _refuse_unused(request: SolveRequest) -> None:
    for name in UNUSED_FIELDS[request.strategy]:
        default = SolveRequest.model_fields[name].default
        if getattr(request, name) != default:
            others = ", ".join(strategy for strategy, unused in UNUSED_FIELDS.items() if name not in unused)
            allowed = f"{'null' if default is None else default}, or another strategy: {others}"
            raise RequestError(f"{name}: {request.strategy} has no use for it; allowed: {allowed}", name)
