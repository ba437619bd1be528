"""`winnow export`: what searches found, or what was labelled, as data to train on."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from models.files import UnwritableFileError, replace_file
from models.labels.formats import read_labels
from models.labels.response import OURS, LabelledResponse
from models.rows import read_rows
from search.answers.pool import AnswerPool
from search.evaluation.grading import is_right
from search.evaluation.tasks import Task
from search.export.formats import EXPORTS, ExportFormat
from search.export.options import LeftOut, Options, Row
from search.export.population import Population, of_labels, of_search
from search.stored import StoredSearch
from server.cli.failures import end, refuse_inputs, report
from server.cli.options import Choice
from server.cli.problems import read_problems
from server.cli.searches import is_search, name_faults, read_searches, usable, with_golds

PARQUET = ".parquet"
OPTIONS = {
    "min_score": "--min-score",
    "max_score": "--max-score",
    "margin": "--margin",
    "threshold": "--threshold",
    "correct_only": "--correct-only",
    "as_messages": "--messages",
}
SCORE = click.FloatRange(0, 1)


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--format", "name", required=True, type=Choice([*EXPORTS]), help="Format of the rows.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="File for the rows: JSON lines; Parquet if its name ends with .parquet.",
)
@click.option(
    "--problems",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the right answers, for searches that do not hold them.",
)
@click.option("--min-score", type=SCORE, help="Least score of a response; of a pair, of the chosen one.")
@click.option("--max-score", type=SCORE, help="Largest score of a response; of a pair, of the rejected one.")
@click.option("--margin", type=SCORE, help="Least difference of the scores of a pair.  [default: 0]")
@click.option("--threshold", type=SCORE, help="Least score of a step that counts as right.  [default: 0.5]")
@click.option(
    "--correct-only", is_flag=True, default=None, help="Only right responses; of a pair, a right and a wrong one."
)
@click.option(
    "--messages/--text", "as_messages", default=None, help="Messages of a chat, or texts.  [default: messages]"
)
@click.option("--dedup", is_flag=True, help="Leave out rows that repeat an earlier one.")
@click.option("--limit", type=click.IntRange(1), help="Rows at most.")
def export(
    files: Sequence[Path], name: str, out: Path, problems: Path | None, dedup: bool, limit: int | None, **options: Any
) -> None:
    """Write what FILES hold as rows to train on.

    FILES are results of `winnow solve --file` (with --include, but for prompt-completion), searches of `winnow eval
    --searches`, or labelled responses in any format that `winnow train-prm` reads. Every row says in its column
    `winnow` where it comes from. What is left out is counted by its reason; a line that cannot be used is named, and
    the exit code is 1.
    """
    refuse_inputs(out, problems, *files)
    known = EXPORTS[name]
    given = {option: value for option, value in options.items() if value is not None}
    if unread := next((option for option in given if option not in known.reads), None):
        allowed = ", ".join(shown for option, shown in OPTIONS.items() if option in known.reads)
        raise click.BadParameter(f"not supported by {name}; allowed: {allowed}", param_hint=OPTIONS[unread])
    require_writer(out)
    tasks = {task.problem: task for task in read_problems(problems).tasks} if problems else {}
    populations, faults = _read(files, tasks)
    rows, left_out = collect(known, populations, Options(**given), dedup=dedup, limit=limit)
    write(out, rows)
    _tell(out, len(rows), left_out, faults)
    end(len(faults))


def _read(files: Sequence[Path], tasks: Mapping[str, Task]) -> tuple[list[Population], list[str]]:
    """Return what the files hold, and what is wrong with the lines that cannot be used."""
    found: list[Population] = []
    faults: list[str] = []
    for file in files:
        rows = (row for _, row in read_rows(file, spelt_numbers=False) if not isinstance(row, ValueError))
        if is_search(next(rows, {})):
            searches, bad = usable(file, read_searches(file))
            graded = asyncio.run(_graded([with_golds(stored, tasks) for stored in searches]))
            found += [of_search(stored, correct, file.name) for stored, correct in graded]
        else:
            responses, bad = usable(file, read_labels(file))
            found += _of_labels(responses, file.name)
        faults += bad
    return found, faults


async def _graded(searches: Sequence[StoredSearch]) -> list[tuple[StoredSearch, dict[str, bool]]]:
    """Say of the answers of each search whether they are right, where that is known."""
    if not any(stored.golds for stored in searches):
        return [(stored, {}) for stored in searches]
    async with AnswerPool() as answers:
        return [(stored, await _grade(answers, stored)) for stored in searches]


async def _grade(answers: AnswerPool, stored: StoredSearch) -> dict[str, bool]:
    if not stored.golds:
        return {}
    right, *others = stored.golds
    task = Task(stored.problem, right, None, tuple(others))
    given = {stored.answer, *(node.answer for node in stored.nodes.values())}
    return {text: await is_right(answers, task, text) for text in given if text is not None}


def _of_labels(responses: Sequence[LabelledResponse], source: str) -> list[Population]:
    groups: dict[tuple[str, str | None], list[LabelledResponse]] = {}
    for response in responses:
        groups.setdefault((response.problem, response.system_prompt), []).append(response)
    return [of_labels(group, source) for group in groups.values()]


def collect(
    known: ExportFormat, populations: Sequence[Population], options: Options, *, dedup: bool, limit: int | None
) -> tuple[list[Row], Counter[str]]:
    """Return the rows, and how much was left out for which reason."""
    rows: list[Row] = []
    left_out: Counter[str] = Counter()
    seen: set[str] = set()
    for population in populations:
        for row in known.made_of(population, options):
            if isinstance(row, LeftOut):
                left_out[row.reason] += 1
                continue
            content = json.dumps({field: value for field, value in row.items() if field != OURS}, sort_keys=True)
            if dedup and content in seen:
                left_out["it repeats an earlier row"] += 1
            elif limit is not None and len(rows) == limit:
                left_out["--limit was reached"] += 1
            else:
                seen.add(content)
                rows.append(row)
    return rows, left_out


def require_writer(out: Path) -> None:
    """See that a file of this name can be written.

    Raises:
        click.BadParameter: It is to be Parquet, and pyarrow is not installed.
    """
    if out.suffix.lower() != PARQUET:
        return
    try:
        import pyarrow  # type: ignore[import-untyped,unused-ignore]  # noqa: F401
    except ImportError as error:
        raise click.BadParameter(
            f"{out} is to be a Parquet file; install pyarrow (winnow[parquet]), or choose a name that ends with .jsonl",
            param_hint="--out",
        ) from error


def write(out: Path, rows: Sequence[Row]) -> None:
    """Write rows: a reader finds the old file or the new one.

    Raises:
        UnwritableFileError: They cannot be written.
    """
    if out.suffix.lower() != PARQUET:
        replace_file(out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        return
    import pyarrow
    from pyarrow import parquet

    new = out.with_name(f"{out.name}.new")
    try:
        parquet.write_table(pyarrow.Table.from_pylist(list(rows)), new)
        new.replace(out)
    except OSError as error:
        raise UnwritableFileError(f"{out} cannot be written: {error.strerror or error}") from error
    finally:
        new.unlink(missing_ok=True)


def _tell(out: Path, num_rows: int, left_out: Counter[str], faults: Sequence[str]) -> None:
    name_faults(faults)
    click.echo(f"{num_rows:,} rows: {out}", err=True)
    for reason, number in left_out.most_common():
        report(f"left out: {number:,}: {reason}")
