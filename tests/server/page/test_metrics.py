"""Metrics as the page reads them, against the parser of Prometheus' own client."""

import math
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.server.page.scripts import call

NAMES = ("plain", 'quotes " and \\ and }', "lines\nand, commas", "", "é \U0001d499", "constructor", "__proto__x")


def exposition() -> str:
    registry = CollectorRegistry()
    counter = Counter("tokens", "Of all\nkinds.", ("kind", "model"), registry=registry)
    for place, name in enumerate(NAMES):
        counter.labels(name, "a b").inc(place + 0.5)
    for name, value in (("large", 1e22), ("infinite", math.inf), ("less", -math.inf), ("unknown", math.nan)):
        Gauge(name, "", registry=registry).set(value)
    return generate_latest(registry).decode()


def test_every_sample_is_read_as_the_client_reads_it() -> None:
    text = exposition()
    function = """({ readMetrics }, text) => [...readMetrics(text).values()].flat()
      .map(({ name, labels, value }) => [name, Object.entries(labels), String(value)])"""
    found = {(name, tuple(map(tuple, labels))): value for name, labels, value in call("prometheus", function, text)}
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert len(samples) > 10
    for sample in samples:
        value = found[sample.name, tuple(sample.labels.items())].replace("Infinity", "inf")
        assert float(value) == pytest.approx(sample.value, nan_ok=True)
    assert len(found) == len(samples)


def test_lines_that_are_no_samples_are_left_out() -> None:
    text = '# HELP a b\n\na{b="c" 1\n{} 3\na{b="c"} no\na{} 2 1700000000\nb'
    assert call("prometheus", "({ readMetrics }, text) => [...readMetrics(text)]", text) == [
        ["a", [{"name": "a", "labels": {}, "value": 2}]]
    ]


def readings(*observed: list[float]) -> list[str]:
    registry = CollectorRegistry()
    seconds = Histogram("seconds", "", ("strategy",), buckets=(1, 2, 4), registry=registry)
    texts = []
    for values in observed:
        for value in values:
            seconds.labels("dvts").observe(value)
        texts.append(generate_latest(registry).decode())
    return texts


@pytest.mark.parametrize(
    ("values", "share", "wanted"),
    [
        ([0.5] * 10, 0.5, 0.5),  # half of the first bucket, by a straight line
        ([0.5] * 5 + [3.0] * 5, 0.75, 3.0),
        ([9.0], 0.95, 4.0),  # above the last bound
        ([], 0.95, None),
    ],
)
def test_a_quantile_is_of_what_was_counted_between_two_readings(values: list[float], share: float, wanted: Any) -> None:
    function = """({ quantile, readMetrics }, texts, share) => quantile(...texts.map(readMetrics), "seconds", share)"""
    assert call("prometheus", function, readings([9.0, 9.0], values), share) == wanted


def test_a_counter_that_starts_anew_counts_from_nought() -> None:
    function = """({ growth, readMetrics }, a, b) => growth(readMetrics(a), readMetrics(b), "n")"""
    assert call("prometheus", function, "n 5", "n 7") == 2
    assert call("prometheus", function, "n 5", "n 3") == 3
    assert call("prometheus", function, "", "n 3") == 3
    assert call("prometheus", function, "n 5", "") is None
