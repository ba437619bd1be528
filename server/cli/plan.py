"""`winnow plan`: which strategy and N an accuracy, a number of tokens or a deadline asks for."""

import json
from pathlib import Path

import click
from rich.console import Console

WIDTH = 140


@click.command()
@click.argument("outcomes", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--accuracy",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of right answers to reach: 0.9.",
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
    help="With which --accuracy has to be reached.",
)
@click.option(
    "--compute",
    default="n",
    show_default=True,
    type=click.Choice(["n", "tokens"]),
    help="What accuracy is fitted against: N, or tokens generated and judged.",
)
@click.option("--max-n", type=click.IntRange(1, 1024), help="Largest N to look at.  [default: 4 times the measured]")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the resamples.")
@click.option("--all", "show_all", is_flag=True, help="List every alternative, the cheapest first.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw the curves there, .png or .svg.")
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
    """Say which strategy and N a wish asks for, what that costs and how sure it is.

    OUTCOMES are files of winnow eval --out, one for each pair of models, best on the same problems. Wishes go together:
    --accuracy 0.9 --deadline 3. Tokens are generated and judged ones; seconds are those of the machine and the load of
    the evaluation. Intervals are 95 %, over problems like those of the evaluation and over what the curve may be; "~"
    stands for what lies between measured points, "?" for what lies beyond them. No model is needed.
    """
    from search.evaluation.outcomes import read_evaluation
    from search.scaling.advice import Wish, advise
    from search.scaling.alternatives import Axis, Survey
    from search.scaling.report import advice_table, as_record, curve_table
    from server.cli.failures import refuse_inputs

    if accuracy is None and budget_tokens is None and deadline is None:
        raise click.UsageError("say what you wish: --accuracy, --budget-tokens or --deadline")
    if plot and plot.suffix not in (".png", ".svg"):
        raise click.BadParameter(f"{plot} is no picture: .png or .svg", param_hint="--plot")
    refuse_inputs(plot, *outcomes, option="--plot")
    evaluations = [read_evaluation(path) for path in outcomes]
    names = [each.name for each in evaluations]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise click.UsageError(f"more than one file is of {repeated}; take one for each pair of models")
    survey = Survey(evaluations, Axis(compute), max_n, seed)
    if not survey.alternatives:
        raise click.UsageError(f"nothing was measured at N up to {max_n}")
    if deadline is not None and all(each.cost.seconds_tail is None for each in survey.alternatives):
        raise click.UsageError("the outcomes hold no seconds: take --accuracy or --budget-tokens")
    wish = Wish(accuracy, budget_tokens, deadline, chance)
    advice = advise(survey.alternatives, wish)
    if plot:
        from search.scaling.curves import plot_curves

        plot_curves(survey, plot)
    if as_json:
        click.echo(json.dumps(as_record(survey, wish, advice), indent=2))
        return
    console = Console(width=WIDTH)
    console.print(advice.reason, highlight=False)
    rest = [each for each in survey.alternatives if each is not advice.chosen]
    others = sorted(rest, key=lambda each: each.cost.tokens) if show_all else advice.others
    console.print(advice_table(advice, others, wish, has_models=len(names) > 1))
    console.print(curve_table(survey, has_models=len(names) > 1))
    for warning in survey.warnings:
        console.print(f"note: {warning}", highlight=False)
