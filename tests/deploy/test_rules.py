"""The alerts, by Prometheus' own tool, where it is installed; and that nothing shows one process for the whole."""

import re
import shutil
import subprocess

import pytest

from tests.bench.monitoring import MONITORING, dashboard_queries, rule_queries

PROMTOOL = shutil.which("promtool")
AGGREGATIONS = {"sum", "max", "min", "avg", "count"}
CLAUSE = re.compile(r"\b(by|ignoring) *\(([^)]*)\)")
LABELS = re.compile(r"\{[^}]*\}|\[[^]]*\]")
OF_A_PROCESS = re.compile(r"winnow_\w+|vllm:\w+|process_\w+|up|winnow:ready:share2m")
EACH_GATEWAY = {"WinnowDown", "WinnowNotReady"}
"""Alerts that name the gateway."""


def alone(query: str) -> set[str]:
    """The metrics of single processes in a query that nothing puts together."""
    found, calls, before = set[str](), list[str](), ""
    for word in re.findall(r"[\w:]+|[()]", CLAUSE.sub("", LABELS.sub("", query))):
        if word == "(":
            calls.append(before)
        elif word == ")":
            calls.pop()
        elif OF_A_PROCESS.fullmatch(word) and not AGGREGATIONS & {*calls}:
            found.add(word)
        before = word
    return found


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
@pytest.mark.parametrize(
    "command", [("check", "config", "--syntax-only", "prometheus.yml"), ("test", "rules", "rules_test.yml")]
)
def test_promtool_has_nothing_against(command: tuple[str, ...]) -> None:
    result = subprocess.run([str(PROMTOOL), *command], cwd=MONITORING, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_what_the_dashboard_and_the_alerts_take_from_the_rules_is_there() -> None:
    recorded = {name for name, _ in rule_queries() if ":" in name}
    queries = " ".join(query for _, query in (*dashboard_queries(), *rule_queries()))
    used = {*re.findall(r"winnow:[\w:]+", queries)}
    assert used
    assert used <= recorded


def test_what_stands_alone_in_a_query_is_found() -> None:
    assert alone("winnow_a / sum by (x) (rate(winnow_b{c=~'d'}[1m]))") == {"winnow_a"}
    assert alone("histogram_quantile(0.5, sum by (le) (rate(winnow_a_bucket[1m])))") == set()


def test_the_dashboard_shows_the_whole_of_several_processes_and_gateways() -> None:
    assert {title: alone(query) for title, query in dashboard_queries() if alone(query)} == {}
    assert {name for name, query in rule_queries() if alone(query)} == EACH_GATEWAY


def test_only_what_names_a_gateway_or_a_process_tells_them_apart() -> None:
    queries = [*dashboard_queries(), *rule_queries()]
    apart = [
        name for name, query in queries if {"instance", "worker"} & {*re.findall(r"\w+", str(CLAUSE.findall(query)))}
    ]
    assert apart == ["winnow:ready:share2m", "WinnowWorkerDown"]
