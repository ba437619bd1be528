"""The command `winnow`."""

import io
import os
import sys
import warnings
from itertools import chain

import click

from server.cli.calibrate import calibrate
from server.cli.doctor import doctor
from server.cli.engine import engine
from server.cli.evaluate import evaluate
from server.cli.export import export
from server.cli.failures import Commands
from server.cli.fetch import fetch
from server.cli.grade import grade
from server.cli.label_steps import label_steps
from server.cli.plan import plan
from server.cli.revote import revote
from server.cli.score import score
from server.cli.serve import serve
from server.cli.solve import solve
from server.cli.tasks import tasks
from server.cli.train_demo import train_demo
from server.cli.train_policy import train_policy
from server.cli.train_prm import train_prm


class Winnow(Commands):
    """The commands; help lists them by what they are for, each with the whole of its first sentence."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(each.name or "", each.get_short_help_str(ANY_LENGTH)) for each in commands])


@click.group(cls=Winnow, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="winnow")
def app() -> None:
    """Search and verify: a policy proposes, a verifier judges, a search answers.

    Exit codes: 0 everything was done; 1 something failed while it ran (a line, a request, an engine, a disk); 2 a
    command, a setting or a file cannot be used; 130 interrupted.
    """


def quieten_vendors() -> None:
    """Silence the engine's libraries, unless the user has set a level."""
    warnings.filterwarnings("ignore", category=FutureWarning, module="vllm")
    for variable, level in {"VLLM_LOGGING_LEVEL": "WARNING", "TORCH_CPP_LOG_LEVEL": "ERROR"}.items():
        os.environ.setdefault(variable, level)  # noqa: TID251 - they read it when they are imported


ANY_LENGTH = 1_000
SECTIONS = {
    "Serve": (serve, doctor, fetch, engine),
    "Ask, with a service or without one": (solve, score),
    "Measure": (evaluate, revote, calibrate, plan, grade, tasks),
    "Train": (export, label_steps, train_prm, train_policy, train_demo),
}

for command in chain.from_iterable(SECTIONS.values()):
    app.add_command(command)


def spell_what_cannot_be_encoded() -> None:
    """Let a terminal that is not of UTF-8 get escapes in the place of characters that it lacks."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # not where it is closed
        sys.stdout.reconfigure(errors="backslashreplace")


def main() -> None:
    quieten_vendors()
    spell_what_cannot_be_encoded()
    app()
