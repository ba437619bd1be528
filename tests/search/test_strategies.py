"""The rows of strategies: what each builds, and what becomes of rows from packages elsewhere."""

import re
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from search.best_of_n import BestOfN
from search.compute_optimal import ComputeOptimal
from search.errors import HyperparameterError, StrategyError
from search.strategies import (
    ROWS,
    Parts,
    Row,
    by_table,
    calibrated,
    conversions,
    flat,
    label,
    one_sample,
    request_fields,
    strategies,
    trees,
    unable,
)
from search.voting import Selection
from tests.worlds import World

BUILT = [row for row in ROWS if row.fallback is None]
each_built_row = pytest.mark.parametrize("row", BUILT, ids=lambda row: row.name)

PLUGIN = """
from dataclasses import dataclass
from search.candidate import Candidate
from search.errors import HyperparameterError, StrategyError
from search.strategies import Field, Row
from search.voting import Selection

@dataclass(frozen=True, slots=True)
class First:
    n: int
    patience: int = 2
    early_stop: bool = True
    selection: Selection = Selection.MAJORITY

    @property
    def needs_verifier(self):
        return False

    async def search(self, expander, ballot):
        for candidate in await expander.roll_out(Candidate().children(range(self.patience))):
            ballot.cast(candidate)

ROW = Row("first", First, "#123456", (Field("patience", int, 2, "Responses.", 1, 8),))
TAKEN = Row("dvts", First, "#123456")
CLASHING = Row("other", First, "#123456", (Field("lookahead", int, 3, "Responses.", 1, 8),))
"""


def installed(folder: Path, target: str) -> Mapping[str, Row]:
    """Return the rows where a package is installed whose entry point is `target`."""
    (folder / "winnow_first.py").write_text(PLUGIN)
    info = folder / "winnow_first-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: winnow-first\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(f"[winnow.strategies]\nfirst = {target}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.delitem(sys.modules, "winnow_first", raising=False)
        return strategies.__wrapped__()


@each_built_row
def test_a_row_builds_a_strategy_that_is_called_like_it(row: Row) -> None:
    strategy = row.build(4)
    assert (strategy.n, label(strategy)) == (4, f"{row.name}-4")
    assert row.selection is strategy.selection
    assert row.judges is strategy.needs_verifier


@each_built_row
def test_what_a_row_reads_reaches_its_strategy(row: Row) -> None:
    values = {each.name: each.high or each.default or row.selections[-1] for each in row.fields}
    strategy = row.build(1024, early_stop=False, **conversions(values))
    own = {each.name for each in fields(row.make)}  # type: ignore[arg-type]
    assert all(getattr(strategy, name) == conversions(values)[name] for name in values if name in own)
    assert {each.name for each in row.fields} - own <= {"aggregation"}


@each_built_row
def test_the_defaults_of_a_row_are_those_of_its_class(row: Row) -> None:
    defaults: dict[str, Any] = {each.name: each.default for each in row.fields if each.name in row.hyperparameters}
    assert row.build(4, **defaults) == row.build(4)


@each_built_row
def test_a_row_refuses_how_its_answer_cannot_be_chosen(row: Row) -> None:
    for selection in set(Selection) - set(row.selections) if row.reads("selection") else ():
        with pytest.raises(HyperparameterError, match=f"selection: not supported by strategy {row.name}; allowed: "):
            row.build(4, selection=selection)


def test_a_tournament_of_independent_responses_is_best_of_n() -> None:
    strategy = strategies()["best_of_n"].build(4, selection=Selection.TOURNAMENT)
    assert strategy == BestOfN(4, Selection.TOURNAMENT)
    assert label(strategy) == "best_of_n-4"


def test_values_of_other_strategies_are_left_out() -> None:
    assert strategies()["best_of_n"].build(4, beam_width=2, lookahead=1) == BestOfN(4, Selection.BEST)


def test_what_a_table_builds_falls_back_on_a_strategy_that_needs_none() -> None:
    (row,) = by_table()
    assert row.make is ComputeOptimal
    assert row.judges
    assert strategies()[row.fallback or ""].fallback is None


def test_names_and_colours_are_told_apart_and_fields_are_listed_once() -> None:
    assert len({row.name for row in ROWS}) == len({row.colour for row in ROWS}) == len(ROWS)
    names = [each.name for each in request_fields()]
    assert len(set(names)) == len(names)


def test_groups_of_strategies_are_what_evaluation_and_calibration_measure() -> None:
    groups = [[row.name for row in group] for group in (flat(), trees(), calibrated())]
    assert groups == [
        ["majority", "best_of_n", "weighted_best_of_n"],
        ["beam_search", "dvts", "rebase", "deepconf", "ttt_best_of_n"],
        ["weighted_best_of_n", "beam_search", "dvts", "rebase"],
    ]
    assert one_sample().name == "majority"


def test_a_row_knows_its_fields() -> None:
    tree, rebase = strategies()["dvts"], strategies()["rebase"]
    assert (tree.has_beams, rebase.has_beams) == (True, False)
    assert (tree.reads("lookahead"), rebase.reads("lookahead")) == (True, False)


def test_rolling_out_is_paid_for() -> None:
    tree, flat = strategies()["dvts"], strategies()["majority"]
    assert (tree.cost(8, {"lookahead": 3}), flat.cost(8, {"lookahead": 3})) == (32, 8)


def test_a_verifier_that_cannot_learn_is_told_from_one_that_can() -> None:
    reason = strategies()["ttt_best_of_n"].unmet(World.__new__(World))
    assert reason is not None
    assert "cannot learn" in reason
    assert all(row.unmet(None) is None for row in ROWS if row.name != "ttt_best_of_n")


def test_without_a_verifier_the_majority_runs_in_place_of_what_needs_a_table_and_what_judges_cannot() -> None:
    (auto,) = by_table()
    assert unable(None) == {row.name for row in ROWS if row.judges} - {auto.name}
    assert "needs a verifier" in (strategies()["dvts"].lacks(None) or "")
    assert [auto.stand_in(has_verifier=known).name for known in (True, False)] == [auto.fallback, "majority"]


def test_a_strategy_may_live_in_a_package_elsewhere(tmp_path: Path) -> None:
    rows = installed(tmp_path, "winnow_first:ROW")
    assert list(rows) == [*(row.name for row in ROWS), "first"]
    assert rows["first"].build(4, patience=3).n == 4


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("winnow_second:ROW", "cannot be imported: ModuleNotFoundError: No module named 'winnow_second'"),
        ("winnow_first:First", "is a type; make it a search.strategies.Row"),
        ("winnow_first:TAKEN", "there is a strategy called dvts already; rename it"),
        ("winnow_first:CLASHING", "field lookahead differs from that of another strategy; rename it"),
    ],
)
def test_a_package_whose_strategy_cannot_be_used_is_named(tmp_path: Path, target: str, message: str) -> None:
    with pytest.raises(StrategyError, match=re.escape(f"strategy first ({target} of winnow-first 0.1)")) as raised:
        installed(tmp_path, target)
    assert message in str(raised.value)


def test_parts_say_what_smaller_searches_a_larger_one_holds() -> None:
    held = {row.name: row.parts for row in ROWS}
    assert (held["majority"], held["dvts"], held["beam_search"]) == (Parts.RESPONSES, Parts.SUBTREES, Parts.NONE)


def test_tree_searches_alone_grow_responses_step_by_step() -> None:
    assert {row.name for row in ROWS if row.grows_by_steps} == {"beam_search", "dvts", "rebase"}
