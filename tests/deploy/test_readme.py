"""What deploy/ documents is what is there."""

import re

import yaml

from tests.bench.monitoring import MONITORING
from tests.deploy.settings_table import MARKED, PAGE, table

ALERTS = MONITORING / "alerts.md"


def test_the_table_of_the_settings_is_that_of_the_settings() -> None:
    shown = MARKED.search(PAGE.read_text())
    assert shown is not None
    assert shown[0] == table(), "python -m tests.deploy.settings_table writes it anew"


def test_every_alert_is_explained_and_every_explanation_has_its_alert() -> None:
    groups = yaml.safe_load((MONITORING / "rules.yml").read_text())["groups"]
    alerts = [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]
    assert re.findall(r"^## (\w+)$", ALERTS.read_text(), re.MULTILINE) == alerts
