"""`winnow solve`: one problem, its answer and the evidence for it, for people or as JSON; or a file of problems."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from search.strategies import request_fields
from server.cli.batch import CONCURRENCY, SOLVE, Results, ask_file, read_requests
from server.cli.client import ServiceUrl, events_of, open_client, post_solve
from server.cli.failures import Failure, refuse_inputs
from server.cli.options import Choice, Sections, given, options_of
from server.cli.provenance import made_by
from server.cli.searches import KEPT
from server.cli.showing import NEEDED, as_text, show
from server.cli.watching import watched
from server.schemas import SearchIn, SolveRequest
from server.settings import Settings, load_settings

FILE = click.Path(path_type=Path, dir_okay=False)


LEFT_OUT = frozenset(
    {"problem", "stream", "background", "include", "tools", "tool_choice", "parallel_tool_calls", "vote_on"}
)
"""Fields that are no options; lines of --file may set the last four."""

EXAMPLES = """\b
Examples:
  winnow solve "Compute 8 + 6 * 4 - 12."
  winnow solve "Compute 8 + 6 * 4 - 12." --strategy beam_search --n 8 --tree
  winnow solve "Compute 8 + 6 * 4 - 12." --url http://127.0.0.1:8000 --json
  winnow solve --file problems.jsonl --out results.jsonl --n 64
"""


def _section(field: str) -> str:
    """Return the heading under which help lists the option of a field."""
    if any(each.name == field for each in request_fields()):
        return "Hyperparameters of strategies (refused by those that do not read them)"
    return "Search" if field in SearchIn.model_fields else "Policy"


@click.command(cls=Sections, epilog=EXAMPLES)
@click.argument("problem", required=False, help="In words.")
@click.option("--url", type=ServiceUrl(), help="URL of a running service; by default the models are started here.")
@click.option("--recipe", type=click.Path(path_type=Path), help="YAML file of settings (deploy/recipes/).")
@click.option("--tree", is_flag=True, help="Draw the search tree, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the reply as JSON.")
@click.option("--file", type=FILE, help="JSON lines with a problem each, and other fields of the request.")
@click.option("--out", type=FILE, help="File for the results of --file; results that it has are not computed again.")
@click.option("--concurrency", type=click.IntRange(1, 256), help="Problems of --file in parallel.  [default: 8]")
@click.option(
    "--include",
    type=Choice([*KEPT]),
    help="With --file: keep all candidates, or the whole tree, for winnow export and winnow revote.",
)
@options_of(SolveRequest, leave_out=LEFT_OUT, section=_section)
def solve(
    problem: str | None,
    url: str | None,
    recipe: Path | None,
    tree: bool,
    as_json: bool,
    file: Path | None,
    out: Path | None,
    concurrency: int | None,
    include: str | None,
    **options: Any,
) -> None:
    """Search for the answer of PROBLEM and show the solution, the candidates, the votes and the bill.

    Or solve a whole file: --file problems.jsonl --out results.jsonl. Options apply to lines that do not set them. A
    line that fails is reported and skipped, and the exit code is 1. An interrupted run resumes.
    """
    if (problem is None) == (file is None):
        raise click.UsageError("give either PROBLEM or --file")
    if (file is None) != (out is None) or (file is None and (concurrency or include)) or (file and as_json):
        raise click.UsageError("--file needs --out; --concurrency and --include go with them, --json does not")
    if tree and (file or as_json):
        raise click.UsageError("--tree draws the tree of PROBLEM; --json has it already, and --include tree keeps it")
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
    elif missing := sorted(NEEDED - reply.keys()):
        raise Failure(f"the reply has no {', '.join(missing)}; --json prints what it has")  # of another version
    elif (console := Console()).is_terminal:
        show(reply, console, tree=tree)
    else:
        click.echo(as_text(reply, tree=tree))


async def _solve(url: str | None, settings: Settings, request: dict[str, Any]) -> Mapping[str, Any]:
    """Ask for the reply; who sits before a terminal sees the search of a service as it runs."""
    console = Console(stderr=True)
    if url:
        return await watched(events_of(url, settings, request), console)
    async with open_client(url, settings) as client:
        with console.status("searching"):
            return await post_solve(client, request)
