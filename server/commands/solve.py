"""`winnow solve`: one problem, its answer and the evidence for it, as a table or as JSON."""

import asyncio
import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from server.commands.client import open_client, post_solve
from server.commands.options import given, options_of
from server.schemas import SolveRequest
from server.settings import Settings, load_settings


@click.command()
@click.argument("problem")
@click.option("--url", help="Ask the service that runs there; without it the models are started here.")
@click.option("--recipe", type=click.Path(path_type=Path), help="YAML file of settings (deploy/recipes/).")
@click.option("--json", "as_json", is_flag=True, help="Print the reply as JSON.")
@options_of(SolveRequest, leave_out=frozenset({"problem", "stream", "include"}))
def solve(problem: str, url: str | None, recipe: Path | None, as_json: bool, **options: Any) -> None:
    """Search for the answer of PROBLEM and show the candidates, the votes and the bill."""
    request = {"problem": problem, **given(options)}
    reply = asyncio.run(_solve(url, load_settings(recipe), request))
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
    for warning in reply["diagnostics"]["warnings"]:
        console.print(f"warning: {warning}", style="yellow")
    if reply["status"] != "complete":
        console.print(f"status: {reply['status']} {reply['status_reason'] or ''}", style="yellow")
    console.print(f"[bold]answer[/bold] {reply['answer']}", highlight=False)


def _candidates(reply: dict[str, Any]) -> Table:
    table = Table("id", "answer", "score", "step scores", "tokens", "", title="candidates")
    chosen = next((c["id"] for c in reply["candidates"] if c["response"] == reply["response"]), None)
    for candidate in sorted(reply["candidates"], key=lambda candidate: -(candidate["score"] or 0)):
        state = "chosen" if candidate["id"] == chosen else candidate["finish"].replace("complete", "")
        state = "refuted" if candidate["verified"] is False else state
        steps = " ".join(_score(step["score"]) for step in candidate["steps"])
        answer = candidate["answer"] or ""
        table.add_row(candidate["id"], answer, _score(candidate["score"]), steps, str(candidate["tokens"]), state)
    return table


def _votes(reply: dict[str, Any]) -> Table:
    table = Table("answer", "count", "weight", title="votes")
    for vote in reply["votes"]:
        table.add_row(vote["answer"] or "(none)", str(vote["count"]), _score(vote["weight"]))
    return table


def _bill(reply: dict[str, Any]) -> Table:
    table = Table(title="bill", show_header=False)
    for name, value in reply["usage"].items():
        table.add_row(name.replace("_", " "), f"{value:,}")
    table.add_row("seconds", f"{reply['timing']['total_s']:.2f}")
    return table


def _score(score: float | None) -> str:
    return "" if score is None else f"{score:.2f}"
