"""The page's statistics and report are those of `winnow eval`, number by number and as they are written."""

import json
import random
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import pytest

from models.files import UnreadableFileError
from search.evaluation import tables
from search.evaluation.bootstrap import bootstrap, bootstrap_ratio
from search.evaluation.calibration_error import expected_calibration_error
from search.evaluation.compute_optimal import choices
from search.evaluation.outcomes import Outcome, read_evaluation
from search.evaluation.pass_at_k import pass_at_k
from search.evaluation.report import Report
from search.strategies import by_table, flat, trees
from tests.server.page.scripts import call

STRATEGIES = [
    {"name": row.name, "kind": kind}
    for kind, rows in (("flat", flat()), ("tree", trees()), ("table", by_table()))
    for row in rows
]


def test_draws_are_those_of_pythons_random_numbers() -> None:
    draw = random.Random(0)
    found = call(
        "statistics",
        "({ pythonRandom }) => { const draw = pythonRandom(0); return Array.from({ length: 1500 }, draw); }",
    )
    assert found == [draw.random() for _ in range(1500)]


@pytest.mark.parametrize("length", [1, 2, 7, 300])
def test_intervals_are_the_same(length: int) -> None:
    draw = random.Random(length)
    values = [100.0 * draw.randrange(4) / 3 for _ in range(length)]
    others = [draw.randrange(1, 900) for _ in values]
    found = call("statistics", "({ bootstrap }, values) => bootstrap(values)", values)
    assert list(found.values()) == pytest.approx(bootstrap(values), abs=1e-9)
    pairs = [*zip(values, others, strict=True)]
    found = call("statistics", "({ bootstrapRatio }, pairs) => bootstrapRatio(pairs)", pairs)
    assert list(found.values()) == pytest.approx(bootstrap_ratio(values, others), abs=1e-9)


