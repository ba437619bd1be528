"""`winnow calibrate`: measures how a pair of models best spends a budget, and writes the table of `auto`."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from rich.console import Console
from rich.table import Table

from models.interfaces import Sampling
from search.calibration.familiarity import FALSE_ALARMS
from search.calibration.table import Calibration, Familiarity, write_calibration
from search.evaluation.tasks import Task
from server.cli.demo_tasks import demo_tasks
from server.cli.evaluate import Counts
from server.cli.failures import refuse_inputs
from server.cli.problems import read_problems
from server.precheck import check_checkpoints
from server.settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from search.calibration.difficulty import Prediction

EVALUATED = 500
"""Demo problems of `make eval`, which the table must not have seen."""
HARD = "cross-validated; how well a probe predicts pass@1 (quintiles), and points lost by predicting it"
MIN_PROBLEMS = 40
"""Fewer are not enough for five bins."""
LOOKED_AT = 6_000
"""Demo problems whose texts show what is familiar: nearly all parts that there are."""
READ_WITH_ONLY = {
    "familiarity": ("problems", "false_alarms", "only", "recipe", "out"),
    "costs": ("problems", "held_out", "beam_width", "max_tokens", "only", "recipe", "out"),
}
"""Options of a part of the table; what else it needs it takes from the table that is there."""


@click.command()
@click.option(
    "--problems",
    type=click.Path(exists=True, path_type=Path),
    help="Problems and answers, as `winnow eval` reads them.",
)
@click.option(
    "--held-out", default=300, show_default=True, type=click.IntRange(MIN_PROBLEMS), help="Number of demo problems."
)
@click.option("--n", "budgets", default="4,16,64", show_default=True, type=Counts(), help="N, budgets of the table.")
@click.option("--beam-width", default=4, show_default=True, type=click.IntRange(2), help="M of the tree searches.")
@click.option(
    "--temperature", default=0.8, show_default=True, type=click.FloatRange(0, 2), help="Sampling temperature."
)
@click.option(
    "--max-tokens", type=click.IntRange(1), help="Longest response.  [default: that of searches that do not say]"
)
@click.option("--concurrency", default=16, show_default=True, type=click.IntRange(1), help="Problems in parallel.")
@click.option(
    "--false-alarms",
    default=FALSE_ALARMS,
    show_default=True,
    type=click.FloatRange(0.001, 0.2),
    help="Share of new problems of this kind that may be called unfamiliar.",
)
@click.option(
    "--only",
    type=click.Choice([*READ_WITH_ONLY]),
    help="Measure this alone, into the table that is there: what is familiar, from the texts of the problems, or what "
    "searches cost on this machine.",
)
@click.option("--recipe", type=click.Path(path_type=Path), help="YAML file of settings (deploy/recipes/).")
@click.option("--evidence", type=click.Path(path_type=Path), help="File for the measurements; a run resumes from it.")
@click.option("--out", type=click.Path(path_type=Path), help="The table.  [default: where the service looks for it]")
def calibrate(
    problems: Path | None,
    held_out: int,
    budgets: tuple[int, ...],
    beam_width: int,
    temperature: float,
    max_tokens: int | None,
    concurrency: int,
    false_alarms: float,
    only: str | None,
    recipe: Path | None,
    evidence: Path | None,
    out: Path | None,
) -> None:
    """Learn how `auto` should spend a budget with these models, and how probable their answers are.

    Measures the strategies on problems whose answers are known, bins the problems by the confidence of a small search,
    and chooses a strategy for each bin. The table is valid for this policy, verifier and prompt only, and for problems
    like these: it says which are not. It also says what searches cost on this machine.
    """
    if only is not None:
        _refuse_unread(click.get_current_context(), only)
    refuse_inputs(out, problems, recipe, evidence)
    refuse_inputs(evidence, problems, recipe, option="--evidence")
    settings = load_settings(recipe)
    check_checkpoints(settings)
    if not settings.has_verifier:
        raise SettingsError("verifier_format is none: a table is for a policy and its verifier; set verifier_model")
    if only == "familiarity":
        _add_familiarity(settings, problems, false_alarms, out)
        return
    tasks = list(read_problems(problems).tasks) if problems else _other_demo_tasks(held_out)
    if len(tasks) < MIN_PROBLEMS:
        raise click.BadParameter(f"{len(tasks)} problems are too few to learn from: at least {MIN_PROBLEMS}")
    if max(budgets) < 4 or any(n % beam_width for n in budgets):
        raise click.BadParameter(f"a multiple of the beam width {beam_width} each, as 4,16,64", param_hint="--n")
    if only == "costs":
        longest = max_tokens or settings.response_tokens
        click.echo(f"written to {asyncio.run(_measure_costs(settings, tasks, longest, beam_width, out))}")
        return
    sampling = Sampling(temperature, 1.0, max_tokens or settings.response_tokens, seed=0, steps=settings.steps.rule)
    rows = tuple(sorted(set(budgets)))
    found = asyncio.run(_calibrate(settings, tasks, rows, sampling, concurrency, beam_width, evidence, out))
    texts = [task.problem for task in tasks] if problems else _demo_texts()
    familiarity = _familiarity(settings, texts, false_alarms)
    table = found.table.model_copy(update={"familiarity": familiarity} if familiarity else {})
    write_calibration(table, found.path)
    _show(found, Console(width=110))
    if familiarity is None:
        click.echo(f"{len(texts)} problems are too few to tell which others are unfamiliar", err=True)


def _refuse_unread(context: click.Context, only: str) -> None:
    """Refuse options that the part of the table does not read.

    Raises:
        click.UsageError: One was given.
    """
    for option in context.command.params:
        name = option.name or ""
        if name not in READ_WITH_ONLY[only] and context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"{option.opts[0]} does not go with --only {only}; omit it")


def _add_familiarity(settings: Settings, problems: Path | None, false_alarms: float, out: Path | None) -> None:
    """Add to the table of these models what its problems look like; leave the rest as it is.

    Raises:
        UnreadableFileError: There is no such table.
        SettingsError: It is not for these models and this prompt.
        click.BadParameter: The problems are too few.
    """
    from server.identity import calibration_file, load_calibration

    path = out or calibration_file(settings)
    table = load_calibration(settings.model_copy(update={"calibration": path})).table
    assert table is not None  # noqa: S101 - a table that is named and cannot be used is refused
    texts = [task.problem for task in read_problems(problems).tasks] if problems else _demo_texts()
    familiarity = _familiarity(settings, texts, false_alarms)
    if familiarity is None:
        message = f"{len(texts)} problems are too few for a share of {false_alarms:g}: at least {_fewest(false_alarms)}"
        raise click.BadParameter(message, param_hint="--problems")
    write_calibration(table.model_copy(update={"familiarity": familiarity}), path)
    click.echo(f"of {len(texts):,} problems; a problem is unfamiliar if more than {familiarity.limit:.1%} of it is new")
    click.echo(f"written to {path}")


def _familiarity(settings: Settings, texts: Sequence[str], false_alarms: float) -> Familiarity | None:
    """Return what problems look like; None if they are too few to tell."""
    return Familiarity.of(texts, settings.made_for, _made(settings, "date", "commit"), false_alarms)


def _demo_texts() -> list[str]:
    """Return problems of the demo's kind: many more than are searched, since they are only read."""
    return [task.problem for task in _other_demo_tasks(LOOKED_AT)]


