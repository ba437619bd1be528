"""`winnow doctor`: says what is wrong, and exits as it says."""

import json
import socket

import pytest
from click.testing import CliRunner

from server.cli.main import app

FORMATS = {name: ("--verifier-format", name) for name in ("winnow", "confidence", "none")}


def examined(*options: str) -> tuple[int, dict[str, dict[str, str | None]]]:
    """Exit code and findings by check."""
    result = CliRunner().invoke(app, ["doctor", "--json", *options])
    return result.exit_code, {finding["check"]: finding for finding in json.loads(result.output)}


def test_the_demo_is_served_as_it_is() -> None:
    code, findings = examined("--port", "0")
    assert code == 0
    assert {"settings", "packages", "keys", "address", "hardware", "policy", "verifier", "memory"} <= findings.keys()


def test_a_verifier_that_asks_the_policy_needs_no_memory_of_its_own() -> None:
    memory = {name: examined("--port", "0", *options)[1] for name, options in FORMATS.items()}
    needed = {name: float((found["memory"]["seen"] or "").split()[1]) for name, found in memory.items()}
    assert needed["confidence"] == needed["none"] < needed["winnow"]
    assert "no second model" in (memory["confidence"]["verifier"]["seen"] or "")


def test_what_would_stop_the_service_is_an_exit_code_and_a_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, findings = examined("--port", str(taken.getsockname()[1]))
    assert code == 1
    assert findings["address"]["verdict"] == "stops"
    assert findings["address"]["remedy"]
    assert findings["policy"]["verdict"] == "fine"


def test_settings_that_cannot_be_read_are_all_that_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_PROT", "1")
    code, findings = examined()
    assert (code, list(findings)) == (1, ["settings"])
    assert "WINNOW_PROT" in (findings["settings"]["seen"] or "")


def test_a_value_out_of_range_is_named() -> None:
    code, findings = examined("--port", "70000")
    assert code == 1
    assert (findings["settings"]["seen"] or "").startswith("port: ")


def test_people_get_a_table() -> None:
    result = CliRunner().invoke(app, ["doctor", "--port", "0", "--policy-model", "nowhere"])
    assert result.exit_code == 1
    assert "nowhere: no such directory" in result.output
    assert "policy_model" in result.output
