"""Dashboard, rules and alerts ask for metrics that there are."""

import re

import httpx

from tests.bench.monitoring import ELSEWHERE, dashboard_queries, rule_queries
from tests.server.scraping import scrape
from tests.server.test_solve import solve

METRIC = re.compile(r"\b(?:winnow_|vllm:)\w+")


async def test_every_metric_that_is_asked_for_is_served(client: httpx.AsyncClient) -> None:
    await solve(client, n=2, strategy="majority")
    await solve(client, n=8, strategy="best_of_n", early_stop=False)
    served = {name for name, _ in await scrape(client)} | {"winnow_warnings_total"}  # none before the first warning
    queries = [query for _, query in (*dashboard_queries(), *rule_queries())]
    asked = {name for query in queries for name in METRIC.findall(query) if not ELSEWHERE.match(name)}
    assert len(asked) > 20
    assert asked <= served
