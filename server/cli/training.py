"""Options that the commands which train a model on responses have in common."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def training_options(
    *, epochs: float, batch_size: int, small_rate: str, held_out: float
) -> Callable[[Command], Command]:
    """Decorate a command with the options of a training.

    Args:
        epochs: Default.
        batch_size: Default.
        small_rate: Which learning rate suits which small models, for the help.
        held_out: Default.
    """
    share = click.FloatRange(0, 1, min_open=True, max_open=True)
    above_0 = click.FloatRange(0, min_open=True)
    options = [
        click.option("--epochs", default=epochs, show_default=True, type=above_0, help="Passes over the responses."),
        click.option(
            "--batch-size", default=batch_size, show_default=True, type=click.IntRange(1), help="Responses a step."
        ),
        click.option(
            "--parts",
            "num_parts",
            default=4,
            show_default=True,
            type=click.IntRange(1),
            help="Parts of a batch; more parts need less memory.",
        ),
        click.option("--learning-rate", default=1e-4, show_default=True, type=above_0, help=f"Peak; {small_rate}."),
        click.option(
            "--held-out", default=held_out, show_default=True, type=share, help="Share of problems to measure on."
        ),
    ]

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def refuse_uneven(batch_size: int, num_parts: int) -> None:
    """Refuse a batch that cannot be computed in equal parts.

    Raises:
        click.BadParameter: It cannot.
    """
    if batch_size % num_parts:
        raise click.BadParameter(f"{num_parts} does not divide the batch size {batch_size}", param_hint="--parts")
