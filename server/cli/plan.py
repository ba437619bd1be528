"""`winnow plan`: which strategy and N an accuracy, a number of tokens or a deadline asks for."""

import json
from pathlib import Path

import click
from rich.console import Console

from server.cli.options import Choice

WIDTH = 140


@click.command()
@click.argument("outcomes", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--accuracy",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of right answers to reach, such as 0.9.",
)
@click.option(
    "--budget-tokens", type=click.FloatRange(0, min_open=True), help="Tokens a problem, at most, in the mean."
)
@click.option("--deadline", type=click.FloatRange(0, min_open=True), help="Seconds that 95 % of the problems may take.")
@click.option(
    "--chance",
    default=0.8,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Probability with which --accuracy is reached.",
)
@click.option(
    "--compute",
    default="n",
    show_default=True,
    type=Choice(["n", "tokens"]),
    help="What accuracy is fitted against: N, or tokens generated and judged.",
)
@click.option("--max-n", type=click.IntRange(1, 1024), help="Largest N to consider.  [default: 4 times the measured]")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the resamples.")
@click.option("--all", "show_all", is_flag=True, help="List all alternatives, cheapest first.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="File for a plot of the curves, .png or .svg."
)
def plan(
    outcomes: tuple[Path, ...],
    accuracy: float | None,
    budget_tokens: float | None,
    deadline: float | None,
    chance: float,
    compute: str,
    max_n: int | None,
    seed: int,
    show_all: bool,
    as_json: bool,
    plot: Path | None,
) -> None:
    """Find the strategy and N that meet a requirement, what they cost, and how certain that is.

    OUTCOMES are files of winnow eval --out, one for each pair of models, best on the same problems. Requirements can be
    combined: --accuracy 0.9 --deadline 3. Tokens are generated and judged ones; seconds are those of the machine and
    the load of the evaluation. The cheapest measured point that meets them is named; where there is none, one that a
    power law predicts, marked "?", with the law's error on budgets that were left out of its fit. No model is
    needed.
    """
    from search.evaluation.outcomes import read_evaluation
    from search.scaling.choice import Requirement, best_of_each, choose
    from search.scaling.options import Survey
    from search.scaling.report import as_record, curve_table, option_table, plot_curves
    from server.cli.failures import refuse_inputs

    if accuracy is None and budget_tokens is None and deadline is None:
        raise click.UsageError("give --accuracy, --budget-tokens or --deadline")
    if plot and plot.suffix not in (".png", ".svg"):
        raise click.BadParameter(f"{plot} is not a picture; use .png or .svg", param_hint="--plot")
    refuse_inputs(plot, *outcomes, option="--plot")
    evaluations = [read_evaluation(path) for path in outcomes]
    names = [each.name for each in evaluations]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise click.UsageError(f"more than one file is of {repeated}; take one for each pair of models")
    if empty := next((path for path, each in zip(outcomes, evaluations, strict=True) if not each.outcomes), None):
        raise click.UsageError(f"{empty} holds no outcome; let winnow eval --out write some")
    surveys = [Survey(each, by_tokens=compute == "tokens", max_n=max_n, seed=seed) for each in evaluations]
    options = [option for survey in surveys for option in survey.options]
    curves = [curve for survey in surveys for curve in survey.curves]
    if not options:
        raise click.UsageError(f"nothing was measured at N up to {max_n}")
    if deadline is not None and all(each.cost.seconds_tail is None for each in options):
        raise click.UsageError("the outcomes hold no seconds: take --accuracy or --budget-tokens")
    asked = len({problem for survey in surveys for problem in survey.problems})
    warnings = [warning for survey in surveys for warning in survey.warnings] + [
        f"{survey.name} was asked {len(survey.problems)} of all {asked} problems: other problems do not compare well"
        for survey in surveys
        if len(survey.problems) < asked
    ]
    requirement = Requirement(accuracy, budget_tokens, deadline, chance)
    choice = choose(options, requirement)
    if plot:
        plot_curves(curves, options, plot)
    if as_json:
        click.echo(json.dumps(as_record(requirement, choice, options, curves, warnings), indent=2))
        return
    console = Console(width=WIDTH)
    console.print(choice.reason, highlight=False)
    others = sorted(options, key=lambda each: each.cost.tokens) if show_all else best_of_each(options, requirement)
    console.print(option_table(choice.option, others, requirement))
    console.print(curve_table(curves))
    for warning in warnings:
        console.print(f"note: {warning}", highlight=False)
