"""The command `winnow`."""

import sys

import click
from pydantic import ValidationError

from models.errors import ModelError
from server.commands.evaluate import evaluate
from server.commands.serve import serve
from server.commands.solve import solve
from server.commands.tasks import tasks
from server.commands.train_demo import train_demo
from server.settings import SettingsError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="winnow")
def app() -> None:
    """Search and verify: a policy proposes, a verifier judges, a search answers."""


for command in (serve, solve, evaluate, tasks, train_demo):
    app.add_command(command)


def main() -> None:
    """Run the command; a mistake of the user's is one sentence, not a traceback."""
    try:
        app()
    except (SettingsError, ModelError) as error:
        sys.exit(f"winnow: {error}")
    except ValidationError as error:
        first = error.errors()[0]
        sys.exit(f"winnow: setting {'.'.join(map(str, first['loc']))}: {first['msg']} (given: {first['input']!r})")
