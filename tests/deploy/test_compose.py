"""compose.yaml: what is published, what is secret, and that winnow understands what it is told."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.settings import PREFIX, Settings, load_settings

DEPLOY = Path(__file__).parents[2] / "deploy"
TEXT = (DEPLOY / "compose.yaml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
OURS = ("demo", "single", "gateway", "policy", "verifier")
RECIPES = sorted(file.name for file in (DEPLOY / "recipes").glob("*.yaml"))


def variables() -> dict[str, str]:
    """What .env says."""
    lines = (DEPLOY / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("name", OURS)
def test_winnow_knows_every_setting_that_it_is_given(name: str) -> None:
    given = {variable.removeprefix(PREFIX).lower() for variable in SERVICES[name]["environment"]}
    assert given <= {*Settings.model_fields, "recipe"}


def test_every_variable_has_a_default() -> None:
    assert set(re.findall(r"\$\{(\w+)\}", TEXT)) <= variables().keys()


def test_nothing_is_published_beyond_this_machine_by_default() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    addresses = [re.sub(r"\$\{(\w+)\}", lambda name: variables()[name[1]], port) for port in published]
    assert addresses
    assert all(address.startswith("127.0.0.1:") for address in addresses)


def test_what_needs_no_key_cannot_be_published_by_a_variable() -> None:
    assert SERVICES["demo"]["ports"] == ["127.0.0.1:${PORT}:8000"]
    for name in ("gateway", "single"):
        assert "WINNOW_ALLOW_PUBLIC_WITHOUT_KEYS" not in SERVICES[name]["environment"]
        assert SERVICES[name]["environment"]["WINNOW_API_KEYS_FILE"] == "/run/secrets/keys.yaml"


def test_no_service_starts_without_its_profile_and_the_demo_is_the_default() -> None:
    assert all(service["profiles"] for service in SERVICES.values())
    assert variables()["COMPOSE_PROFILES"] == "demo"


@pytest.mark.parametrize("name", OURS)
def test_our_containers_can_write_to_their_volume_alone(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["volumes"] == ["weights:/weights"]


def test_images_of_others_are_pinned() -> None:
    images = [service["image"] for name, service in SERVICES.items() if name not in OURS]
    assert all(re.search(r":v?\d+\.\d+\.\d+$", image) for image in images)


def test_a_stop_leaves_the_requests_the_time_that_winnow_gives_them() -> None:
    for name in ("demo", "gateway", "single"):
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > Settings().drain_s


def test_the_recipe_of_the_servers_is_in_the_image_and_is_for_servers() -> None:
    recipe = load_settings(DEPLOY.parent / variables()["RECIPE"])
    assert recipe.verifier_format not in ("checker", "torch")
    assert all(
        SERVICES[name]["environment"]["WINNOW_RECIPE"] == "${RECIPE}"
        for name in ("policy", "verifier", "gateway", "single")
    )


def test_on_one_gpu_the_shares_of_its_memory_are_the_recipe_s() -> None:
    assert not [name for name in SERVICES["single"]["environment"] if name.endswith("_MEMORY")]
    assert SERVICES["single"]["image"] == "winnow:cuda"
    assert len(SERVICES["single"]["deploy"]["resources"]["reservations"]["devices"]) == 1


@pytest.mark.parametrize("name", RECIPES)
def test_the_shares_of_every_recipe_fit_on_one_gpu(name: str) -> None:
    recipe = load_settings(DEPLOY / "recipes" / name)
    assert (
        recipe.policy_memory + recipe.verifier_memory * (recipe.has_verifier and not recipe.asks_policy) <= 0.9 + 1e-9
    )


def test_a_gpu_for_each_model_is_given_to_it_whole() -> None:
    for name in ("policy", "verifier"):
        assert SERVICES[name]["profiles"] == ["gpu"]
        assert SERVICES[name]["environment"][f"WINNOW_{name.upper()}_MEMORY"] == "0.9"
    assert SERVICES["policy"]["deploy"] != SERVICES["verifier"]["deploy"]


ROUTED: dict[str, dict[str, Any]] = yaml.safe_load(
    (DEPLOY / "compose.routers.yaml").read_text().replace("!override", "")
)["services"]


def test_both_routers_have_the_flags_of_the_page_and_the_servers_of_their_model() -> None:
    commands = {name: ROUTED[f"{name}-router"]["command"] for name in ("policy", "verifier")}
    flags = {name: command[: command.index("--worker-urls")] for name, command in commands.items()}
    assert flags["policy"] == flags["verifier"]
    for name, command in commands.items():
        assert command[len(flags[name]) + 1 :] == [f"http://{name}:8000", f"http://{name}-2:8000"]
        assert ROUTED["gateway"]["environment"][f"WINNOW_{name.upper()}_URL"] == f"http://{name}-router:8000"
    page = (DEPLOY / "fleets.md").read_text().replace("\\\n", " ")
    (shown,) = re.findall(r"^vllm-router (.*)--worker-urls", page, re.MULTILINE)
    asked = {" ".join(flag.split("=")) for flag in flags["policy"] if re.match("--(policy|cb|health|disable)", flag)}
    assert asked == {flag for flag in asked if flag in shown}


def test_the_second_servers_are_the_first_on_gpus_of_their_own() -> None:
    for name in ("policy", "verifier"):
        second = ROUTED[f"{name}-2"]
        assert second["extends"] == {"file": "compose.yaml", "service": name}
        assert f"${{{name.upper()}_2_GPU}}" in str(second["deploy"])
    assert {"POLICY_2_GPU", "VERIFIER_2_GPU"} <= variables().keys()


GATEWAYS: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.gateways.yaml").read_text())


def test_gateways_share_a_redis_that_nobody_else_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway, store = (GATEWAYS["services"][name] for name in ("gateway", "store"))
    for name, value in (SERVICES["gateway"]["environment"] | gateway["environment"]).items():
        if "$" not in value:
            monkeypatch.setenv(name, value)
    settings = load_settings()
    flags = dict(zip(store["command"][1::2], store["command"][2::2], strict=True))

    assert settings.workers > 1
    assert settings.store_url is not None
    assert settings.store_url.get_secret_value() == "redis://store:6379/0"
    assert store["networks"] == ["store"]
    assert GATEWAYS["networks"]["store"] == {"internal": True}
    assert [name for name, each in GATEWAYS["services"].items() if "store" in each.get("networks", ())] == [
        "gateway",
        "store",
    ]
    assert not [name for name, each in (SERVICES | ROUTED).items() if "store" in each.get("networks", ())]
    assert gateway["networks"]["default"] == SERVICES["gateway"]["networks"]["default"]
    assert flags["--maxmemory-policy"] == "noeviction"
    assert int(flags["--maxmemory"].removesuffix("gb")) << 30 >= 4 * settings.max_background_bytes
    assert store["profiles"] == SERVICES["gateway"]["profiles"]
    assert re.search(r":\d+\.\d+\.\d+$", store["image"])
