"""`winnow engine`: one of the models in a vLLM server of its own, for a remote `winnow serve`."""

from pathlib import Path
from typing import Any, Literal

import click

from server.cli.options import Choice, options_of
from server.cli.serve import SECRETS
from server.http.listening import listening
from server.precheck import check_checkpoint
from server.settings import Settings, SettingsError, load_settings


@click.command()
@click.argument("which", type=Choice(["policy", "verifier"]))
@click.option("--recipe", type=click.Path(path_type=Path), help="YAML file of settings (deploy/recipes/).")
@options_of(Settings, leave_out=SECRETS)
def engine(which: Literal["policy", "verifier"], recipe: Path | None, **flags: Any) -> None:
    """Run the policy or the verifier of a recipe as a vLLM server.

    This is vLLM's own server, with the settings that `winnow serve` uses for its engine and, for a verifier, an
    endpoint that judges several steps in one request. Its key is WINNOW_ENGINE_API_KEY.
    """
    settings = load_settings(recipe, **flags)
    if which == "policy" and not settings.has_policy:
        raise SettingsError("policy_model is none: there is no policy to run; set policy_model")
    if settings.has_policy:
        check_checkpoint(settings.policy_model, is_causal=True, with_weights=which == "policy")
    if which == "verifier" and not settings.has_verifier:
        raise SettingsError("verifier_format is none: there is no verifier to run; set verifier_model")
    if which == "verifier" and settings.asks_policy:
        raise SettingsError(
            f"verifier_format {settings.verifier_format} has no engine of its own: it asks the policy's; run that one"
        )
    if which == "verifier":
        check_checkpoint(settings.verifier_model)
    with listening(settings.host, settings.port):
        pass  # vLLM binds the port late, and reports a taken one less clearly
    from server.composition import become_engine

    become_engine(settings, which)
