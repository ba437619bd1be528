"""`winnow eval`: accuracy, tokens and seconds of every strategy on problems whose answers are known."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from models.spelling import did_you_mean
from search.answers.pool import AnswerPool
from search.errors import HyperparameterError
from search.evaluation import tables
from search.evaluation.grading import Grader
from search.evaluation.grid import GREEDY, Point, Value, names, plan_jobs, usual_names
from search.evaluation.report import Report
from search.evaluation.results import Results
from search.evaluation.tasks import Fields
from search.stopping import Probable
from search.strategies import by_table, flat, trees
from search.strategies import strategies as strategies_by_name
from server.cli import stopping
from server.cli.client import ServiceUrl, open_client
from server.cli.demo_tasks import demo_tasks
from server.cli.failures import refuse_inputs
from server.cli.measure import Measurement, Part, is_measured
from server.cli.options import Choice
from server.cli.problems import read_problems
from server.cli.provenance import made_by, what_is_told, what_matters
from server.cli.searches import SearchFile
from server.cli.varied import VariedField, collect, read_value
from server.precheck import check_models
from server.settings import Settings, load_settings

WIDTH = 110
SIGNS = {"M": "beam_width", "T": "temperature"}
POINT = r"(\w+)@(\d+)((?:,\w+=[^,:]*)*)"


class Counts(click.ParamType[tuple[int, ...]]):
    """Whole numbers above 0, separated by commas."""

    name = "counts"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", value):
            self.fail(f"{value!r} is not a list such as 1,4,16", param, ctx)
        return tuple(map(int, value.split(",")))


class Comparison(click.ParamType[tuple[Point, Point]]):
    """Two points to compare: STRATEGY@N:STRATEGY@N, each with its varied fields: STRATEGY@N,FIELD=VALUE."""

    name = "comparison"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Point, Point]:
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(rf"{POINT}:{POINT}", value)
        if not found:
            self.fail(f"{value!r} is not of the form STRATEGY@N:STRATEGY@N", param, ctx)
        if unknown := [name for name in (found[1], found[4]) if name not in names()]:
            meant = did_you_mean(unknown[0], names(), f"use {', '.join(names())}")
            self.fail(f"{unknown[0]!r} is not a strategy; {meant}", param, ctx)
        try:
            return _point(*found.groups()[:3]), _point(*found.groups()[3:])
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _point(strategy: str, n: str, varied: str) -> Point:
    """Return the point that an option spells.

    Raises:
        ValueError: A field cannot be varied, or cannot have this value.
    """
    fields = [field.split("=", 1) for field in varied.split(",")[1:]]
    return Point(strategy, int(n), tuple((name, read_value(name, value)) for name, value in fields))


@click.command("eval")
@click.option(
    "--problems",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON lines, JSON, CSV or Parquet with problems and answers; most benchmarks are read as they come.",
)
@click.option("--problem-field", help="Field of the problem; of several, separated by commas: Body,Question.")
@click.option("--answer-field", help="Field of the answer. A field may lie within others: doc.answer, answers.0.")
@click.option("--choices-field", help="Field of the choices.  [default for these three: what benchmarks call them]")
@click.option("--held-out", default=300, show_default=True, type=click.IntRange(1), help="Number of demo problems.")
@click.option("--problem-seed", default=0, show_default=True, type=click.IntRange(0), help="Which demo problems.")
@click.option(
    "--strategies",
    help=f"Strategies, separated by commas.  [default: {','.join(usual_names())}; without a verifier those that need "
    "none]",
)
@click.option("--n", "budgets", default="16", show_default=True, type=Counts(), help="N, budgets: 1,4,16,64.")
@click.option("--seeds", default="1", show_default=True, type=Counts(), help="Seeds, for all N or one each: 3,3,3,1.")
@click.option(
    "--subsample", is_flag=True, help="Sample once at the largest N; derive smaller N and other votes from it."
)
@click.option(
    "--timed",
    default=50,
    show_default=True,
    type=click.IntRange(0),
    help="With --subsample: problems that are run for every cell on its own, to measure tokens and seconds.",
)
@click.option("--beam-width", default=4, show_default=True, type=click.IntRange(1), help="M of the tree searches.")
@click.option(
    "--temperature", default=0.8, show_default=True, type=click.FloatRange(0, 2), help="Sampling temperature."
)
@click.option(
    "--vary",
    multiple=True,
    type=VariedField(),
    help="Compare values of a field, for every strategy that reads it: aggregation=last,min,prod. The others are "
    "compared with the first; @FILE stands for the text of a file. If repeated: all combinations.",
)
@click.option(
    "--early-stop",
    default="exact",
    show_default=True,
    type=Choice(["exact", "probable"]),
    help="Work to leave out: what cannot change the answer, or what probably does not.",
)
@click.option("--stop-probability", type=float, help="With --early-stop probable.  [default: 0.95]")
@click.option("--concurrency", default=8, show_default=True, type=click.IntRange(1), help="Problems in parallel.")
@click.option("--compare", multiple=True, type=Comparison(), help="Also compare two points: STRATEGY@N:STRATEGY@N.")
@click.option("--url", type=ServiceUrl(), help="URL of a running service; by default the models are started here.")
@click.option("--recipe", type=click.Path(path_type=Path), help="YAML file of settings (deploy/recipes/).")
@click.option(
    "--out", type=click.Path(path_type=Path), help="File for the outcomes; a run resumes from those it finds."
)
@click.option(
    "--searches",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to keep every search in, with its tree and the right answers, for winnow export and winnow revote.",
)
@click.option("--plots", type=click.Path(path_type=Path, file_okay=False), help="Folder for plots.")
def evaluate(
    problems: Path | None,
    problem_field: str | None,
    answer_field: str | None,
    choices_field: str | None,
    held_out: int,
    problem_seed: int,
    strategies: str | None,
    budgets: tuple[int, ...],
    seeds: tuple[int, ...],
    subsample: bool,
    timed: int,
    beam_width: int,
    temperature: float,
    vary: Sequence[tuple[str, tuple[Value, ...]]],
    early_stop: str,
    stop_probability: float | None,
    concurrency: int,
    compare: Sequence[tuple[Point, Point]],
    url: str | None,
    recipe: Path | None,
    out: Path | None,
    searches: Path | None,
    plots: Path | None,
) -> None:
    """Measure strategies on problems whose answers are known.

    Accuracies and their differences have 95 % intervals, bootstrapped over problems. Tokens are means per problem;
    seconds are the time from request to reply while the others run. Greedy is one sample at temperature 0.
    Bad lines of --problems are named and left out; the report counts them, and says how problems were joined.
    With --vary the values of a field are compared, paired by problem.
    """
    refuse_inputs(out, problems, recipe, plots)
    refuse_inputs(searches, problems, recipe, plots, out, option="--searches")
    settings = load_settings(recipe)
    chosen = _strategies(strategies, can_judge=bool(url) or settings.has_verifier)
    unknown = sorted(set(chosen) - set(names()))
    if unknown:
        able = names() if url or settings.has_verifier else usual_names(has_verifier=False)
        meant = did_you_mean(unknown[0], able, f"use some of {', '.join(names())}")
        raise click.BadParameter(f"{unknown[0]!r} is not a strategy; {meant}", param_hint="--strategies")
    if len(seeds) not in (1, len(budgets)):
        message = f"{len(seeds)} counts for {len(budgets)} budgets; give one count, or one for each"
        raise click.BadParameter(message, param_hint="--seeds")
    stopping = _stopping(early_stop, stop_probability, chosen, subsample=subsample)
    varied = collect(vary, chosen, budgets, beam_width)
    num_seeds = dict(zip(budgets, seeds if len(seeds) > 1 else seeds * len(budgets), strict=True))
    if not url:
        check_models(settings)
    fields = Fields(tuple(problem_field.split(",")) if problem_field else (), answer_field, choices_field)
    found = read_problems(problems, fields) if problems else None
    tasks = list(found.tasks) if found else demo_tasks(problem_seed, held_out)
    plan = partial(plan_jobs, chosen, num_seeds, {"temperature": temperature, **stopping}, beam_width, varied=varied)
    num_alone = timed if subsample else len(tasks)
    parts = [(tasks[:num_alone], plan()), (tasks[num_alone:], plan(subsample=True))]
    options = {"beam_width": beam_width, "temperature": temperature, "subsample": subsample, **stopping}
    grid = {"problems": str(problems or f"demo {problem_seed}"), "strategies": chosen, "num_seeds": num_seeds}
    grid |= {"varied": varied} if varied else {}
    grid |= {"file": found.description} if found else {}
    results = Results(out, what_matters(settings, url, options), what_is_told(settings, grid))
    file = SearchFile(searches, made_by(settings, url)) if searches else None
    _run(parts, results, file, settings, url, concurrency)
    wanted = dict.fromkeys(cell for _, jobs in parts for job in jobs for cell in job.cells)
    report = Report(outcome for task in tasks for outcome in results.of(task.problem, wanted))
    base = {"M": beam_width, "T": temperature}
    fixed = [f"{sign} = {value}" for sign, value in base.items() if SIGNS[sign] not in varied]
    show_report(report, ", ".join([f"{len(tasks)} problems", *fixed]), compare, plots)
    if found:
        Console(width=WIDTH).print(f"{problems}: {found.description}", markup=False)


def _strategies(listed: str | None, *, can_judge: bool) -> Sequence[str]:
    """Return the strategies to be measured.

    Raises:
        click.BadParameter: One needs a verifier, and there is none.
    """
    if listed is None:
        return usual_names(has_verifier=can_judge)
    chosen = listed.split(",")
    rows = [row for row in (*flat(), *trees()) if row.name in chosen and row.judges]
    if rows and not can_judge:
        raise click.BadParameter(str(rows[0].lacks(None)), param_hint="--strategies")
    return chosen


def _stopping(
    early_stop: str, probability: float | None, chosen: Sequence[str], *, subsample: bool
) -> dict[str, str | float]:
    """Return the fields of a request that say when a search may stop, where they are not the defaults.

    Raises:
        click.BadParameter: A strategy cannot stop so, or searches that stop would be subsampled.
    """
    if early_stop == "exact":
        if probability is not None:
            raise click.BadParameter("it goes with --early-stop probable", param_hint="--stop-probability")
        return {}
    try:
        rule = Probable() if probability is None else Probable(probability)
    except HyperparameterError as error:
        raise click.BadParameter(error.message, param_hint="--stop-probability") from error
    if subsample:
        raise click.BadParameter("searches that stop cannot be subsampled; omit --subsample", param_hint="--early-stop")
    for row in (strategies_by_name()[name] for name in chosen if name != GREEDY):
        if not row.stops_probably:
            message = f"probable is not supported by {row.name}; name others with --strategies"
            raise click.BadParameter(message, param_hint="--early-stop")
    return {"early_stop": "probable", "stop_probability": rule.probability}


def _run(
    parts: Sequence[Part],
    results: Results,
    searches: SearchFile | None,
    settings: Settings,
    url: str | None,
    concurrency: int,
) -> None:
    """Measure what is not measured yet; SIGINT or SIGTERM ends the command and keeps the outcomes measured so far."""
    if all(is_measured(results, task, job) for tasks, jobs in parts for task in tasks for job in jobs):
        return

    def kept() -> str:
        if not results.path:
            return "nothing is kept without --out"
        return f"{len(results.outcomes):,} outcomes are in {results.path}: repeat the command to resume"

    stopping.run(_measure(parts, results, searches, settings, url, concurrency), kept)


async def _measure(
    parts: Sequence[Part],
    results: Results,
    searches: SearchFile | None,
    settings: Settings,
    url: str | None,
    concurrency: int,
) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    async with AnswerPool() as answers, open_client(url, settings) as client:
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
            await Measurement(client, Grader(answers), results, progress, concurrency, searches).run(parts)


def show_report(report: Report, title: str, compare: Sequence[tuple[Point, Point]], plots: Path | None) -> None:
    """Print the tables of a report, and draw its pictures."""
    console = Console(width=WIDTH)
    console.print(tables.accuracy_table(report, title))
    for table in (tables.choice_table(report), tables.pass_table(report), tables.confidence_table(report)):
        if table:
            console.print(table)
    console.print(tables.cost_table(report))
    if pairs := dict.fromkeys([*_comparisons(report), *report.variations(), *compare]):
        console.print(tables.difference_table(report, list(pairs)))
    if plots:
        from search.evaluation.pictures import draw_all

        plots.mkdir(parents=True, exist_ok=True)
        draw_all(report, plots, title)
        console.print(f"pictures in {plots}")


def _comparisons(report: Report) -> list[tuple[Point, Point]]:
    """Pair each strategy with the next better one, and those that choose among them with the best."""
    pairs = []
    for n in report.budgets:
        best = report.best_single(n)
        pairs += report.ladder(n) if n > 1 else []
        choosing = [Point(row.name, n) for row in by_table()]
        pairs += [(point, best) for point in choosing if best and point in report.points]
    return pairs
