"""`winnow serve`: the service."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import uvloop

from server.cli.options import options_of
from server.http.listening import listening
from server.precheck import check_models
from server.settings import Settings, load_settings

SECRETS = frozenset({"api_keys", "api_key", "engine_api_key"})
"""Not on the command line, which every process of the machine can read."""


@click.command()
@click.option("--recipe", type=click.Path(path_type=Path), help="YAML file of settings (deploy/recipes/).")
@options_of(Settings, leave_out=SECRETS)
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
    with listening(settings.host, settings.port) as sockets, suppress(KeyboardInterrupt):  # how a stop by signal ends
        from server.composition import serve as serve_until_stopped

        uvloop.run(serve_until_stopped(settings, sockets))
