"""`winnow doctor`: what would stop `winnow serve`, and how to fix it."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from models.errors import ModelError
from server.cli.options import options_of
from server.cli.problems import read_texts
from server.cli.serve import SECRETS
from server.doctor.finding import Finding, Verdict, fine, stops
from server.refusals import refused_setting
from server.settings import Settings, SettingsError, load_settings

STYLES = {Verdict.FINE: "green", Verdict.CAUTION: "yellow", Verdict.STOPS: "bold red"}
WIDTH = 120
MAX_PROBLEMS = 64
PROBE_NEEDS = ("settings", "packages", "engine", "hardware", "policy")
"""Checks without which no policy can be sampled."""


@click.command()
@click.option("--recipe", type=click.Path(path_type=Path), help="YAML file of settings (deploy/recipes/).")
@click.option("--probe", is_flag=True, help="Start the policy, sample responses, and say how they are cut into steps.")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON lines with a problem each, for --probe; only the first 64 are asked.  [default: a few of our own]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@options_of(Settings, leave_out=SECRETS)
def doctor(recipe: Path | None, probe: bool, file: Path | None, as_json: bool, **flags: Any) -> None:
    """Find what would stop `winnow serve` with the same options, and say how to fix it.

    Checks settings, packages, access keys, the address, remote servers, hardware, checkpoints and memory. Downloads
    nothing, changes nothing, and starts no engine without --probe. Exits with 1 if something would stop the service.
    """
    if file and not probe:
        raise click.UsageError("--file goes with --probe")
    problems = read_texts(file, MAX_PROBLEMS) if file else None
    findings = list(_examine(recipe, flags))
    if probe and not any(each.verdict is Verdict.STOPS and each.check in PROBE_NEEDS for each in findings):
        findings += _probe(load_settings(recipe, **flags), problems)
    if as_json:
        click.echo(json.dumps([_record(finding) for finding in findings], indent=2))
    else:
        Console(width=WIDTH).print(_table(findings))
    if any(finding.verdict is Verdict.STOPS for finding in findings):
        raise click.exceptions.Exit(1)


def _examine(recipe: Path | None, flags: dict[str, Any]) -> Iterable[Finding]:
    remedy = "winnow serve --help lists every setting and what it allows"
    try:
        settings = load_settings(recipe, **flags)
    except SettingsError as error:
        return [stops("settings", str(error), remedy)]
    except ValidationError as error:
        return [stops("settings", refused_setting(Settings, each), remedy) for each in error.errors()]
    from server.doctor.examination import examine

    return [fine("settings", "can be read"), *examine(settings)]


def _probe(settings: Settings, problems: Sequence[str] | None) -> list[Finding]:
    from server.doctor.probe import PROBLEMS, probe

    with Console(stderr=True).status("starting the policy and sampling it"):
        try:
            return asyncio.run(probe(settings, problems or PROBLEMS))
        except ModelError as error:
            return [stops("probe", f"the policy cannot be sampled: {error}", "the log above says why")]


def _record(finding: Finding) -> dict[str, str | None]:
    return {
        "check": finding.check,
        "verdict": finding.verdict.value,
        "seen": finding.seen,
        "remedy": finding.remedy,
    }


def _table(findings: Iterable[Finding]) -> Table:
    table = Table("check", "", "what was seen", "how to fix it", title="winnow doctor")
    for finding in findings:
        style = STYLES[finding.verdict]
        table.add_row(finding.check, f"[{style}]{finding.verdict.value}[/]", finding.seen, finding.remedy or "")
    return table
