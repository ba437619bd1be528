"""The system prompt of a service: whose it is, where it is told, and how it is turned off."""

import shutil
from pathlib import Path

import httpx
import pytest

from models.checkpoints.system_prompt import OTHERS
from server.doctor.models import check_models
from server.identity import identity_of
from server.settings import DEMO, Settings
from server.system_prompt import system_prompt_of
from tests.server.test_solve import solve


@pytest.fixture
def chat_model(tmp_path: Path) -> str:
    """A chat model that is not the demo."""
    return str(shutil.copytree(DEMO / "policy", tmp_path / "policy"))


def test_the_demo_is_told_nothing() -> None:
    assert system_prompt_of(Settings()).text is None


def test_another_model_is_told_to_reason_in_steps_and_to_box_its_answer(chat_model: str) -> None:
    assert system_prompt_of(Settings(policy_model=chat_model)).text == OTHERS


@pytest.mark.parametrize(("setting", "told"), [("", None), ("Be brief.", "Be brief.")])
def test_a_setting_comes_first_and_an_empty_one_turns_it_off(chat_model: str, setting: str, told: str | None) -> None:
    assert system_prompt_of(Settings(policy_model=chat_model, system_prompt=setting)).text == told


def test_a_calibration_table_holds_for_the_prompt_that_is_told(chat_model: str) -> None:
    assert identity_of(Settings(policy_model=chat_model)).system_prompt == OTHERS
    assert identity_of(Settings()).system_prompt is None


def test_the_doctor_shows_it(chat_model: str) -> None:
    findings, _ = check_models(Settings(policy_model=chat_model), frozenset())
    assert "Solve the problem step by step" in findings[0].seen
    assert 'system_prompt: "" turns it off' in findings[0].seen


async def test_an_empty_prompt_of_a_request_is_none(client: httpx.AsyncClient) -> None:
    plain, off = await solve(client, n=4), await solve(client, n=4, system_prompt=" ")
    assert off["usage"]["prompt_tokens"] == plain["usage"]["prompt_tokens"]
    assert off["strategy"]["reason"] == plain["strategy"]["reason"]
    assert off["confidence"] == plain["confidence"]


async def test_a_searched_chat_with_a_blank_system_message_is_told_nothing(client: httpx.AsyncClient) -> None:
    messages = [{"role": "system", "content": " "}, {"role": "user", "content": "Compute 1 + 2."}]
    body = {"model": "winnow-demo", "messages": messages, "search": {"n": 1, "strategy": "majority"}}
    with_blank = (await client.post("/v1/chat/completions", json=body)).json()
    without = (await client.post("/v1/chat/completions", json=body | {"messages": messages[1:]})).json()
    assert with_blank["usage"]["prompt_tokens"] == without["usage"]["prompt_tokens"]
