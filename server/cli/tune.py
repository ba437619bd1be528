"""`winnow tune`: measures which settings suit this machine, and writes them into the recipe."""

import asyncio
import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from models.files import replace_file
from search.errors import HyperparameterError
from search.strategies import strategies
from server.cli.failures import Failure, UnusableError, refuse_inputs
from server.cli.options import Choice
from server.cli.problems import read_texts
from server.errors import RequestError
from server.precheck import check_models
from server.refusals import refused_setting
from server.schemas import SolveRequest
from server.settings import Settings, SettingsError, in_environment, load_settings, recipe_in_environment

if TYPE_CHECKING:
    from server.tuning.descent import Outcome, Tried
    from server.tuning.knobs import Knob

NEW_RECIPE = Path("tuned.yaml")
MOST_PROBLEMS = 256
SEED = 21
WIDTH = 110


@click.command()
@click.option("--recipe", type=click.Path(path_type=Path), help="YAML file of settings (deploy/recipes/).")
@click.option(
    "--problems",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON lines with a problem each, like those that will be asked.  [default: demo problems]",
)
@click.option(
    "--strategy", type=Choice(list(strategies())), help="Of the searches.  [default: that of requests that do not say]"
)
@click.option("--n", type=click.IntRange(1), help="Their budget.  [default: likewise]")
@click.option("--max-tokens", type=click.IntRange(1), help="Longest response.  [default: likewise]")
@click.option("--minutes", default=10.0, show_default=True, type=click.FloatRange(1, 240), help="Longest run.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"The recipe that is written.  [default: that of --recipe, or {NEW_RECIPE} where there is none]",
)
@click.option("--dry-run", is_flag=True, help="Print what would be written, and write nothing.")
def tune(
    recipe: Path | None,
    problems: Path | None,
    strategy: str | None,
    n: int | None,
    max_tokens: int | None,
    minutes: float,
    out: Path | None,
    dry_run: bool,
) -> None:
    """Find faster settings for this machine, and write them into the recipe.

    Runs real searches with the recipe's models, and changes one thing at a time: searches in flight, threads, batch
    sizes, blocks, and what policy and verifier have of the memory. Settings take turns, and a change that does not win
    every round is dropped. The first settings and the last are compared once more in the end; without a gain beyond the
    noise nothing is written. Use the machine for nothing else meanwhile.
    """
    recipe = recipe or recipe_in_environment()
    out = out or recipe or NEW_RECIPE
    refuse_inputs(out, problems)
    if out != recipe and out.exists() and not dry_run:
        raise click.BadParameter(f"{out} exists: choose another, or name it with --recipe", param_hint="--out")
    texts = read_texts(problems, MOST_PROBLEMS) if problems else _demo_problems()
    settings = load_settings(recipe)
    asked = {"strategy": strategy, "n": n, "max_tokens": max_tokens}
    request = {name: value for name, value in asked.items() if value is not None}
    if not settings.has_policy:
        raise SettingsError("policy_model is none: there is nothing to search with; set policy_model")
    check_models(settings)
    _check_request(request, settings)
    outcome = _run(settings, texts, request, minutes, Console(stderr=True, width=WIDTH))
    console = Console(width=WIDTH)
    console.print(_table(settings, outcome))
    for line in _notes(settings, outcome):
        console.print(line, highlight=False)
    if outcome.change and not dry_run:
        console.print(_write(outcome.change, recipe, out), highlight=False)
    elif outcome.change:
        console.print("nothing is written (--dry-run)")


def _demo_problems() -> list[str]:
    from server.cli.demo_tasks import demo_tasks

    return [task.problem for task in demo_tasks(SEED, MOST_PROBLEMS)]


def _check_request(request: dict[str, Any], settings: Settings) -> None:
    """See that the service would run such a search.

    Raises:
        UnusableError: It would not.
    """
    from server.identity import load_calibration
    from server.solving.planning import plan_strategy, within

    try:
        asked = within(SolveRequest.model_validate({"problem": "?", **request}), settings)
        plan_strategy(asked, load_calibration(settings), has_verifier=settings.has_verifier)
    except ValidationError as error:
        raise UnusableError(refused_setting(SolveRequest, error.errors()[0])) from error
    except (RequestError, HyperparameterError) as error:
        raise UnusableError(str(error)) from error


