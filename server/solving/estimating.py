"""What a search will probably take, and how probably it is right, before it runs.

Searches that this service has seen come first, since they ran on this machine and under its load: tokens and seconds of
those that asked for the same, apart from their problems. Then comes what `winnow calibrate` measured, which holds for
requests that leave everything but the strategy and N at its default. Between known budgets costs lie on straight lines.
Of what nobody measured nothing is said, except why.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from search.calibration.costs import MIN_VALUES, Cost, Spread, cost_at
from search.calibration.table import Calibration, Costs
from server.schemas import EstimateResponse, SolveRequest, SpreadOut
from server.solving.familiar import novelty_of
from server.solving.planning import values_of, within
from server.solving.replies import is_drawn_alike, is_measured
from server.solving.searching import Search
from server.solving.seen import Kind, kind_of


@dataclass(frozen=True, slots=True)
class _Known:
    """What searches take, and what that rests on; None where nothing is known."""

    cost: Cost | None
    basis: str


async def estimate(search: Search) -> EstimateResponse:
    """Estimate a search that can begin."""
    request, known, chance = search.request, _known(search), _chance(search)
    rests = "the answers of the calibration table" if chance else "no such answers were measured"
    novelty = await novelty_of(search.problem, search.state)
    if novelty and not novelty.is_familiar:
        chance, rests = None, "the problem is unlike those of the calibration table"
    return EstimateResponse(
        completion_tokens=known.cost and _out(known.cost.completion, search.cost),
        verifier_tokens=known.cost and _out(known.cost.verifier),
        seconds=known.cost and _out(known.cost.seconds, request.deadline_s),
        queue_s=round(search.state.admission.wait_s(search.client, search.expected), 3),
        accuracy=chance and _out(chance),
        basis=f"cost: {known.basis}; accuracy: {rests}",
    )


def _chance(search: Search) -> Spread | None:
    """Return how probably the answer is right, over problems; None where that was not measured."""
    request, planned, table = search.request, search.planned, search.state.calibrated.table
    if table is None:
        return None
    if planned.row.fallback is not None:
        budget = table.budget(planned.strategy.n)
        is_usual = values_of(request)["target_confidence"] is None and is_drawn_alike(request, table)
        return budget.chances if budget and is_usual else None
    return table.chances_of(planned.row.name, request.n) if is_measured(request, planned, table) else None


def _known(search: Search) -> _Known:
    state, n = search.state, search.planned.strategy.n
    kind, seen = search.kind, state.seen.costs(search.kind)
    if n in seen:
        return _Known(seen[n][0], f"{seen[n][1]} searches like this one here")
    measured = _measured(search, kind)
    if measured.cost is None and (cost := cost_at(n, {size: cost for size, (cost, _) in seen.items()})):
        return _Known(cost, f"searches like this one here, {_where(n, seen)}")
    return measured


def _measured(search: Search, kind: Kind) -> _Known:
    """Return what the calibration table says of a kind of search."""
    n, name = search.planned.strategy.n, search.planned.row.name
    table = search.state.calibrated.table
    costs = table.costs if table else None
    later = f"estimates come after {MIN_VALUES} searches like this one"
    if table is None or costs is None or name not in costs.strategies:
        lacking = f"the calibration table has none of {name}" if table else search.state.calibrated.reason
        return _Known(None, f"{lacking}; {later}")
    usual = kind_of(_usual(search, table, costs), name, search.models.policy.context)
    if others := [field for field in kind if kind[field] != usual[field]]:
        return _Known(None, f"not measured with this {others[0]}; {later}")
    known = costs.strategies[name]
    cost = cost_at(n, known)
    if cost is None:
        return _Known(None, f"not measured near N = {n}; {later}")
    machine = costs.made.get("machine", {}).get("cpu", "another machine")
    return _Known(cost, f"{costs.problems} problems of the calibration table, {_where(n, known)}, alone on {machine}")


def _usual(search: Search, table: Calibration, costs: Costs) -> SolveRequest:
    """Return a request of the kind that the table was measured with."""
    row, settings = search.planned.row, search.state.settings
    asked = {"problem": "?", "strategy": row.name, "n": search.request.n, "temperature": table.temperature}
    asked |= {"beam_width": costs.beam_width} if row.has_beams else {}
    return within(SolveRequest.model_validate(asked), settings)


def _where(n: int, known: Iterable[int]) -> str:
    below = max((size for size in known if size <= n), default=None)
    above = min((size for size in known if size >= n), default=None)
    if below == above:
        return f"N = {n}"
    return f"between N = {below} and {above}" if below and above else f"in proportion to N = {below or above}"


def _out(spread: Spread, most: float | None = None) -> SpreadOut:
    low, expected, high = (value if most is None else min(value, most) for value in spread)
    return SpreadOut(low=low, expected=expected, high=high)
