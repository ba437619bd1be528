"""`winnow fetch` against a Hub on loopback, by the real client of the Hub."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from server.cli.main import app
from server.settings import DEMO
from tests.hub import COMMIT, TOKEN, Hub, checkpoint_files, running

POLICY, VERIFIER = "maker/policy", "maker/prm"


@pytest.fixture
def hub() -> Iterator[Hub]:
    readme = {"README.md": b"what nobody needs"}
    models = {POLICY: checkpoint_files(DEMO / "policy") | readme, VERIFIER: checkpoint_files(DEMO / "prm") | readme}
    with running(Hub(models)) as hub:
        yield hub


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    file = tmp_path / "recipe.yaml"
    file.write_text(f"policy_model: {POLICY}\nverifier_model: {VERIFIER}\n")
    return file


def fetch(hub: Hub, recipe: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(hub, recipe, "-m", "server", "fetch", "--recipe", str(recipe), *arguments, **variables)


def run(hub: Hub, recipe: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, since the client of the Hub reads its environment when it is imported."""
    own = os.environ  # noqa: TID251 - of another process
    kept = {name: value for name, value in own.items() if not name.startswith(("HF_", "WINNOW_"))}
    home = {"HF_HOME": str(recipe.parent / "hub"), "HF_ENDPOINT": hub.url}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**kept, **home, **variables},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def needed(hub: Hub) -> list[str]:
    return sorted(f"{model}/{name}" for model, files in hub.models.items() for name in files if name != "README.md")


def test_both_models_are_downloaded_and_the_second_time_nothing_is(hub: Hub, recipe: Path) -> None:
    first = fetch(hub, recipe)
    downloaded = sorted(hub.downloaded)
    hub.downloaded.clear()
    second = fetch(hub, recipe)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert downloaded == needed(hub)
    assert f"policy: {POLICY} at {COMMIT[:12]}" in first.stdout
    assert "to download: " in first.stdout
    assert "100%" in first.stderr
    assert hub.downloaded == []
    assert second.stdout.count("all on this disk") == 2
    assert "to download" not in second.stdout


def test_the_doctor_finds_what_was_fetched(hub: Hub, recipe: Path) -> None:
    fetched = fetch(hub, recipe)
    code = f"from server.doctor.models import find_here; print(find_here({POLICY!r}), find_here({VERIFIER!r}))"
    found = run(hub, recipe, "-c", code, HF_HUB_OFFLINE="1")

    assert fetched.returncode == 0, fetched.stderr
    assert found.returncode == 0, found.stderr
    assert all(Path(folder, "model.safetensors").is_file() for folder in found.stdout.split())


def test_a_download_that_broke_off_goes_on_with_what_is_missing(hub: Hub, recipe: Path) -> None:
    hub.broken.add("model.safetensors")
    first = fetch(hub, recipe)
    kept = set(hub.downloaded)
    hub.broken.clear()
    hub.downloaded.clear()
    second = fetch(hub, recipe)

    assert first.returncode == 1
    assert f"{POLICY}: cannot be had from the Hub" in first.stderr
    assert "Traceback" not in first.stderr
    assert second.returncode == 0
    assert kept
    assert kept.isdisjoint(hub.downloaded)
    assert kept | set(hub.downloaded) == set(needed(hub))


def test_a_folder_gets_models_that_can_be_named_in_a_recipe(hub: Hub, recipe: Path, tmp_path: Path) -> None:
    result = fetch(hub, recipe, "--to", str(tmp_path / "weights"), "--revision", f"policy={COMMIT}")

    assert result.returncode == 0, result.stderr
    for which, name in {"policy": POLICY, "verifier": VERIFIER}.items():
        folder = tmp_path / "weights" / name
        assert f"in your recipe: {which}_model: {folder}" in result.stdout
        assert (folder / "model.safetensors").read_bytes() == hub.models[name]["model.safetensors"]


def test_a_revision_that_is_not_there_is_named(hub: Hub, recipe: Path) -> None:
    result = fetch(hub, recipe, "--revision", "verifier=v9")

    assert result.returncode == 1
    assert f"{VERIFIER} has no revision v9" in result.stderr
    assert hub.downloaded == []


def test_a_gated_model_is_told_with_its_licence_and_the_token_before_anything_is_downloaded(
    hub: Hub, recipe: Path
) -> None:
    hub.gated.add(VERIFIER)
    refused = fetch(hub, recipe)
    before = list(hub.downloaded)
    given = fetch(hub, recipe, HF_TOKEN=TOKEN)

    assert refused.returncode == 1
    assert f"{VERIFIER} is gated: accept its licence at {hub.url}/{VERIFIER}" in refused.stderr
    assert "HF_TOKEN" in refused.stderr
    assert before == []
    assert given.returncode == 0, given.stderr