def _fewest(false_alarms: float) -> int:
    """Return how many problems tell which others are unfamiliar."""
    return ceil(round(1 / false_alarms, 9)) - 1


@dataclass(frozen=True, slots=True)
class _Found:
    """A table, where it goes, and how well the probe of each budget predicts difficulty."""

    table: Calibration
    path: Path
    predictions: dict[int, "Prediction"]


def _other_demo_tasks(count: int) -> list[Task]:
    """Return demo problems that `winnow eval` does not ask."""
    asked = {task.problem for task in demo_tasks(0, EVALUATED)}
    return [task for task in demo_tasks(1, count + EVALUATED) if task.problem not in asked][:count]


async def _measure_costs(
    settings: Settings, tasks: list[Task], max_tokens: int, beam_width: int, out: Path | None
) -> Path:
    """Measure what searches cost, into the table that is there; return where that is."""
    from search.calibration.measuring import Measuring, measure_costs
    from search.calibration.traces import Traces
    from server.composition import open_models
    from server.identity import calibration_file, load_calibration

    settings = settings.model_copy(update={"calibration": out}) if out else settings
    calibrated = load_calibration(settings)
    if calibrated.table is None:
        raise SettingsError(f"--only costs: {calibrated.reason}")
    table, path = calibrated.table, calibration_file(settings)
    sampling = Sampling(table.temperature, 1.0, max_tokens, seed=0, steps=settings.steps.rule)
    async with open_models(settings) as (models, _):
        measuring = Measuring(tasks, Traces(None), sampling, 1, beam_width)
        costs = await measure_costs(measuring, models, table.budgets, _made(settings, "date", "commit", "machine"))
    write_calibration(table.model_copy(update={"costs": costs}), path)
    return path


