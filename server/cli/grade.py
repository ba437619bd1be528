"""`winnow grade`: predictions against gold answers, by mathematics. Needs no model."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from models.files import replace_file
from search.answers.pool import AnswerPool
from search.evaluation.bootstrap import bootstrap
from server.cli.failures import UnusableError, end, refuse_inputs, report
from server.cli.records import Pair, Record, RecordsError, match, read_records

GOLD_FIELDS = ("answer", "gold")
PRED_FIELDS = ("answer", "response", "pred")
VERDICTS = ("right", "wrong", "no answer", "missing", "unreadable")
"""What may become of a prediction: all but the first count against it."""

MAX_AT_ONCE = 64
MAX_FAULTS = 20
"""Bad lines of a file that are named; the others are counted."""

FILE = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class Grade:
    """How one gold answer was met.

    Attributes:
        line: Of the gold answer in its file.
        id: Of the gold answer; None where it has none.
        gold: The gold answer.
        pred: The prediction; None where there is none.
        verdict: One of `VERDICTS`.
        reason: Why, in plain words.
    """

    line: int
    id: str | None
    gold: str | None
    pred: str | None
    verdict: str
    reason: str


@click.command()
@click.option("--gold", required=True, type=FILE, help="JSON lines with the correct answers.")
@click.option("--pred", required=True, type=FILE, help="JSON lines with the answers, or responses, to grade.")
@click.option("--gold-field", help=f"Field of the gold answer.  [default: the first of {', '.join(GOLD_FIELDS)}]")
@click.option("--pred-field", help=f"Field of the prediction.  [default: the first of {', '.join(PRED_FIELDS)}]")
@click.option("--id-field", default="id", show_default=True, help="Field that identifies a line, if all have it.")
@click.option("--json", "as_json", is_flag=True, help="Print every grade as a JSON line, the table on stderr.")
@click.option("--out", type=click.Path(path_type=Path, allow_dash=True), help="Write every grade there as a JSON line.")
def grade(
    gold: Path,
    pred: Path,
    gold_field: str | None,
    pred_field: str | None,
    id_field: str,
    as_json: bool,
    out: Path | None,
) -> None:
    r"""Grade predictions against gold answers: 0.5, 1/2 and \frac12 are one answer.

    Files are JSON lines, matched by id where every line of both has one, else line by line. Answers may stand in a box
    or behind "####" or "the answer is"; in a field called response nothing else counts. A field may lie within others:
    samples.0.answer. A line that cannot be used is reported: a prediction counts as wrong, a gold answer is left out,
    and the exit code is 1.
    """
    refuse_inputs(out, gold, pred)
    try:
        golds = read_records(gold, (gold_field,) if gold_field else GOLD_FIELDS, id_field)
        preds = read_records(pred, (pred_field,) if pred_field else PRED_FIELDS, id_field)
        pairs = match(golds, preds)
    except RecordsError as error:
        raise UnusableError(str(error)) from error
    bad_golds = [*_faults(golds), *((r.number, "states no answer") for r in golds if _is_blank(r))]
    bad_preds = [*_faults(preds), *_strays(pairs, preds)]
    _report_faults(gold, bad_golds)
    _report_faults(pred, bad_preds)
    pairs = [pair for pair in pairs if pair.gold.answer is not None]
    if not pairs:
        raise UnusableError(f"{gold}: no line states an answer")
    grades = asyncio.run(_grade(pairs))
    lines = [json.dumps(asdict(each)) for each in grades]
    if as_json or str(out) == "-":
        click.echo("\n".join(lines))
    if out and str(out) != "-":
        replace_file(out, "\n".join(lines) + "\n")
    Console(stderr=as_json).print(table_of(grades, f"{pred.name} against {gold.name}"))
    end(len(bad_golds) + len(bad_preds))


async def _grade(pairs: Sequence[Pair]) -> list[Grade]:
    places = asyncio.Semaphore(MAX_AT_ONCE)
    async with AnswerPool() as pool:
        with Progress(console=Console(stderr=True)) as progress:
            bar = progress.add_task("grading", total=len(pairs))

            async def one(pair: Pair) -> Grade:
                async with places:
                    result = await _grade_one(pool, pair)
                progress.advance(bar)
                return result

            return await asyncio.gather(*map(one, pairs))


async def _grade_one(pool: AnswerPool, pair: Pair) -> Grade:
    gold, pred = pair.gold, pair.pred
    if pred is None:
        verdict, reason = "missing", "no prediction has its id"
    elif pred.fault:
        verdict, reason = "unreadable", f"line {pred.number}: {pred.fault}"
    else:
        comparison = await pool.compare(gold.answer, pred.answer)
        verdict, reason = "right" if comparison.is_equivalent else "wrong", comparison.reason
        verdict = "no answer" if pred.answer is None else verdict
    return Grade(gold.number, gold.id, gold.answer, pred.answer if pred else None, verdict, reason)


def table_of(grades: Sequence[Grade], title: str) -> Table:
    """Count the verdicts; the accuracy has a 95 % interval, bootstrapped over the gold answers."""
    counts = Counter(each.verdict for each in grades)
    accuracy = bootstrap([100.0 * (each.verdict == "right") for each in grades])
    table = Table("", "answers", "share, %", title=title)
    for verdict in VERDICTS:
        table.add_row(verdict, f"{counts[verdict]:,}", f"{100 * counts[verdict] / len(grades):.1f}")
    interval = f"{accuracy.mean:.1f} ({accuracy.low:.1f} to {accuracy.high:.1f})"
    table.add_row("accuracy", f"{len(grades):,}", interval)
    return table


def _faults(records: Sequence[Record]) -> list[tuple[int, str]]:
    return [(record.number, record.fault) for record in records if record.fault]


def _is_blank(record: Record) -> bool:
    return record.answer is None and not record.fault


def _strays(pairs: Sequence[Pair], preds: Sequence[Record]) -> list[tuple[int, str]]:
    """Predictions that no gold answer asks for."""
    matched = {pair.pred.number for pair in pairs if pair.pred}
    strays = (record for record in preds if record.number not in matched and not record.fault)
    return [(record.number, f"no gold answer has the id {record.id!r}") for record in strays]


def _report_faults(path: Path, faults: Sequence[tuple[int, str]]) -> None:
    for number, fault in sorted(faults)[:MAX_FAULTS]:
        report(f"{path}, line {number}: {fault}")
    if len(faults) > MAX_FAULTS:
        report(f"{path}: and {len(faults) - MAX_FAULTS:,} more bad lines")
