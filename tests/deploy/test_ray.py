"""Ray Serve's configuration, and KubeRay's: one application, said twice. `make ray` installs what reads the first."""

from typing import Any

import pytest
import yaml

from server.settings import Settings, load_settings
from tests.markdown import ROOT

FOLDER = ROOT / "deploy" / "ray"
ON_KUBERNETES = {"host": "0.0.0.0"}, {"api_keys_file": "/etc/winnow/keys.yaml"}


def demo() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((FOLDER / "demo.yaml").read_text())
    return config


def service() -> dict[str, Any]:
    manifest: dict[str, Any] = yaml.safe_load((FOLDER / "rayservice.yaml").read_text())
    return manifest


def test_kuberay_gets_the_same_configuration_but_for_keys_and_the_address_that_wants_them() -> None:
    here, there = demo(), yaml.safe_load(service()["spec"]["serveConfigV2"])
    here["http_options"] |= ON_KUBERNETES[0]
    args = here["applications"][0]["args"]
    assert args.pop("allow_public_without_keys")
    args |= ON_KUBERNETES[1]
    assert there == here


def test_the_arguments_are_settings() -> None:
    assert load_settings(**demo()["applications"][0]["args"]) != Settings()


def test_kuberay_runs_the_release_that_is_installed() -> None:
    pins = (ROOT / "deploy" / "requirements" / "ray.in").read_text()
    assert f"ray[serve]=={service()['spec']['rayClusterConfig']['rayVersion']}" in pins.splitlines()


def test_a_search_may_end_before_its_gateway_is_replaced() -> None:
    deployments = {each["name"]: each for each in demo()["applications"][0]["deployments"]}
    assert deployments["gateway"]["graceful_shutdown_timeout_s"] >= Settings().max_deadline_s


@pytest.fixture(scope="module")
def schema() -> Any:
    return pytest.importorskip("ray.serve.schema", reason="Ray is not installed: make ray").ServeDeploySchema


def test_ray_takes_the_configuration_and_knows_every_name_in_it(schema: Any) -> None:
    config = demo()
    dumped = schema.model_validate(config).model_dump(exclude_unset=True, mode="json")
    assert dumped["applications"][0].keys() == config["applications"][0].keys()
    for taken, said in zip(
        dumped["applications"][0]["deployments"], config["applications"][0]["deployments"], strict=True
    ):
        assert taken.keys() == said.keys()


def test_the_application_has_the_deployments_that_are_configured(schema: Any) -> None:
    from server.ray import build

    application = demo()["applications"][0]
    gateway = build(application["args"])._bound_deployment
    names = [gateway.name, *(each._bound_deployment.name for each in gateway.init_args[1:])]
    assert names == [each["name"] for each in application["deployments"]]


def test_a_gateway_that_anybody_may_ask_is_refused(schema: Any) -> None:
    from server.ray import build
    from server.settings import SettingsError

    with pytest.raises(SettingsError, match="allow_public_without_keys"):
        build({})


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"verifier_format": "none"}, ["policy"]),
        ({"policy_url": "http://127.0.0.1:1"}, ["verifier"]),
        ({"verifier_url": "http://127.0.0.1:1"}, ["policy"]),
        ({"verifier_format": "checker", "verifier_model": "arithmetic"}, ["policy"]),
        ({"verifier_format": "confidence"}, ["policy"]),
    ],
)
def test_what_runs_elsewhere_or_in_the_gateway_has_no_deployment(
    schema: Any, settings: dict[str, Any], names: list[str]
) -> None:
    from server.ray import build

    gateway = build({"allow_public_without_keys": True, **settings})._bound_deployment
    assert [each._bound_deployment.name for each in gateway.init_args[1:] if each is not None] == names
