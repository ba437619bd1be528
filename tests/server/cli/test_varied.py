"""Values of `--vary` are those that a strategy runs with."""

import click
import pytest

from server.cli.varied import collect


def test_how_an_answer_is_chosen_can_be_varied() -> None:
    fields = [("selection", ("best", "tournament"))]
    assert collect(fields, ["best_of_n", "dvts"], (4, 16), 4) == dict(fields)


def test_a_choice_that_a_strategy_does_not_have_is_refused() -> None:
    with pytest.raises(click.BadParameter, match=r"best_of_n@4.*allowed: best, tournament"):
        collect([("selection", ("best", "majority"))], ["best_of_n"], (4,), 4)
