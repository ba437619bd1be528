"""The alerts, by Prometheus' own tool, where it is installed."""

import shutil
import subprocess

import pytest

from tests.bench.monitoring import MONITORING, dashboard_queries, rule_queries

PROMTOOL = shutil.which("promtool")


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
    used = {word for word in queries.replace("(", " ").replace("{", " ").split() if word.startswith("winnow:")}
    assert used
    assert used <= recorded
