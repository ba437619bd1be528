"""`winnow tune`: what it writes and where, and what it refuses. No engine starts."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from models.errors import EngineUnavailableError
from server.cli.main import app
from server.settings import DEMO, Settings
from server.tuning import descent, service
from server.tuning.descent import Request
from server.tuning.knobs import Place

RECIPE = f"# Ours.\npolicy_model: {DEMO / 'policy'}  # small\nverifier_model: {DEMO / 'prm'}\nverifier_format: winnow\n"


class Slow:
    """A service whose searches wait and take nothing: twice as many at a time are twice as fast."""

    def __init__(self, most_in_flight: int) -> None:
        self.place = Place("cpu", num_cores=2, sizes={}, cost=100, in_flight=1, most_in_flight=most_in_flight)
        self.asked: list[Request] = []

    async def forget(self) -> None:
        pass

    async def solve(self, request: Request) -> None:
        self.asked.append(request)
        await asyncio.sleep(0.001)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, with a recipe in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Slow:
    """The service in place of one with engines, which does better with two searches at a time."""
    slow = Slow(most_in_flight=2)

    @asynccontextmanager
    async def open_service(settings: Settings, machine: Any) -> AsyncIterator[Slow]:
        yield slow

    monkeypatch.setattr(service, "open_service", open_service)
    monkeypatch.setattr(descent, "MOST_PROBLEMS", 24)
    return slow


def tune(*options: str | Path) -> Result:
    return CliRunner().invoke(app, ["tune", *map(str, options)])


def test_what_is_faster_goes_into_the_recipe_and_its_comments_stay(here: Path, opened: Slow) -> None:
    result = tune("--recipe", "recipe.yaml", "--strategy", "majority", "--n", "8", "--max-tokens", "77")
    assert result.exit_code == 0, result.output
    assert (here / "recipe.yaml").read_text() == f"{RECIPE}max_cost_in_flight: 200\n"
    assert "max_cost_in_flight default -> 200: taken, " in result.output
    assert "problems/s" in result.output
    assert "written to recipe.yaml" in result.output
    asked = {(each["strategy"], each["n"], each["max_tokens"]) for each in opened.asked}
    assert asked == {("majority", 8, 77)}
    assert len({each["problem"] for each in opened.asked}) == 24


def test_a_dry_run_writes_nothing(here: Path, opened: Slow) -> None:
    result = tune("--recipe", "recipe.yaml", "--dry-run")
    assert "nothing is written (--dry-run)" in result.output
    assert (here / "recipe.yaml").read_text() == RECIPE
    assert [each.name for each in here.iterdir()] == ["recipe.yaml"]


def test_without_a_recipe_one_is_made_and_nothing_is_overwritten(here: Path, opened: Slow) -> None:
    assert "serve with --recipe tuned.yaml" in tune().output
    assert yaml.safe_load((here / "tuned.yaml").read_text()) == {"max_cost_in_flight": 200}
    result = tune()
    assert result.exit_code == 2
    assert "tuned.yaml exists: choose another" in result.output


def test_the_problems_of_a_file_are_asked(here: Path, opened: Slow) -> None:
    (here / "problems.jsonl").write_text('{"question": "What is 2 + 2?"}\n{"problem": "What is 3 + 3?"}\n')
    result = tune("--problems", "problems.jsonl", "--recipe", "recipe.yaml", "--out", "new.yaml")
    assert result.exit_code == 0, result.output
    assert {each["problem"] for each in opened.asked} == {"What is 2 + 2?", "What is 3 + 3?"}
    assert (here / "new.yaml").read_text() == f"{RECIPE}max_cost_in_flight: 200\n"
    assert (here / "recipe.yaml").read_text() == RECIPE


def test_where_nothing_is_faster_nothing_is_written(here: Path, opened: Slow) -> None:
    opened.place = Place("cpu", num_cores=2, sizes={}, cost=100, in_flight=1, most_in_flight=1)
    result = tune("--recipe", "recipe.yaml")
    assert (result.exit_code, (here / "recipe.yaml").read_text()) == (0, RECIPE)
    assert "nothing is faster beyond the noise, and nothing is changed" in result.output


def test_what_a_variable_sets_is_left_as_it_is(here: Path, opened: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_MAX_COST_IN_FLIGHT", "100")
    result = tune("--recipe", "recipe.yaml")
    assert "left as it is: searches at a time, since WINNOW_MAX_COST_IN_FLIGHT is set" in result.output
    assert (here / "recipe.yaml").read_text() == RECIPE


def test_a_recipe_that_cannot_be_edited_is_kept_and_the_choice_is_beside_it(here: Path, opened: Slow) -> None:
    (here / "recipe.yaml").write_text(written := json.dumps(yaml.safe_load(RECIPE)))
    result = tune("--recipe", "recipe.yaml")
    assert (here / "recipe.yaml").read_text() == written
    assert "recipe.yaml cannot be edited in place; what was chosen is in recipe-tuned.yaml" in result.output
    assert yaml.safe_load((here / "recipe-tuned.yaml").read_text()) == {"max_cost_in_flight": 200}


def test_settings_that_do_not_serve_fail_with_the_reason(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def open_service(settings: Settings, machine: Any) -> AsyncIterator[Slow]:
        raise EngineUnavailableError("the policy engine did not start: no memory")
        yield

    monkeypatch.setattr(service, "open_service", open_service)
    result = tune("--recipe", "recipe.yaml")
    assert result.exit_code == 1
    assert "the present settings do not serve: the policy engine did not start: no memory" in result.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--minutes", "0.5"], "0.5 is not in the range 1<=x<=240"),
        (["--strategy", "beam_serch"], "Did you mean beam_search?"),
        (["--strategy", "dvts", "--n", "6"], "beam_width"),
        (["--n", "100000"], "n"),
        (["--problems", "none.jsonl"], "'none.jsonl' does not exist"),
        (["--problems", "recipe.yaml"], "recipe.yaml, line 1: not JSON"),
        (["--problems", "empty.jsonl"], "empty.jsonl holds no problem"),
        (["--problems", "problems.jsonl", "--out", "problems.jsonl"], "is the same file as the input"),
        (["--recipe", "recipe.yaml", "--out", "problems.jsonl"], "problems.jsonl exists: choose another"),
        (["--recipe", "none.yaml"], "recipe none.yaml cannot be read"),
        (["--recipe", "alone.yaml"], "policy_model is none: there is nothing to search with"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_starts(here: Path, options: list[str], said: str) -> None:
    (here / "problems.jsonl").write_text('{"problem": "What is 2 + 2?"}\n')
    (here / "empty.jsonl").write_text("\n")
    (here / "alone.yaml").write_text(f"policy_model: none\nverifier_model: {DEMO / 'prm'}\nverifier_format: winnow\n")
    result = tune(*options)
    assert result.exit_code == 2, result.output
    assert said in result.output
