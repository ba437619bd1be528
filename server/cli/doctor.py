"""`winnow doctor`: what would stop `winnow serve`, and how to fix it."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from server.cli.options import options_of
from server.cli.serve import SECRETS
from server.doctor.finding import Finding, Verdict, fine, stops
from server.settings import Settings, SettingsError, load_settings

STYLES = {Verdict.FINE: "green", Verdict.CAUTION: "yellow", Verdict.STOPS: "bold red"}
WIDTH = 120


@click.command()
@click.option("--recipe", type=click.Path(path_type=Path), help="YAML file of settings (deploy/recipes/).")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@options_of(Settings, leave_out=SECRETS)
def doctor(recipe: Path | None, as_json: bool, **flags: Any) -> None:
    """Find what would stop `winnow serve` with the same options, and say how to fix it.

    Checks settings, packages, access keys, the address, remote servers, hardware, checkpoints and memory. Starts no
    engine, downloads nothing, changes nothing. Exits with 1 if something would stop the service.
    """
    findings = list(_examine(recipe, flags))
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
        wrong = error.errors(include_input=False, include_url=False)
        return [stops("settings", f"{'.'.join(map(str, each['loc']))}: {each['msg']}", remedy) for each in wrong]
    from server.doctor.examination import examine

    return [fine("settings", "can be read"), *examine(settings)]


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
