"""The command `winnow`."""

import io
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import chain

import click

from server.cli.failures import Commands

SECTIONS = {
    "Serve": ("serve", "doctor", "tune", "fetch", "engine"),
    "Ask, with a service or without one": ("solve", "score"),
    "Measure": ("eval", "revote", "calibrate", "plan", "grade", "tasks"),
    "Train": ("export", "label-steps", "train-prm", "train-policy", "train-demo"),
}
ANY_LENGTH = 1_000


class ByName(Mapping[str, click.Command]):
    """The commands, each of which is imported when it is wanted: all of them take half a second."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in [*self]:
            raise KeyError(name)
        module = "evaluate" if name == "eval" else name.replace("-", "_")  # `eval` is Python's
        command: click.Command = getattr(import_module(f"server.cli.{module}"), module)
        return command

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(SECTIONS.values())

    def __len__(self) -> int:
        return sum(map(len, SECTIONS.values()))


class Winnow(Commands):
    """The commands; help lists them by what they are for, each with the whole of its first sentence."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(ANY_LENGTH)) for name in names])


@click.group(
    cls=Winnow, commands=ByName(), context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
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


def spell_what_cannot_be_encoded() -> None:
    """Let a terminal that is not of UTF-8 get escapes in the place of characters that it lacks."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # not where it is closed
        sys.stdout.reconfigure(errors="backslashreplace")


def main() -> None:
    quieten_vendors()
    spell_what_cannot_be_encoded()
    app()
