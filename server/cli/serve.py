"""`winnow serve`: the service."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import uvloop

from server.cli.options import Sections, options_of
from server.http.listening import listening
from server.precheck import check_models
from server.settings import Settings, load_settings

SECRETS = frozenset({"api_keys", "api_key", "engine_api_key", "store_url"})
"""Not on the command line, which every process of the machine can read."""


FIRST = {
    "host": "Service",
    "device": "Models",
    "answer_workers": "Answers",
    "sandbox": "Programs that are tested",
    "api_keys": "Access",
    "max_connections": "Limits",
}
"""Headings of help, by the first setting below each."""


def section_of(setting: str) -> str:
    """Return the heading under which help lists the option of a setting."""
    names = list(Settings.model_fields)
    return [heading for first, heading in FIRST.items() if names.index(first) <= names.index(setting)][-1]


@click.command(cls=Sections)
@click.option("--recipe", type=click.Path(path_type=Path), help="YAML file of settings (deploy/recipes/).")
@options_of(Settings, leave_out=SECRETS, section=section_of)
def serve(recipe: Path | None, **flags: Any) -> None:
    """Serve the policy and the verifier over HTTP.

    Every option can also be set by an environment variable, WINNOW_<NAME>, or in a recipe. The command line takes
    precedence, then the environment, then the recipe. Keys can be set by variables or in a recipe only.
    """
    settings = load_settings(recipe, **flags)
    check_models(settings)
    from server.http.access import require_safe_exposure
    from server.keys import read_keys

    require_safe_exposure(settings, read_keys(settings))
    if settings.workers > 1:
        from server.cli.workers import serve_together

        return serve_together(settings)
    with listening(settings.host, settings.port) as sockets, suppress(KeyboardInterrupt):  # how a stop by signal ends
        from server.composition import serve as serve_until_stopped

        uvloop.run(serve_until_stopped(settings, sockets))