def test_a_model_that_the_hub_does_not_have_is_named(hub: Hub, recipe: Path) -> None:
    hub.models = {POLICY: hub.models[POLICY]}
    result = fetch(hub, recipe)

    assert result.returncode == 1
    assert f"{VERIFIER}: neither a directory nor a model of the Hub" in result.stderr


def test_more_than_the_disk_can_hold_is_refused_before_anything_is_downloaded(hub: Hub, recipe: Path) -> None:
    hub.sizes["model.safetensors"] = 10**18
    result = fetch(hub, recipe)

    assert result.returncode == 1
    assert "has room for" in result.stderr
    assert "make room, or choose another disk with --to or HF_HOME" in result.stderr
    assert hub.downloaded == []


def test_offline_what_is_here_is_found_and_what_is_not_is_told(hub: Hub, recipe: Path) -> None:
    missing = fetch(hub, recipe, HF_HUB_OFFLINE="1")
    fetch(hub, recipe)
    there = fetch(hub, recipe, HF_HUB_OFFLINE="1")

    assert missing.returncode == 1
    assert "HF_HUB_OFFLINE forbids to ask the Hub" in missing.stderr
    assert there.returncode == 0, there.stderr
    assert there.stdout.count("is on this disk; not compared with the Hub") == 2


def test_a_hub_that_does_not_answer_is_told(hub: Hub, recipe: Path) -> None:
    result = fetch(hub, recipe, HF_ENDPOINT="http://127.0.0.1:9")

    assert result.returncode == 1
    assert "cannot be had from the Hub, http://127.0.0.1:9" in result.stderr
    assert "check the network" in result.stderr


def test_weights_that_are_there_twice_are_downloaded_once(hub: Hub, recipe: Path) -> None:
    hub.models = {**hub.models, VERIFIER: {**hub.models[VERIFIER], "pytorch_model.bin": b"the same again"}}
    result = fetch(hub, recipe)

    assert result.returncode == 0, result.stderr
    assert not any(name.endswith(".bin") for name in hub.downloaded)


def test_pickles_are_downloaded_where_there_is_nothing_else(hub: Hub, recipe: Path) -> None:
    files = dict(hub.models[VERIFIER])
    files["pytorch_model.bin"] = files.pop("model.safetensors")
    hub.models = {**hub.models, VERIFIER: files}
    result = fetch(hub, recipe)

    assert result.returncode == 0, result.stderr
    assert f"{VERIFIER}/pytorch_model.bin" in hub.downloaded


@pytest.mark.parametrize("format_name", ["checker", "confidence"])
def test_models_on_this_disk_are_told_and_the_hub_is_not_asked(hub: Hub, tmp_path: Path, format_name: str) -> None:
    recipe = tmp_path / "demo.yaml"
    recipe.write_text(f"verifier_format: {format_name}\n")
    result = fetch(hub, recipe, HF_ENDPOINT="http://127.0.0.1:9")

    assert result.returncode == 0, result.stderr
    assert f"policy: {DEMO / 'policy'} is a folder on this disk" in result.stdout
    assert f"verifier: the format {format_name} has no weights" in result.stdout


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--revision", "verifier=main"), "the verifier is not on the Hub"),
        (("--revision", "main"), "neither model is on the Hub"),
        (("--to", "weights"), "neither model is on the Hub"),
        (("--revision", "a", "--revision", "b"), "neither model is on the Hub"),
        (("--revision", "verifier = main"), "is not a revision"),
    ],
)
def test_an_option_that_means_no_model_of_the_hub_is_refused(
    options: tuple[str, ...], complaint: str, tmp_path: Path
) -> None:
    recipe = tmp_path / "demo.yaml"
    recipe.write_text("verifier_format: checker\n")
    result = CliRunner().invoke(app, ["fetch", "--recipe", str(recipe), *options])

    assert result.exit_code == 2
    assert complaint in " ".join(result.output.replace("│", " ").split())


def test_two_revisions_of_one_model_are_refused(recipe: Path) -> None:
    result = CliRunner().invoke(app, ["fetch", "--recipe", str(recipe), "--revision", "a", "--revision", "b"])

    assert result.exit_code == 2
    assert "one for both models, or one for each" in result.output
