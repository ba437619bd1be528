"""`GET /metrics` as numbers."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(client: httpx.AsyncClient) -> Samples:
    text = (await client.get("/metrics")).text
    families = text_string_to_metric_families(text)
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def total(samples: Samples, name: str, **labels: str) -> float:
    return sum(
        value for (each, given), value in samples.items() if each == name and labels.items() <= dict(given).items()
    )
