"""`winnow revote`: what other votes and smaller budgets would have answered, from searches that are stored."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from models.files import UnreadableFileError, replace_file
from models.spelling import did_you_mean
from search.answers.pool import AnswerPool
from search.errors import HyperparameterError, NotStoredError
from search.evaluation.grid import GREEDY, SAMPLED, Point, Value, Varied, configurations, reads
from search.evaluation.outcomes import Outcome
from search.evaluation.report import Report
from search.evaluation.results import Results
from search.evaluation.revote import GRADERS, Reelection, can_replay, can_revote, elect_anew, outcome_of
from search.stored import StoredSearch
from search.strategies import Parts, one_sample, request_fields, strategies
from server.cli.evaluate import WIDTH, Comparison, Counts, show_report
from server.cli.failures import end, refuse_inputs
from server.cli.options import Choice
from server.cli.problems import read_problems
from server.cli.searches import name_faults, read_searches, usable, with_golds
from server.cli.varied import VariedField

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
OUT = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option(
    "--strategies",
    "chosen",
    help="Strategies, separated by commas.  [default: those of the searches; of independent responses all votes]",
)
@click.option("--n", "budgets", type=Counts(), help="N, budgets: 1,4,16.  [default: those of the searches]")
@click.option(
    "--vary",
    multiple=True,
    type=VariedField(),
    help="Compare values of a field, for every strategy that reads it: aggregation=last,min,prod or selection=best. "
    "If repeated: all combinations.",
)
@click.option("--problems", type=FILE, help="File with the right answers, for searches that do not hold them.")
@click.option(
    "--grader",
    default="equivalent",
    show_default=True,
    type=Choice([*GRADERS]),
    help="An answer is right if it is equivalent to the right one, or written like it.",
)
@click.option("--compare", multiple=True, type=Comparison(), help="Also compare two points: STRATEGY@N:STRATEGY@N.")
@click.option("--answers", type=OUT, help="File for the answers, as JSON lines.")
@click.option("--out", type=OUT, help="File for the outcomes, as winnow eval --out writes them.")
@click.option("--plots", type=click.Path(path_type=Path, file_okay=False), help="Folder for plots.")
def revote(
    files: Sequence[Path],
    chosen: str | None,
    budgets: tuple[int, ...] | None,
    vary: Sequence[tuple[str, tuple[Value, ...]]],
    problems: Path | None,
    grader: str,
    compare: Sequence[tuple[Point, Point]],
    answers: Path | None,
    out: Path | None,
    plots: Path | None,
) -> None:
    """Elect anew from the searches in FILES, without a model: what other searches would have answered.

    FILES are results of `winnow solve --file --include tree`, or searches of `winnow eval --searches`. A strategy runs
    on what is stored: other selections and smaller budgets of independent responses and of DVTS are all there, and so
    are other aggregations of independent responses. Where a search would have asked for more, it is counted and left
    out. Where the right answers are known, the report of `winnow eval` is shown.
    """
    for path, option in ((answers, "--answers"), (out, "--out"), (plots, "--plots")):
        refuse_inputs(path, problems, *files, option=option)
    refuse_inputs(out, answers)
    if out and out.exists():
        raise click.BadParameter(f"{out} exists: choose another", param_hint="--out")
    varied = _varied(vary)
    names = _names(chosen)
    tasks = {task.problem: task for task in read_problems(problems).tasks} if problems else {}
    read = [usable(file, read_searches(file)) for file in files]
    faults = [fault for _, each in read for fault in each]
    name_faults(faults)
    searches = [with_golds(stored, tasks) for found, _ in read for stored in found]
    if len({(stored.made.get("policy"), stored.made.get("verifier")) for stored in searches}) > 1:
        raise click.UsageError("these are searches of several models; elect those of each pair on their own")
    anew = Revoting(searches, names, budgets, varied, grader)
    asyncio.run(anew.run())
    if not anew.answers:
        raise UnreadableFileError(f"nothing of this is stored: {_reasons(anew.missing)}")
    if answers:
        replace_file(answers, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in anew.answers))
    if out:
        made = {"policy": searches[0].made.get("policy"), "verifier": searches[0].made.get("verifier")}
        Results(out, made | {"grader": grader}, {"files": [str(file) for file in files]}).add(anew.outcomes)
    _show(anew, files, compare, plots)
    end(len(faults))


Key = tuple[str, int | None, Point]
"""A problem, a seed, and what is asked."""


@dataclass(slots=True)
class Revoting:
    """Elects anew, search by search.

    Attributes:
        searches: That are stored.
        names: Strategies; None takes what each search allows.
        budgets: N; None takes those of the searches.
        varied: Values by field.
        grader: Of `GRADERS`.
        answers: A line for each answer.
        outcomes: Of those whose right answer is known, each cell of a problem once.
    """

    searches: Sequence[StoredSearch]
    names: Sequence[str] | None
    budgets: tuple[int, ...] | None
    varied: Mapping[str, tuple[Value, ...]]
    grader: str
    answers: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    _found: set[Key] = field(default_factory=set)
    _missing: dict[Key, str] = field(default_factory=dict)

    async def run(self) -> None:
        """Run every point on every search; of several that hold a point for a problem and a seed the first counts."""
        differing = _differing(self.searches)
        async with AnswerPool() as pool:
            with Progress(console=Console(stderr=True)) as progress:
                for stored in progress.track(self.searches, description="electing"):
                    for point in self._points(stored):
                        await self._elect(pool, stored, point, differing[stored.name])

    def _points(self, stored: StoredSearch) -> list[Point]:
        if is_greedy(stored):
            return [Point(GREEDY, 1)] if self.names is None else []
        chosen = configurations(self.names or usual(stored), self.varied)
        return [each.at(n) for each in chosen for n in self.budgets or (stored.n,)]

    async def _elect(self, pool: AnswerPool, stored: StoredSearch, point: Point, differing: Sequence[str]) -> None:
        own = {name: _value(stored, name) for name in differing if reads(point.strategy, name)}
        shown = point._replace(varied=(*point.varied, *_values(own, dict(point.varied))))
        key = (stored.problem, stored.seed, shown)
        if key in self._found:
            return
        run = Point(one_sample().name, 1) if point.strategy == GREEDY else point
        try:
            found = replace(await elect_anew(stored, run, pool), point=shown)
        except (NotStoredError, HyperparameterError) as error:
            self._missing.setdefault(key, str(error))
            return
        self._found.add(key)
        outcome = await outcome_of(pool, stored, found, GRADERS[self.grader]) if stored.golds else None
        self.outcomes += [outcome] if outcome else []
        self.answers.append(_line(stored, found, outcome))

    @property
    def missing(self) -> Counter[tuple[str, str]]:
        """How many problems and seeds no search holds, by point and reason."""
        left = ((str(key[2]), reason) for key, reason in self._missing.items() if key not in self._found)
        return Counter(left)


def _value(stored: StoredSearch, name: str) -> Any:
    """What a search had for a field of its request."""
    return stored.system_prompt if name == "system_prompt" else stored.strategy.get(name)


def _values(own: Mapping[str, Any], varied: Mapping[str, Value]) -> Varied:
    shown = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in own.items()}
    return tuple((name, value) for name, value in shown.items() if name not in varied)


def usual(stored: StoredSearch) -> list[str]:
    """Return the strategies that a search holds by itself: its own, or all votes of independent responses."""
    rows = [row for row in can_replay() if row.parts is Parts.RESPONSES]
    own = strategies()[stored.name]
    if own in rows or own not in can_replay():
        is_judged = any(step.score is not None for node in stored.nodes.values() for step in node.steps)
        return [row.name for row in rows if is_judged or not row.judges]
    return [own.name]


def _line(stored: StoredSearch, found: Reelection, outcome: Outcome | None) -> dict[str, Any]:
    chosen, point = found.result.chosen, found.point
    return {
        "problem": stored.problem,
        "strategy": point.strategy,
        "n": point.n,
        "seed": stored.seed,
        "varied": dict(point.varied),
        "answer": found.answer,
        "is_correct": outcome.is_correct if outcome else None,
        "score": chosen.score if chosen else None,
        "response": chosen.response if chosen else None,
        "votes": [{"answer": v.answer, "count": v.count, "weight": v.weight} for v in found.result.votes],
    }


def _names(chosen: str | None) -> list[str] | None:
    if chosen is None:
        return None
    allowed = [row.name for row in can_replay()]
    names = chosen.split(",")
    if unknown := [name for name in names if name not in allowed]:
        meant = did_you_mean(unknown[0], allowed, f"use some of {', '.join(allowed)}")
        raise click.BadParameter(f"{unknown[0]!r} cannot be elected anew; {meant}", param_hint="--strategies")
    return names


def _varied(vary: Sequence[tuple[str, tuple[Value, ...]]]) -> dict[str, tuple[Value, ...]]:
    varied = dict(vary)
    if len(varied) < len(vary):
        raise click.BadParameter("a field is given twice; write its values in one list", param_hint="--vary")
    if fixed := [name for name in varied if name not in can_revote()]:
        raise click.BadParameter(
            f"{fixed[0]} cannot be varied on a stored search; use {', '.join(can_revote())}", param_hint="--vary"
        )
    return varied


def _differing(searches: Sequence[StoredSearch]) -> dict[str, tuple[str, ...]]:
    """Return, for each strategy that ran, the fields in which its searches differ."""
    names = (*SAMPLED, *(field.name for field in request_fields()))
    found = {}
    for strategy in {stored.name for stored in searches}:
        own = [stored for stored in searches if stored.name == strategy and not is_greedy(stored)]
        values = {name: {json.dumps(_value(stored, name)) for stored in own} for name in names}
        found[strategy] = tuple(name for name in names if len(values[name]) > 1)
    return found


def is_greedy(stored: StoredSearch) -> bool:
    """Tell whether a search was one sample at temperature 0."""
    return stored.n == 1 and stored.strategy.get("temperature") == 0


def _show(anew: Revoting, files: Sequence[Path], compare: Sequence[tuple[Point, Point]], plots: Path | None) -> None:
    console = Console(width=WIDTH)
    if anew.outcomes:
        num_problems = len({outcome.problem for outcome in anew.outcomes})
        show_report(
            Report(anew.outcomes), f"{num_problems} problems, from {len(anew.searches)} searches", compare, plots
        )
    else:
        console.print(f"{len(anew.answers):,} answers; none is graded, since no right answers are known", markup=False)
    for (point, reason), number in sorted(anew.missing.items()):
        console.print(f"{point}: not stored for {number:,} problems and seeds: {reason}", markup=False, highlight=False)


def _reasons(missing: Counter[tuple[str, str]]) -> str:
    return "; ".join(f"{point}: {reason}" for point, reason in list(missing)[:3])
