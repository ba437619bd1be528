"""Where settings come from, and what is refused."""

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import ValidationError

from models.prm.criteria import CRITERIA, JudgeOptions, Reads
from server.composition import policy_engine, verifier_engine
from server.settings import DEMO, OF_POLICY, Settings, SettingsError, load_settings

RECIPES = sorted((Path(__file__).parents[2] / "deploy" / "recipes").glob("*.yaml"))


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text("port: 1111\nhost: 127.0.0.2\nlog_level: error\n")
    return path


def test_flags_come_before_the_environment_and_that_before_the_recipe(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINNOW_PORT", "2222")
    monkeypatch.setenv("WINNOW_HOST", "127.0.0.3")
    settings = load_settings(recipe, port=3333)
    assert (settings.port, settings.host, settings.log_level) == (3333, "127.0.0.3", "error")


def test_the_recipe_may_be_named_by_the_environment(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_RECIPE", str(recipe))
    assert load_settings().port == 1111


def test_an_unknown_variable_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_PROT", "8000")
    with pytest.raises(SettingsError, match="WINNOW_PROT"):
        load_settings()


@pytest.mark.parametrize("text", ["prot: 8000", "- a list", "a: b: c"])
def test_a_recipe_that_cannot_be_used_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(SettingsError, match=r"bad\.yaml"):
        load_settings(tmp_path / "bad.yaml")


def test_a_missing_recipe_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.yaml"):
        load_settings(Path("nowhere.yaml"))


def test_a_value_out_of_range_is_refused() -> None:
    with pytest.raises(ValidationError, match="port"):
        load_settings(port=70_000)


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ({}, "winnow-demo"),
        ({"policy_model": "meta-llama/Llama-3.2-1B-Instruct"}, "Llama-3.2-1B-Instruct"),
        ({"policy_model": "/checkpoints/mine/"}, "mine"),
        ({"policy_model": "/checkpoints/mine", "served_model_name": "ours"}, "ours"),
    ],
)
def test_clients_call_the_policy_by_its_folder_or_by_what_the_setting_says(flags: dict[str, str], name: str) -> None:
    assert load_settings(None, **flags).policy_name == name


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_in_the_repository_is_valid(path: Path) -> None:
    assert load_settings(path).policy_model


def test_the_verifier_formats_are_those_of_the_registry() -> None:
    from models.prm.formats import (
        FORMATS,
        FORMATS_HERE,
        FORMATS_OF_POLICY,
    )  # imports vLLM, which other tests do without

    known = (*FORMATS, *FORMATS_HERE, *FORMATS_OF_POLICY, "none")
    assert get_args(Settings.model_fields["verifier_format"].annotation) == known
    assert tuple(FORMATS_OF_POLICY) == OF_POLICY


@pytest.mark.parametrize("format_name", OF_POLICY)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("verifier_model", str(DEMO / "prm")),
        ("verifier_url", "http://a:1"),
        ("verifier_context", 512),
        ("verifier_engine_args", {"max_num_seqs": 8}),
    ],
)
def test_a_verifier_that_asks_the_policy_has_no_model_of_its_own(format_name: str, name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=f"{name}: verifier_format {format_name} asks the policy itself"):
        load_settings(verifier_format=format_name, **{name: value})
    assert load_settings(verifier_format=format_name, verifier_memory=0.4).has_verifier


@pytest.mark.parametrize(
    ("values", "asks_policy"),
    [
        ({}, True),
        ({"policy_model": "/checkpoints/mine"}, True),
        ({"verifier_model": "policy"}, True),
        ({"verifier_model": "/checkpoints/judge"}, False),
        ({"verifier_model": "/checkpoints/judge", "verifier_url": "http://a:1", "verifier_context": 512}, False),
    ],
)
def test_a_judge_without_a_model_of_its_own_is_the_policy(values: dict[str, Any], asks_policy: bool) -> None:
    settings = load_settings(verifier_format="judge", **values)
    assert settings.asks_policy == (not settings.verifier_has_checkpoint) == asks_policy


@pytest.mark.parametrize(("name", "value"), [("verifier_context", 512), ("verifier_engine_args", {"max_num_seqs": 8})])
def test_a_judge_that_is_the_policy_has_no_engine_to_set_up(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=f"{name}: verifier_format judge asks the policy itself"):
        load_settings(verifier_format="judge", **{name: value})


