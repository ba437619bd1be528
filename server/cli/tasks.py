"""`winnow tasks`: fresh problems for the demo pair."""

import json

import click


@click.command()
@click.option("--seed", default=0, show_default=True, help="Seed of the problems.")
@click.option("--count", default=10, show_default=True, type=click.IntRange(1, 100_000), help="How many.")
def tasks(seed: int, count: int) -> None:
    """Write demo problems as JSON lines (problem, answer, level, family).

    The demo pair was not trained on any of them.
    """
    from models.training.demo.tasks.stream import held_out_problems

    for record in held_out_problems(seed, count):
        click.echo(json.dumps(record.as_dict(), ensure_ascii=False))
