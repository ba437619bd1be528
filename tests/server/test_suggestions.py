"""Names that are not known: what was probably meant is suggested, and nothing that would be refused in its place."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from pydantic import BaseModel, ValidationError

from models.openai.requests import UNKEPT
from models.prm.criteria import criteria_of
from search.expander import Models
from server import refusals
from server.cli.main import app
from server.keys import read_keys
from server.openai.neutral import UNKEPT_RESPONSES
from server.openai.requests import ChatRequest, CompletionRequest
from server.refusals import MAX_MISSPELT, allowed_instead, foremost
from server.schemas import MAX_FIELDS, EquivalenceRequest, SolveRequest
from server.settings import Settings, SettingsError, load_settings
from tests.server.conftest import listening
from tests.server.services import service, world_of

CHAT = [{"role": "user", "content": "1 + 1"}]

FIELDS: dict[str, tuple[str, dict[str, Any], str]] = {
    # by name: route, body, and what is suggested
    "a field": ("/solve", {"problem": "1", "temprature": 1}, "did you mean temperature?"),
    "a field in another case": ("/solve", {"problem": "1", "maxTokens": 1}, "did you mean max_tokens?"),
    "a strategy": ("/solve", {"problem": "1", "strategy": "best-of-n"}, "did you mean best_of_n"),
    "the beginning of a strategy": ("/solve", {"problem": "1", "strategy": "beam"}, "did you mean beam_search?"),
    "another value": ("/solve", {"problem": "1", "aggregation": "lst"}, "did you mean last?"),
    "a value in a list": ("/solve", {"problem": "1", "include": ["trees"]}, "did you mean tree?"),
    "a field within one": ("/solve", {"problem": "1", "steps": {"delimeter": "."}}, "did you mean delimiter?"),
    "a field of scores": ("/v1/steps/score", {"problem": "1", "response": ["1"]}, "did you mean responses?"),
    "a field of pairs": ("/v1/answers/equivalent", {"pair": []}, "did you mean pairs?"),
    "a field of a search": (
        "/v1/chat/completions",
        {"model": "winnow-demo", "messages": CHAT, "search": {"strategie": "dvts"}},
        "did you mean strategy?",
    ),
    "a strategy of a search": (
        "/v1/chat/completions",
        {"model": "winnow-demo", "messages": CHAT, "search": {"strategy": "dvt"}},
        "did you mean dvts?",
    ),
    "a field beside a search": (
        "/v1/chat/completions",
        {"model": "winnow-demo", "messages": CHAT, "search": {}, "temprature": 1},
        "did you mean temperature?",
    ),
    "a model": ("/v1/chat/completions", {"model": "winow-demo", "messages": CHAT}, "did you mean winnow-demo?"),
    "a strategy in a model": (
        "/v1/chat/completions",
        {"model": "winnow-demo@best-of-8", "messages": CHAT},
        "did you mean winnow-demo@best_of_n-8",
    ),
}

NOTHING: dict[str, tuple[str, dict[str, Any], str]] = {
    # by name: route, body, and what must not be suggested
    "a field that is there already": ("/solve", {"problem": "1", "temperature": 1, "temprature": 1}, "temperature?"),
    "a field that the strategy does not read": (
        "/solve",
        {"problem": "1", "strategy": "majority", "lookahed": 1},
        "lookahead",
    ),
    "a stream in a batch": ("/solve/batch", {"requests": [{"problem": "1", "strem": True}]}, "stream?"),
    "what no search keeps": (
        "/v1/chat/completions",
        {"model": "winnow-demo", "messages": CHAT, "search": {}, "stor": True},
        "store",
    ),
    "what a search refuses": (
        "/v1/chat/completions",
        {"model": "winnow-demo", "messages": CHAT, "search": {}, "stopp": "x"},
        "stop?",
    ),
    "a field of another route": ("/v1/answers/choose", {"problem": "1", "responses": ["1"], "strem": True}, "stream"),
}


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with service(world_of("1")) as client:
        yield client


def message_of(reply: httpx.Response) -> str:
    if reply.status_code == 200:
        return str(reply.json()["results"][0]["error"]["message"])
    assert reply.status_code in (404, 422)
    return str(reply.json()["error"]["message"])


def question_in(message: str) -> str:
    return message.partition("did you mean ")[2].partition("?")[0] + "?"


@pytest.mark.parametrize("name", FIELDS)
async def test_what_was_probably_meant_is_suggested(client: httpx.AsyncClient, name: str) -> None:
    route, body, meant = FIELDS[name]
    message = message_of(await client.post(route, json=body))
    assert meant in message
    assert "allowed" in message or "omit it" in message


@pytest.mark.parametrize("name", NOTHING)
async def test_what_would_be_refused_is_not_suggested(client: httpx.AsyncClient, name: str) -> None:
    route, body, refused = NOTHING[name]
    assert refused not in question_in(message_of(await client.post(route, json=body)))


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("/solve", {"problem": "1", "strategy": "beam_serch"}),
        ("/solve/batch", {"requests": [{"problem": "1", "strategy": "beam_serch"}]}),
        ("/v1/chat/completions", {"model": "winnow-demo@beam_serch-4", "messages": CHAT}),
        ("/v1/chat/completions", {"model": "winnow-demo", "messages": CHAT, "search": {"strategy": "beam_serch"}}),
    ],
)
async def test_a_service_without_a_verifier_suggests_no_strategy_that_needs_one(
    route: str, body: dict[str, Any]
) -> None:
    alone = world_of("1").models
    async with listening(Models(alone.policy, None, alone.reader), settings=Settings(verifier_format="none")) as client:
        assert "beam_search" not in question_in(message_of(await client.post(route, json=body)))


def test_a_long_name_is_refused_as_fast_as_any_other() -> None:
    body = {"problem": "1", "temperatur" * 10_000: 1}
    assert "did you mean" not in allowed_instead(SolveRequest, ["temperatur" * 10_000], body)


def test_a_promise_that_no_service_keeps_is_known_to_whatever_suggests() -> None:
    assert set(UNKEPT_RESPONSES) - {"prompt"} <= UNKEPT


def test_settings_are_suggested_in_the_environment_and_in_recipes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "recipe.yaml").write_text("verifier_fromat: judge\n")
    with pytest.raises(SettingsError, match=r"did you mean verifier_format\?"):
        load_settings(tmp_path / "recipe.yaml")
    (tmp_path / "recipe.yaml").write_text("recipes: x\n")
    with pytest.raises(SettingsError, match="lists all settings"):  # a recipe cannot name another
        load_settings(tmp_path / "recipe.yaml")
    monkeypatch.setenv("WINNOW_MAXN", "8")
    with pytest.raises(SettingsError, match=r"did you mean WINNOW_MAX_N\?"):
        load_settings()


@pytest.mark.parametrize(
    ("recipe", "meant"),
    [
        ("log_level: inof", "did you mean info? allowed: debug, info"),
        ("verifier_format: skywork-rewards", "did you mean skywork_reward"),
        ("steps: {delimeter: '.'}", "did you mean delimiter? allowed fields: delimiter, tokens, markers"),
        ("thinking_marks: {strat: '<t>', end: '</t>'}", "did you mean start? allowed fields: start, end, at_limit"),
        ("verifier_format: judge\njudge_criteria: mathmatics", "did you mean mathematics? list them"),
        ("reasoning_parser: qwen33", "did you mean qwen3"),
    ],
)
def test_values_of_settings_are_suggested(tmp_path: Path, recipe: str, meant: str) -> None:
    (tmp_path / "recipe.yaml").write_text(recipe)
    result = CliRunner().invoke(app, ["serve", "--recipe", str(tmp_path / "recipe.yaml")])
    assert result.exit_code == 2
    assert meant in result.output


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["serve", "--prot", "1"], "--port"),
        (["sovle", "1"], "solve"),
        (["solve", "1", "--strategy", "beam"], "Did you mean beam_search?"),
        (["solve", "1", "--temprature", "1"], "--temperature"),
        (["export", "x", "--format", "prefrence", "--out", "y"], "Did you mean preference"),
        (["eval", "--strategies", "majorty"], "did you mean majority?"),
        (["eval", "--vary", "agregation=last"], "did you mean aggregation?"),
        (["eval", "--vary", "aggregation=lst"], "did you mean last?"),
        (["eval", "--compare", "majorty@4:dvts@4"], "did you mean majority?"),
    ],
)
def test_commands_suggest_options_and_their_values(tmp_path: Path, arguments: list[str], meant: str) -> None:
    (tmp_path / "x").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert meant in result.output


def test_keys_on_the_command_line_are_not_suggested() -> None:
    output = CliRunner().invoke(app, ["serve", "--api-keys", "x"]).output
    assert "--api-keys-file" in output
    assert "--api-keys'" not in output.partition("ean")[2]


def test_a_field_of_a_key_is_suggested_and_no_key_is_shown(tmp_path: Path) -> None:
    (tmp_path / "keys.yaml").write_text("- {nmae: website, key: sk-0123456789abcdef}\n")
    with pytest.raises(SettingsError, match=r"did you mean name\?") as refused:
        read_keys(Settings(api_keys_file=tmp_path / "keys.yaml"))
    assert "sk-" not in str(refused.value)


def test_criteria_are_suggested() -> None:
    with pytest.raises(ValueError, match=r"did you mean code\?"):
        criteria_of("coed")


def test_a_body_of_nothing_but_wrong_names_costs_a_few_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    monkeypatch.setattr(refusals, "did_you_mean", lambda name, allowed: compared.append(name))
    with pytest.raises(ValidationError) as refused:
        SolveRequest.model_validate({f"x{number}": 0 for number in range(MAX_FIELDS)})
    assert foremost(refused.value.errors())["type"] == "missing"
    assert len(compared) == MAX_MISSPELT


MANY: dict[str, Any] = {f"x{number}": [] for number in range(20_000)}
FLOODS: dict[str, tuple[type[BaseModel], dict[str, Any]]] = {
    "fields": (SolveRequest, MANY),
    "fields of a tool": (SolveRequest, {"problem": "1", "tools": [{"type": "function", "function": MANY}]}),
    "fields of a pair": (EquivalenceRequest, {"pairs": [{"a": "1", "b": "1", **MANY}]}),
    "arguments": (SolveRequest, {"problem": "1", "chat_template_kwargs": MANY}),
    "evidence": (SolveRequest, {"problem": "1", "include": [0] * 20_000}),
    "metadata": (ChatRequest, {"model": "x", "messages": [{"role": "user", "content": "1"}], "metadata": MANY}),
}


@pytest.mark.parametrize(("model", "body"), FLOODS.values(), ids=FLOODS)
def test_a_body_of_nothing_but_errors_is_told_one(model: type[BaseModel], body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(body)
    assert refused.value.error_count() == 1


def test_token_ids_that_are_none_are_told_once_for_each_kind_of_prompt() -> None:
    with pytest.raises(ValidationError) as refused:
        CompletionRequest.model_validate({"model": "x", "prompt": [[{}] * 400] * 200})
    assert refused.value.error_count() < 500


def test_a_value_that_is_no_word_suggests_nothing() -> None:
    with pytest.raises(ValidationError) as refused:
        SolveRequest.model_validate({"problem": "1", "strategy": 7})
    assert "did you mean" not in allowed_instead(SolveRequest, ["strategy"], {"strategy": 7})
    assert refused.value.error_count() == 1