def _made(settings: Settings, *names: str) -> dict[str, Any]:
    """Return what the table says of how a part of it was made."""
    from server.cli.provenance import what_is_told

    run = what_is_told(settings, {})
    return {name: run[name] for name in names}


async def _calibrate(
    settings: Settings,
    tasks: list[Task],
    budgets: tuple[int, ...],
    sampling: Sampling,
    concurrency: int,
    beam_width: int,
    evidence: Path | None,
    out: Path | None,
) -> _Found:
    from models.policy.engine_policy import EnginePolicy
    from search.calibration import measuring
    from search.calibration.traces import Traces
    from server.composition import open_models
    from server.identity import calibration_file, identity_of

    made = _made(settings, "date", "commit", "machine")
    path, identity = out or calibration_file(settings), identity_of(settings)
    async with open_models(settings) as (models, _):
        assert isinstance(models.policy, EnginePolicy)  # noqa: S101 - `open_models` makes it so
        modes = models.policy.prompts.modes
        measured = measuring.Measuring(tasks, Traces(evidence), sampling, concurrency, beam_width, modes)
        table, predictions = await measuring.calibrate(measured, models, identity, budgets, made)
    return _Found(table, path, predictions)


def _show(found: _Found, console: Console) -> None:
    shown = Table("N", "probe", "sure from", "then", "problems", "right", title="how auto spends a budget")
    for row in found.table.budgets:
        for place, bin in enumerate(row.bins):
            first = (str(row.n), f"{row.probe.name}, N = {row.probe_n}") if place == 0 else ("", "")
            then = "nothing" if bin.rest is None else f"{bin.rest.name}, the rest"
            shown.add_row(*first, f"{bin.floor:.2f}", then, str(bin.problems), f"{bin.accuracy:.0%}")
    console.print(shown)
    probes = Table(
        "N", "right", "tokens", "seconds", "rank correlation", "same bin", "at most one off", "loss", title=HARD
    )
    for row in found.table.budgets:
        well = found.predictions[row.n]
        probes.add_row(
            str(row.n),
            f"{row.accuracy:.1%}",
            f"{row.tokens[0]:,.0f}",
            f"{row.seconds[0]:.1f}",
            f"{well.correlation:.2f}",
            f"{well.same_bin:.0%}",
            f"{well.near_bin:.0%}",
            f"{well.loss:+.1f}",
        )
    console.print(probes)
    console.print(f"written to {found.path}", soft_wrap=True)
