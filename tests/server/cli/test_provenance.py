"""Results say how they were made, and what they depend on is what decides whether two runs may be mixed."""

import socket

import httpx
import pytest

from models.prm.options import Measure
from server.cli.client import UnreachableError
from server.cli.provenance import what_is_told, what_matters
from server.settings import DEMO, Settings

OPTIONS = {"temperature": 0.8}


def test_what_matters_are_the_models_their_prompt_and_the_options() -> None:
    made = what_matters(Settings(), None, OPTIONS)
    assert made == what_matters(Settings(port=1), None, OPTIONS)
    assert made["temperature"] == 0.8
    assert made != what_matters(Settings(system_prompt="Be brief."), None, OPTIONS)
    assert made != what_matters(Settings(verifier_model=str(DEMO / "policy")), None, OPTIONS)


def test_a_checker_has_no_weights() -> None:
    settings = Settings(verifier_format="checker", verifier_model="arithmetic")
    assert what_matters(settings, None, OPTIONS)["verifier"] == "arithmetic"


def test_of_a_verifier_that_asks_the_policy_its_options_matter() -> None:
    one, other = (
        what_matters(Settings(verifier_format="confidence", confidence_measure=measure), None, OPTIONS)
        for measure in (Measure.TAIL, Measure.TOKEN)
    )
    assert one["verifier"] == "confidence: tail, k = 20, window 0.1"
    assert {**one, "verifier": other["verifier"]} == other != one


async def test_a_service_elsewhere_is_known_by_what_it_serves(client: httpx.AsyncClient) -> None:
    import asyncio

    made = await asyncio.to_thread(what_matters, Settings(), str(client.base_url), OPTIONS)
    assert (made["policy"], made["verifier"]) == ("winnow-demo", None)
    assert made["url"] == str(client.base_url)


def test_a_service_that_is_not_there_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(UnreachableError, match=f"no answer from http://127.0.0.1:{port}"):
        what_matters(Settings(), f"http://127.0.0.1:{port}", OPTIONS)


def test_what_is_told_names_commit_machine_and_versions_and_no_secret() -> None:
    told = what_is_told(Settings.model_validate({"api_key": "sk-0123456789abcdef", "port": 1}), {"n": [4]})
    assert set(told) == {"date", "commit", "is_clean", "settings", "models", "grid", "machine"}
    assert told["settings"] == {"port": 1}
    assert told["grid"] == {"n": [4]}
    assert all(told["machine"].values())
    assert "sk-" not in str(told)
