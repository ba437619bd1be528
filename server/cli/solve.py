"""`winnow solve`: one problem, its answer and the evidence for it, as a table or as JSON; or a file of problems."""

import asyncio
import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from server.cli.batch import CONCURRENCY, SOLVE, Results, ask_file, read_requests
from server.cli.client import ServiceUrl, open_client, post_solve
from server.cli.failures import refuse_inputs
from server.cli.options import given, options_of
from server.cli.provenance import made_by
from server.cli.searches import KEPT
from server.schemas import SolveRequest
from server.settings import Settings, load_settings

FILE = click.Path(path_type=Path, dir_okay=False)


LEFT_OUT = frozenset(
    {"problem", "stream", "background", "include", "tools", "tool_choice", "parallel_tool_calls", "vote_on"}
)
"""Fields that are no options; lines of --file may set the last four."""


@click.command()
@click.argument("problem", required=False)
@click.option("--file", type=FILE, help="JSON lines with a problem each, and other fields of the request.")
@click.option("--out", type=FILE, help="File for the results of --file; results that it has are not computed again.")
@click.option("--concurrency", type=click.IntRange(1, 256), help="Problems of --file in parallel.  [default: 8]")
@click.option(
    "--include",
    type=click.Choice([*KEPT]),
    help="With --file: keep all candidates, or the whole tree, for winnow export and winnow revote.",
)
@click.option("--url", type=ServiceUrl(), help="URL of a running service; by default the models are started here.")
@click.option("--recipe", type=click.Path(path_type=Path), help="YAML file of settings (deploy/recipes/).")
@click.option("--json", "as_json", is_flag=True, help="Print the reply as JSON.")
@options_of(SolveRequest, leave_out=LEFT_OUT)
def solve(
    problem: str | None,
    file: Path | None,
    out: Path | None,
    concurrency: int | None,
    include: str | None,
    url: str | None,
    recipe: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Search for the answer of PROBLEM and show the candidates, the votes and the bill.

    Or solve a whole file: --file problems.jsonl --out results.jsonl. Options apply to lines that do not set them. A
    line that fails is reported and skipped, and the exit code is 1. An interrupted run resumes.
    """
    if (problem is None) == (file is None):
        raise click.UsageError("give either PROBLEM or --file")
    if (file is None) != (out is None) or (file is None and (concurrency or include)) or (file and as_json):
        raise click.UsageError("--file needs --out; --concurrency and --include go with them, --json does not")
    refuse_inputs(out, file, recipe)
    settings = load_settings(recipe)
    if file is not None and out is not None:
        asked = given(options) | ({"include": KEPT[include]} if include else {})
        results = Results(out, made_by(settings, url))
        lines = read_requests(file, asked)
        asyncio.run(ask_file(url, settings, lines, results, concurrency or CONCURRENCY, SOLVE))
        return
    reply = asyncio.run(_solve(url, settings, {"problem": problem, **given(options)}))
    if as_json:
        click.echo(json.dumps(reply, ensure_ascii=False, indent=2))
    else:
        show(reply, Console())


async def _solve(url: str | None, settings: Settings, request: dict[str, Any]) -> dict[str, Any]:
    with Console(stderr=True).status("searching" if url else "starting the models and searching"):
        async with open_client(url, settings) as client:
            return await post_solve(client, request)


def show(reply: dict[str, Any], console: Console) -> None:
    """Print a reply for people."""
    console.print(_candidates(reply))
    console.print(_votes(reply))
    console.print(_bill(reply))
    if stopping := reply["diagnostics"].get("stopping"):
        changed = f"another answer with probability {stopping['change_probability_bound']:.3f} at most"
        console.print(f"stopped: {stopping['num_candidates']} of {stopping['of']} candidates drawn, {changed}")
    for warning in reply["diagnostics"]["warnings"]:
        console.print(f"warning: {warning}", style="yellow")
    if reply["status"] != "complete":
        console.print(f"status: {reply['status']} {reply['status_reason'] or ''}", style="yellow")
    if trial := reply.get("trial"):
        console.print(Text(f"tests: {trial['outcome']} {trial['detail'] or ''}"))
    console.print(f"[bold]answer[/bold] {escape(str(reply['answer']))}", highlight=False)


def _candidates(reply: dict[str, Any]) -> Table:
    table = Table("id", "answer", "score", "step scores", "tokens", "", title="candidates")
    chosen = next((c["id"] for c in reply["candidates"] if c["response"] == reply["response"]), None)
    for candidate in sorted(reply["candidates"], key=lambda candidate: -(candidate["score"] or 0)):
        state = "chosen" if candidate["id"] == chosen else candidate["finish"].replace("complete", "")
        state = "refuted" if candidate["verified"] is False else state
        steps = " ".join(_score(step["score"]) for step in candidate["steps"])
        answer = candidate["answer"] or ""
        table.add_row(candidate["id"], Text(answer), _score(candidate["score"]), steps, str(candidate["tokens"]), state)
    return table


def _votes(reply: dict[str, Any]) -> Table:
    table = Table("answer", "count", "weight", title="votes")
    for vote in reply["votes"]:
        table.add_row(Text(vote["answer"] or "(none)"), str(vote["count"]), _score(vote["weight"]))
    return table


def _bill(reply: dict[str, Any]) -> Table:
    table = Table(title="bill", show_header=False)
    for name, value in reply["usage"].items():
        table.add_row(name.replace("_", " "), f"{value:,}")
    table.add_row("seconds", f"{reply['timing']['total_s']:.2f}")
    return table


def _score(score: float | None) -> str:
    return "" if score is None else f"{score:.2f}"