def _knobs(settings: Settings) -> "Sequence[Knob]":
    """Return what can be turned: nothing that a variable sets whatever the recipe says."""
    from server.tuning.knobs import KNOBS

    free = []
    for knob in KNOBS:
        variables = [in_environment(name.partition(".")[0]) for name in knob.settings]
        if named := next(filter(None, variables), None):
            click.echo(f"left as it is: {knob.name}, since {named} is set", err=True)
        else:
            free.append(knob)
    return free


def _run(
    settings: Settings, problems: list[str], request: dict[str, Any], minutes: float, console: Console
) -> "Outcome":
    from server.doctor.machine import look_at_machine
    from server.tuning.descent import Tuning, TuningError
    from server.tuning.service import open_service, room_for

    machine = look_at_machine(runs_engines=settings.runs_here("policy") or settings.runs_here("verifier"))
    columns = TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=60 * minutes)

        def note(tried: "Tried") -> None:
            progress.console.print(f"{tried.words}: {_verdict(tried)}", highlight=False)

        tuning = Tuning(
            settings,
            partial(open_service, machine=machine),
            problems,
            request,
            60 * minutes,
            room_for(machine),
            tell=lambda stage: progress.update(bar, description=stage, completed=progress.tasks[0].elapsed or 0),
            note=note,
            knobs=_knobs(settings),
        )
        try:
            return asyncio.run(tuning.run())
        except TuningError as error:
            raise Failure(str(error)) from error


def _verdict(tried: "Tried") -> str:
    if tried.comparison is None:
        return f"does not serve: {tried.trouble}"
    ratios = tried.comparison.ratios
    rounds = f"{len(ratios)} round{'s' if len(ratios) > 1 else ''}"
    told = f"{tried.comparison.gain:.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f} in {rounds})"
    return f"taken, {told}" if tried.is_taken else f"dropped, {told}"


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _table(settings: Settings, outcome: "Outcome") -> Table:
    from server.tuning.knobs import value_of

    table = Table("", "before", "after", title="winnow tune")
    for name, value in outcome.change.items():
        before = value_of(settings, name, outcome.place)
        table.add_row(name, "default" if before is None else str(before), str(value))
    if outcome.change and outcome.comparison:
        table.add_row("problems/s", _spread(outcome.comparison.before), _spread(outcome.comparison.after))
        table.add_row("ratio, round by round", "1", _spread(outcome.comparison.ratios))
    else:
        table.add_row("problems/s", _spread(outcome.speed), "as before")
    return table


def _notes(settings: Settings, outcome: "Outcome") -> list[str]:
    place = outcome.place
    searches = place.searches(settings)
    notes = [
        f"{len(outcome.tried)} candidates were tried, from {searches} searches at a time on {place.num_cores} cores"
    ]
    if not outcome.change:
        ratios = outcome.comparison
        found = f": what was taken came to {_spread(ratios.ratios)} in the end" if ratios else ""
        notes.append(f"nothing is faster beyond the noise, and nothing is changed{found}")
    if outcome.untried:
        notes.append(f"not tried for lack of time: {', '.join(outcome.untried)}; give it more --minutes")
    return notes


def _write(change: Any, recipe: Path | None, out: Path) -> str:
    """Write a recipe with what was chosen; say where it is.

    Raises:
        UnwritableFileError: It cannot be written.
    """
    from server.tuning.knobs import grouped
    from server.tuning.recipe import edited, written

    values = grouped(change)
    if recipe is None:
        replace_file(out, written(values))
        return f"written to {out}: serve with --recipe {out}"
    text = edited(recipe.read_text(encoding="utf-8-sig"), values)
    if text is None:
        beside = out.with_name(f"{out.stem}-tuned.yaml")
        replace_file(beside, written(values))
        return f"{recipe} cannot be edited in place; what was chosen is in {beside}: add its lines to the recipe"
    replace_file(out, text)
    return f"written to {out}"
