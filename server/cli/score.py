"""`winnow score`: the scores of the steps of responses, as a table or as JSON; or a file of them."""

import asyncio
import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from server.cli.batch import CONCURRENCY, SCORE, Results, ask_file, read_requests
from server.cli.client import ServiceUrl, open_client, post
from server.cli.failures import refuse_inputs
from server.cli.options import given, options_of
from server.cli.provenance import made_by
from server.cli.showing import visible
from server.given import ScoreRequest
from server.settings import Settings, load_settings

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("problem", required=False)
@click.argument("responses", nargs=-1)
@click.option("--file", type=FILE, help="JSON lines with a problem and its responses each.")
@click.option("--out", type=FILE, help="File for the results of --file; results that it has are not computed again.")
@click.option("--concurrency", type=click.IntRange(1, 256), help="Lines of --file in parallel.  [default: 8]")
@click.option("--url", type=ServiceUrl(), help="URL of a running service; by default the models are started here.")
@click.option("--recipe", type=click.Path(path_type=Path), help="YAML file of settings (deploy/recipes/).")
@click.option("--json", "as_json", is_flag=True, help="Print the reply as JSON.")
@options_of(ScoreRequest, leave_out=frozenset({"problem", "responses", "history", "stream"}))
def score(
    problem: str | None,
    responses: tuple[str, ...],
    file: Path | None,
    out: Path | None,
    concurrency: int | None,
    url: str | None,
    recipe: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Judge the steps of RESPONSES to PROBLEM, whatever model wrote them.

    Or judge a whole file: --file responses.jsonl --out scores.jsonl, a line {"problem": "...", "responses": ["...",
    ["step", "step"]]}. Options apply to lines that do not set them. A line that fails is reported and skipped, and the
    exit code is 1. An interrupted run resumes.
    """
    if (file is None) != (out is None) or (file is None and concurrency) or (file and as_json):
        raise click.UsageError("--file needs --out; --concurrency goes with them, --json does not")
    if (file is None) == (problem is None) or (file is None and not responses):
        raise click.UsageError("give PROBLEM and at least one response, or --file")
    refuse_inputs(out, file, recipe)
    settings = load_settings(recipe)
    if file is not None and out is not None:
        lines = read_requests(file, given(options), SCORE)
        asyncio.run(
            ask_file(url, settings, lines, Results(out, made_by(settings, url)), concurrency or CONCURRENCY, SCORE)
        )
        return
    request = {"problem": problem, "responses": list(responses), **given(options)}
    reply = asyncio.run(_score(url, settings, request))
    if as_json:
        click.echo(json.dumps(reply, ensure_ascii=False, indent=2))
    else:
        show(reply, Console())


async def _score(url: str | None, settings: Settings, request: dict[str, Any]) -> dict[str, Any]:
    with Console(stderr=True).status("judging" if url else "starting the models and judging"):
        async with open_client(url, settings) as client:
            return await post(client, SCORE.path, request)


def show(reply: dict[str, Any], console: Console) -> None:
    """Print a reply for people."""
    for response in reply["responses"]:
        table = Table("step", "score", title=f"response {response['index']}: {_number(response['score'])}")
        for step in response["steps"]:
            table.add_row(visible(step["text"].strip()), _number(step["score"]))
        console.print(table, markup=False)
        if response["error"]:
            told = visible(f"response {response['index']}: {response['error']}")
            console.print(told, style="yellow", highlight=False)
    usage = reply["usage"]
    console.print(f"{usage['verifier_tokens']:,} tokens judged, {usage['verifier_cached_tokens']:,} from the cache")


def _number(score: float | None) -> str:
    return "not judged" if score is None else f"{score:.3f}"