@pytest.mark.parametrize(
    ("written", "criteria"),
    [("code", CRITERIA["code"]), ('["It is true.", " It is short. "]', ("It is true.", "It is short."))],
)
def test_criteria_are_named_or_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, criteria: tuple[str, ...]
) -> None:
    (tmp_path / "recipe.yaml").write_text(f"verifier_format: judge\njudge_criteria: {written}\njudge_thinks: true\n")
    monkeypatch.setenv("WINNOW_VERIFIER_FORMAT", "judge")
    monkeypatch.setenv("WINNOW_JUDGE_READS", "steps")
    monkeypatch.setenv("WINNOW_JUDGE_CRITERIA", written)
    assert load_settings().verifier_options == JudgeOptions(criteria, Reads.STEPS)
    monkeypatch.delenv("WINNOW_JUDGE_CRITERIA")
    thinking = JudgeOptions(criteria, Reads.STEPS, max_thoughts=2048)
    assert load_settings(tmp_path / "recipe.yaml").verifier_options == thinking


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        ("maths", "no criteria named 'maths'"),
        ("[]", "allowed: 1 to 8"),
        ([""], "blank"),
        (["\n "], "blank"),
        (["a\0b"], "NUL"),
        (["a"] * 9, "there are 9 criteria"),
        (["a" * 2001], "2,001 characters"),
        ('["a"', "judge_criteria"),
        ("[1]", "judge_criteria"),
        ({"a": 1}, "judge_criteria"),
    ],
)
def test_criteria_that_cannot_be_asked_are_refused(criteria: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        load_settings(verifier_format="judge", judge_criteria=criteria)


@pytest.mark.parametrize("format_name", get_args(Settings.model_fields["verifier_format"].annotation))
def test_every_verifier_format_has_a_recipe(format_name: str) -> None:
    assert format_name in {yaml.safe_load(path.read_text())["verifier_format"] for path in RECIPES}


@pytest.mark.parametrize(
    ("values", "has_verifier"),
    [
        ({}, True),
        ({"policy_model": str(DEMO / "policy")}, True),
        ({"policy_model": "/checkpoints/mine"}, False),
        ({"policy_model": "/checkpoints/mine", "policy_url": "http://a:1"}, False),
        ({"policy_model": "/checkpoints/mine", "verifier_model": "/checkpoints/prm"}, True),
        ({"policy_model": "/checkpoints/mine", "verifier_format": "checker"}, True),
        ({"policy_model": "/checkpoints/mine", "verifier_url": "http://a:1"}, True),
        ({"verifier_format": "none"}, False),
    ],
)
def test_a_policy_that_is_named_alone_runs_without_the_demos_verifier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, str], has_verifier: bool
) -> None:
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    assert load_settings(None, **values).has_verifier == has_verifier
    assert load_settings(tmp_path / "recipe.yaml").has_verifier == has_verifier
    for name, value in values.items():
        monkeypatch.setenv(f"WINNOW_{name.upper()}", value)
    assert load_settings().has_verifier == has_verifier


@pytest.mark.parametrize("name", ["judge_criteria", "judge_reads", "judge_thinks"])
def test_how_a_judge_judges_matters_to_that_format_alone(name: str) -> None:
    value = {name: Settings.model_fields[name].default}
    with pytest.raises(ValidationError, match=f"{name}: read by verifier_format judge alone"):
        load_settings(**value)
    assert load_settings(verifier_format="judge", **value).asks_policy


@pytest.mark.parametrize("name", ["confidence_measure", "confidence_top", "confidence_window"])
def test_how_confident_a_policy_is_matters_to_that_format_alone(name: str) -> None:
    value = {name: Settings.model_fields[name].default}
    with pytest.raises(ValidationError, match=f"{name}: read by verifier_format confidence alone"):
        load_settings(**value)
    assert load_settings(verifier_format="confidence", **value).asks_policy


@pytest.mark.parametrize("text", ["http://a:1,https://b:2/v1", " http://a:1 , https://b:2/v1 "])
def test_servers_are_listed_with_commas_in_the_environment(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("WINNOW_POLICY_URL", text)
    assert [str(url) for url in load_settings().policy_url or ()] == ["http://a:1/", "https://b:2/v1"]


def test_servers_are_a_list_or_a_name_in_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "servers.yaml").write_text("policy_url: [http://a:1, http://b:2]\nverifier_url: http://c:3\n")
    settings = load_settings(tmp_path / "servers.yaml")
    assert (len(settings.policy_url or ()), len(settings.verifier_url or ())) == (2, 1)


def test_no_servers_are_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_VERIFIER_URL", "")
    assert load_settings().verifier_url is None


def test_a_server_without_a_scheme_is_refused() -> None:
    with pytest.raises(ValidationError, match="policy_url"):
        load_settings(policy_url="policy:8000")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"trusted_proxies": "proxy.example"}, "trusted_proxies"),
        ({"trusted_proxies": "10.0.0.1/8"}, "trusted_proxies"),
        ({"trusted_proxies": "10.0.0.1, 10.0.0.300"}, "trusted_proxies"),
        ({"max_connections": 0}, "max_connections"),
        ({"send_timeout_s": 0}, "send_timeout_s"),
        ({"max_body_bytes": 100_000_000}, "max_unfinished_body_bytes"),
        ({"max_unfinished_body_bytes": 10_000}, "max_unfinished_body_bytes"),
        ({"max_unread_bytes": 300_000_000}, "max_unread_bytes_in_all"),
    ],
)
def test_limits_of_connections_that_cannot_be_kept_are_refused(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        load_settings(**fields)


def test_proxies_are_addresses_and_networks() -> None:
    assert [str(each) for each in load_settings(trusted_proxies="10.0.0.1, fd00::/8").trusted_proxies or ()] == [
        "10.0.0.1/32",
        "fd00::/8",
    ]


def test_arguments_of_vllm_are_json_in_the_environment_and_a_table_in_a_recipe(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "fp8.yaml").write_text("policy_engine_args:\n  quantization: fp8\n  cudagraph_capture_sizes: [1, 2]\n")
    monkeypatch.setenv("WINNOW_VERIFIER_ENGINE_ARGS", '{"max_num_seqs": 8, "tensor_parallel_size": 2}')
    settings = load_settings(tmp_path / "fp8.yaml")
    assert settings.policy_engine_args == {"quantization": "fp8", "cudagraph_capture_sizes": [1, 2]}
    assert settings.verifier_engine_args == {"max_num_seqs": 8, "tensor_parallel_size": 2}
    assert (settings.num_gpus("policy"), settings.num_gpus("verifier")) == (1, 2)


@pytest.mark.parametrize("text", ["fp8", "[]", '{"quantization": ', '{"a": NaN}'])
def test_arguments_of_vllm_that_are_no_table_are_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("WINNOW_POLICY_ENGINE_ARGS", text)
    with pytest.raises(ValidationError, match="policy_engine_args"):
        load_settings()


def test_engines_have_threads_of_their_own() -> None:
    settings = Settings(verifier_threads=2)
    assert [policy_engine(settings).num_threads, verifier_engine(settings).num_threads] == [1, 2]