def test_pass_at_k_and_calibration_errors_are_the_same() -> None:
    cases = [(n, c, k) for n in (1, 4, 64) for c in {0, 1, n // 2, n} for k in {1, n}]
    found = call("statistics", "({ passAtK }, cases) => cases.map((each) => passAtK(...each))", cases)
    assert found == pytest.approx([pass_at_k(*each) for each in cases], abs=1e-12)
    draw = random.Random(3)
    told = [(draw.random(), draw.random() < 0.5) for _ in range(200)] + [(1.0, True), (0.0, False)]
    found = call("statistics", "({ calibrationError }, told) => calibrationError(told)", told)
    assert found == pytest.approx(expected_calibration_error(told), abs=1e-12)


def test_numbers_are_written_as_python_writes_them() -> None:
    values = [eighth / 8 for eighth in range(-40, 900)] + [random.Random(4).uniform(-100, 100) for _ in range(500)]
    for decimals in (0, 1, 2, 3):
        found = call(
            "statistics",
            "({ fixed }, values, decimals) => values.map((each) => fixed(each, decimals))",
            values,
            decimals,
        )
        assert [float(text) for text in found] == [float(f"{value:.{decimals}f}") for value in values]


def outcomes() -> list[dict[str, Any]]:
    """A run of 40 problems with three seeds: some cells subsampled, some told their confidence, one field varied."""
    draw, told = random.Random(5), []
    for place in range(40):
        for strategy, n, varied in CELLS:
            for seed in range(1 if strategy in ("greedy", "auto") else 3):
                is_timed = place < 25 or strategy in ("greedy", "auto")
                is_flat = strategy in ("majority", "weighted_best_of_n")
                told.append(
                    Outcome(
                        problem=f"What is {place} + {place}? é \U0001d499",
                        level=place % 3 + 1 if place % 7 else None,
                        strategy=strategy,
                        n=n,
                        seed=seed,
                        answer=str(2 * place),
                        is_correct=draw.random() < 0.4 + n / 50,
                        completion_tokens=draw.randrange(50, 90) * n,
                        verifier_tokens=draw.randrange(50, 90) * n if is_timed else None,
                        verifier_cached_tokens=draw.randrange(900) if is_timed else None,
                        seconds=draw.random() if is_timed else None,
                        early_stop=None if place % 2 else not is_flat,
                        num_right=draw.randrange(n + 1) if is_flat else None,
                        confidence=draw.random() if strategy == "auto" or n > 4 else None,
                        varied=varied,
                    ).as_record()
                )
    return draw.sample(told, len(told))


CELLS: list[tuple[str, int, tuple[tuple[str, Any], ...]]] = [
    ("greedy", 1, ()),
    *((name, n, ()) for name in ("majority", "weighted_best_of_n", "dvts", "auto") for n in (4, 16)),
    ("beam_search", 16, (("aggregation", "last"),)),
    ("beam_search", 16, (("aggregation", "min"), ("system_prompt", "a long prompt " * 9))),
]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("outcomes") / "run.jsonl"
    head = {"made": {"policy": "/models/demo/policy", "verifier": "a/b/c"}, "told": {"models": ["x/demo/policy", None]}}
    lines = outcomes()
    replaced = {**lines[0], "is_correct": not lines[0]["is_correct"]}
    written = [head, replaced, *lines[:100], {"told": {}}, *lines[100:]]
    path.write_text("".join(json.dumps(line) + "\n" for line in written) + '{"problem": "torn')
    return path


@pytest.fixture(scope="module")
def report(file: Path) -> Report:
    return Report(read_evaluation(file).outcomes)


@pytest.fixture(scope="module")
def found(file: Path) -> Any:
    """What the page makes of the file: by point and level, as lists of name, budget and numbers."""
    return call("report outcomes", MEASURE, file.read_text(), STRATEGIES)


MEASURE = """({ Report, readOutcomes, pointName }, text, strategies) => {
  const { name, outcomes } = readOutcomes(text, "run.jsonl");
  const report = new Report(outcomes, strategies);
  const { points, levels, budgets } = report;
  const pairs = points.flatMap((left, place) => points.slice(place).map((right) => [left, right]));
  return {
    name,
    levels,
    budgets,
    points: points.map((point) => point.name),
    configurations: report.configurations.map((each) => each.name),
    seeds: points.map((point) => report.numSeeds(point)),
    accuracy: points.map((point) => [null, ...levels].map((level) => report.accuracy(point, level))),
    cost: points.map((point) => report.cost(point)),
    perCorrect: points.map((point) => report.tokensPerCorrect(point)),
    errors: points.map((point) => report.calibrationError(point)),
    difference: pairs.map(([left, right]) => report.difference(left, right)),
    share: pairs.map(([left, right]) => report.generatedShare(left, right)),
    pass: budgets.map((k) => [null, ...levels].map((level) => report.passAt(k, level))),
    best: budgets.map((n) => levels.map((level) => report.bestAt(n, level)?.strategy ?? null)),
  };
}"""


def flattened(interval: Any) -> Any:
    return None if interval is None else pytest.approx((interval.mean, interval.low, interval.high), abs=1e-9)


def numbers(interval: Any) -> Any:
    return None if interval is None else (interval["mean"], interval["low"], interval["high"])


def test_points_and_their_order_are_the_same(found: Any, report: Report, file: Path) -> None:
    assert found["points"] == [short(str(point)) for point in report.points]
    assert found["configurations"] == [short(str(each)) for each in report.configurations]
    assert (found["levels"], found["budgets"]) == (report.levels, report.budgets)
    assert found["name"] == read_evaluation(file).name == "demo/policy"


def short(name: str) -> str:
    """The page does not write the hash of a long value."""
    return name.split(" #")[0]


def test_accuracies_costs_and_errors_are_the_same(found: Any, report: Report) -> None:
    levels = [None, *report.levels]
    for place, point in enumerate(report.points):
        assert [numbers(each) for each in found["accuracy"][place]] == [
            flattened(report.accuracy(point, level)) for level in levels
        ]
        cost = report.cost(point)
        assert cost is not None
        wanted = (
            cost.num_problems,
            cost.generated,
            cost.judged,
            cost.cached,
            cost.seconds,
            cost.seconds_tail,
            cost.tokens,
        )
        assert tuple(found["cost"][place].values()) == pytest.approx(wanted, abs=1e-9)
        assert found["perCorrect"][place] == pytest.approx(report.tokens_per_correct(point))
        assert found["errors"][place] == pytest.approx(report.calibration_error(point))
        assert found["seeds"][place] == report.num_seeds(point)
    assert any(error is not None for error in found["errors"])


def test_differences_and_pass_at_k_are_the_same(found: Any, report: Report) -> None:
    pairs = [*combinations_with_replacement(report.points, 2)]
    assert [numbers(each) for each in found["difference"]] == [flattened(report.difference(*pair)) for pair in pairs]
    assert [numbers(each) for each in found["share"]] == [flattened(report.generated_share(*pair)) for pair in pairs]
    levels = [None, *report.levels]
    for place, k in enumerate(report.budgets):
        assert [numbers(each) for each in found["pass"][place]] == [
            flattened(report.pass_at(k, level)) for level in levels
        ]
        best = choices(report, k)
        assert found["best"][place] == [best.get(level) for level in report.levels]


def test_a_table_is_written_as_winnow_eval_writes_it(file: Path, report: Report) -> None:
    function = """({ Report, readOutcomes, written }, text, strategies) => {
      const report = new Report(readOutcomes(text, "run.jsonl").outcomes, strategies);
      const cell = (point, level) => (point ? written(report.accuracy(point, level)) : "");
      return report.configurations.map((each) => report.budgets.map((n) => cell(report.at(each, n), null)));
    }"""
    rows = call("report outcomes statistics", function, file.read_text(), STRATEGIES)
    table = tables.accuracy_table(report, "")
    printed = [[*column.cells][: len(rows)] for column in table.columns[1:]]
    assert [*map(list, zip(*rows, strict=True))] == printed


FAULTS = [
    ("", "line 1: does not say"),
    ('{"told": {}}\n', "line 1: does not say"),
    ("{}\n", "line 1: does not say"),
    ('HEAD\n{"problem": "?"}\n', "line 2: no answer, completion_tokens, is_correct, level, n, seed, strategy"),
    ('HEAD\n{"n": 0, LINE}\n', "line 2: n cannot be 0"),
    ('HEAD\n{"n": true, LINE}\n', "line 2: n cannot be"),
    ('HEAD\n{"n": 1, LINE}\n\n[1]\n', "line 4: not an object"),
    ('HEAD\nno JSON\n{"n": 1, LINE}\n', "line 2: not JSON"),
]
LINE = (
    '"problem": "?", "level": null, "strategy": "dvts", "seed": 0, "answer": "1", "is_correct": true, '
    '"completion_tokens": 1'
)


@pytest.mark.parametrize(("text", "fault"), FAULTS)
def test_a_line_that_cannot_be_used_is_named_on_both_sides(text: str, fault: str, tmp_path: Path) -> None:
    text = text.replace("HEAD", '{"made": {}}').replace("LINE", LINE)
    told = call(
        "outcomes",
        "({ readOutcomes }, text) => { try { readOutcomes(text, 'f') } catch (error) { return error.message } }",
        text,
    )
    assert fault in told
    (tmp_path / "f").write_text(text)
    with pytest.raises(UnreadableFileError, match="line"):
        read_evaluation(tmp_path / "f")


@pytest.mark.parametrize(
    "field",
    ['"n": 1e308', '"n": 1, "num_right": 1e308', '"n": 1, "seconds": 1e308', '"n": 1, "verifier_tokens": -1e308'],
)
def test_numbers_that_nothing_can_be_made_of_are_refused(field: str) -> None:
    text = f'{{"made": {{}}}}\n{{{field}, {LINE}}}\n'
    function = "({ readOutcomes }, text) => { try { readOutcomes(text, 'f') } catch (error) { return error.message } }"
    assert "line 2" in (call("outcomes", function, text) or "")
