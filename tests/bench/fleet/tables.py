"""What simulations say, in tables."""

from collections.abc import Sequence

from rich.table import Table

from tests.bench.fleet.questions import Case, Found, Results

COLUMNS = (
    "pair", "GPUs", "verifier", "gateways", "strategy", "N", "step", "load", "routing", "assumed", "searches/s",
    "tokens/s", "p50, s", "p95, s", "judged", "reread", "gateway busy", "repeated", "preempted",
)  # fmt: skip


def one(case: Case, found: Found) -> Table:
    """Show one simulation, a row a figure."""
    table = Table(show_header=False)
    for name, value in zip(COLUMNS, _row(case, found), strict=True):
        table.add_row(name, value)
    return table


def answers(title: str, cases: Sequence[Case], results: Results) -> Table:
    """Show what was found for the cases of a question; columns that are the same in all are left out."""
    rows = [_row(case, results[case]) for case in cases]
    varying = [place for place in range(len(COLUMNS)) if len({row[place] for row in rows}) > 1]
    same = ", ".join(f"{COLUMNS[place]} {rows[0][place]}" for place in range(len(COLUMNS)) if place not in varying)
    table = Table(*(COLUMNS[place] for place in varying), title=title, caption=f"in all rows: {same}")
    for row in rows:
        table.add_row(*(row[place] for place in varying))
    return table


def _row(case: Case, found: Found) -> tuple[str, ...]:
    assumed = case.assumptions
    factors = {"efficiency": assumed.efficiency, "host": assumed.host, "gateway": assumed.gateway}
    lost = ", ".join(f", {each.model} lost" for each in case.losses)
    return (
        case.pair,
        str(case.num_gpus),
        str(case.num_verifiers),
        str(case.num_gateways),
        case.strategy,
        str(case.n),
        str(case.step_tokens),
        f"{case.in_flight} in flight" if case.rate is None else f"{case.rate:g}/s{lost}",
        case.routing,
        ", ".join(f"{name} x{factor:g}" for name, factor in factors.items() if factor != 1) or "as it is",
        f"{found.throughput:.2f}",
        f"{found.tokens:,.0f}",
        f"{found.p50:.1f}",
        f"{found.p95:.1f}",
        f"{found.judged:.2f}",
        f"{found.reread:.2f}",
        f"{found.gateway:.0%}",
        f"{found.repeated:,}",
        f"{found.preempted:,}",
    )
