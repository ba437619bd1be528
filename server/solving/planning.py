"""From a request to the search that it asks for, or to an error that says why there is none."""

from dataclasses import dataclass, replace
from typing import Any

from models.interfaces import Problem, Sampling, Turn
from search.aggregation import Aggregation
from search.answers.checked import CheckingReader
from search.answers.pool import AnswerPool
from search.calibration.table import Budget, Calibrated, Calibration
from search.expander import Models
from search.strategies import Row, conversions, request_fields, strategies
from search.strategy import Strategy
from server.http.errors import RequestError
from server.schemas import SolveRequest


@dataclass(frozen=True, slots=True)
class Planned:
    """A strategy, and why it is this one.

    Attributes:
        strategy: To be run.
        row: Of the strategy.
        reason: In words.
    """

    strategy: Strategy
    row: Row
    reason: str


def plan_strategy(request: SolveRequest, calibrated: Calibrated) -> Planned:
    """Build the strategy that a request names.

    Raises:
        RequestError: The strategy does not read a field that was set, or cannot keep within a limit.
        HyperparameterError: It cannot run with these values.
    """
    row = strategies()[request.strategy]
    _refuse_unread(request, row)
    if row.fallback is None:
        return Planned(_build(request, row), row, "asked for by the request")
    return _plan_by_table(request, row, strategies()[row.fallback], calibrated)


def values_of(request: SolveRequest) -> dict[str, Any]:
    """Return the values of the fields that some strategy reads."""
    return {each.name: getattr(request, each.name) for each in request_fields()}


def _build(request: SolveRequest, row: Row) -> Strategy:
    return row.build(request.n, early_stop=request.early_stop, **conversions(values_of(request)))


def _plan_by_table(request: SolveRequest, row: Row, fallback: Row, calibrated: Calibrated) -> Planned:
    def fall_back(reason: str) -> Planned:
        for each in row.fields:
            if getattr(request, each.name) is not None:
                raise RequestError(f"{each.name}: cannot be kept, since {reason}; allowed: null", each.name)
        return Planned(_build(request, fallback), fallback, f"{row.name}: {reason}, so {fallback.name}")

    table = calibrated.table
    if table is None:
        return fall_back(calibrated.reason)
    if request.system_prompt is not None:
        return fall_back("the calibration table holds for another system prompt")
    if request.n < table.budgets[0].n:
        return fall_back(f"the smallest budget of the calibration table is {table.budgets[0].n}")
    values = values_of(request)
    budget = _choose_budget(request, values["max_total_tokens"], table)
    n, reason = request.n, row.name
    if budget is not table.budget(request.n):
        n, reason = budget.n, f"{row.name}: N = {budget.n} instead of {request.n} to stay within the limits"
    return Planned(budget.build(n, values["target_confidence"], early_stop=request.early_stop), row, reason)


def _choose_budget(request: SolveRequest, limit: int | None, table: Calibration) -> Budget:
    """Return the row of the largest budget within the limits; a deadline too short for all gets the smallest."""
    smallest = table.budgets[0]
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
    if (reason := strategies()[request.strategy].unmet(models.verifier)) is not None:
        raise RequestError(f"strategy: {reason}", "strategy")
    if request.verify is None:
        return models
    return replace(models, reader=CheckingReader(answer_pool(models), request.problem))


def answer_pool(models: Models) -> AnswerPool:
    """Return what reads the answers of the service."""
    assert isinstance(models.reader, AnswerPool)  # noqa: S101 - the composition root makes it so
    return models.reader


def plan_aggregation(request: SolveRequest) -> Aggregation:
    """Return how the scores of steps become the score of a response."""
    return Aggregation(values_of(request)["aggregation"])


def is_read(request: SolveRequest, name: str) -> bool:
    """Tell whether the strategy of a request reads a field; fields that no strategy knows are read by all."""
    return strategies()[request.strategy].reads(name) or all(each.name != name for each in request_fields())


def _refuse_unread(request: SolveRequest, row: Row) -> None:
    for each in request_fields():
        if not row.reads(each.name) and getattr(request, each.name) != SolveRequest.model_fields[each.name].default:
            others = [other.name for other in strategies().values() if other.reads(each.name)]
            use = " or ".join(filter(None, [", ".join(others[:-1]), others[-1]]))
            message = f"{each.name}: not supported by strategy {row.name}; omit it or use {use}"
            raise RequestError(message, each.name)
