"""`winnow fetch`: the models of a recipe, downloaded before a start."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.filesize import decimal

from models.checkpoints.checkpoint import find_directory
from models.errors import CheckpointError
from server.cli.failures import Failure, refuse_inputs
from server.settings import Settings, load_settings

if TYPE_CHECKING:
    from models.checkpoints.hub import Listing

MODELS = ("policy", "verifier")


class Revision(click.ParamType[tuple[str, str]]):
    """A revision of one model, policy=REVISION, or of both."""

    name = "revision"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Read it."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(rf"(?:({'|'.join(MODELS)})=)?([\w./-]+)", value)
        if not found:
            self.fail(f"{value!r} is not a revision, policy=REVISION or verifier=REVISION", param, ctx)
        return found[1] or "", found[2]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A model of the Hub; `which` is the policy, the verifier, or both."""

    which: tuple[str, ...]
    name: str
    revision: str | None
    with_weights: bool
    folder: Path | None


@click.command()
@click.option("--recipe", type=click.Path(path_type=Path), help="YAML file of settings (deploy/recipes/).")
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), help="Folder.  [default: the Hub's cache]")
@click.option(
    "--revision",
    "revisions",
    multiple=True,
    type=Revision(),
    help="Branch, tag or commit of both models, or of one: policy=REVISION, verifier=REVISION.  [default: main]",
)
def fetch(recipe: Path | None, to: Path | None, revisions: tuple[tuple[str, str], ...]) -> None:
    """Download the policy and the verifier of a recipe from the Hub, before they are needed.

    Says first how much is missing and how much room there is, and stops if it does not fit. What is on this disk is
    not downloaded again; a run that was interrupted goes on with the files that are missing. Gated models need a token
    of an account that has accepted their licence: HF_TOKEN.
    """
    refuse_inputs(to, recipe, option="--to")
    settings = load_settings(recipe)
    wanted = list(_wanted(settings, dict(revisions), to))
    _refuse_unused(wanted, revisions, to)
    try:
        listings = [_list(model) for model in wanted]
        _require_room([listing for listing in listings if listing], to)
        for model, listing in zip(wanted, listings, strict=True):
            _download(model, listing)
    except CheckpointError as error:
        raise Failure(str(error)) from error


def _wanted(settings: Settings, revisions: dict[str, str], to: Path | None) -> Iterator[_Wanted]:
    """Find the models that are on the Hub, and say of the others why they are not fetched."""
    found: dict[tuple[str, str | None], _Wanted] = {}
    for which in MODELS:
        name = str(getattr(settings, f"{which}_model"))
        if which == "verifier" and not settings.has_verifier:
            click.echo("verifier: there is none")
        elif which == "verifier" and not settings.verifier_has_checkpoint:
            click.echo(f"verifier: the format {settings.verifier_format} has no weights")
        elif find_directory(name) is not None:
            click.echo(f"{which}: {name} is a folder on this disk")
        else:
            revision = revisions.get(which, revisions.get(""))
            with_weights = not getattr(settings, f"{which}_url")
            same = found.get((name, revision))
            found[name, revision] = _Wanted(
                (*(same.which if same else ()), which),
                name,
                revision,
                with_weights or (same is not None and same.with_weights),
                to and to / name,
            )
    yield from found.values()


def _refuse_unused(wanted: list[_Wanted], revisions: tuple[tuple[str, str], ...], to: Path | None) -> None:
    """See that every option means a model that is fetched.

    Raises:
        click.BadParameter: One does not.
    """
    of_hub = {which for model in wanted for which in model.which}
    if to is not None and not wanted:
        raise click.BadParameter("neither model is on the Hub; omit it", param_hint="--to")
    for which, revision in revisions:
        if which not in of_hub and (which or not of_hub):
            raise click.BadParameter(
                f"{revision}: {f'the {which} is not' if which else 'neither model is'} on the Hub; omit it",
                param_hint="--revision",
            )
    if len({which for which, _ in revisions}) < len(revisions):
        raise click.BadParameter("one for both models, or one for each", param_hint="--revision")


def _list(model: _Wanted) -> "Listing | None":
    """Say what of a model is here and what is not; None where the Hub may not be asked."""
    from models.checkpoints.hub import is_offline, list_files

    if is_offline():
        return None
    listing = list_files(model.name, revision=model.revision, folder=model.folder, with_weights=model.with_weights)
    here = listing.num_bytes - listing.missing_bytes
    told = f"{decimal(here)} on this disk" if listing.missing_bytes else "all on this disk"
    click.echo(
        f"{' and '.join(model.which)}: {model.name} at {listing.commit[:12]}: {listing.num_files} files"
        f"{'' if model.with_weights else ' without weights, which a server elsewhere has'}, "
        f"{decimal(listing.num_bytes)}, {told}"
    )
    return listing


def _require_room(listings: "list[Listing]", to: Path | None) -> None:
    from models.checkpoints.hub import place

    missing = sum(listing.missing_bytes for listing in listings)
    if not missing:
        return
    kept, free = place(to)
    click.echo(f"to download: {decimal(missing)} to {kept}, where {decimal(free)} are free")
    if missing > free:
        hint = "choose another --to" if to else "choose another disk with --to or HF_HOME"
        raise Failure(f"{kept} has room for {decimal(free)}, and {decimal(missing)} are needed; make room, or {hint}")


def _download(model: _Wanted, listing: "Listing | None") -> None:
    from models.checkpoints.hub import download_model

    directory = download_model(
        model.name, revision=model.revision, folder=model.folder, with_weights=model.with_weights
    )
    if listing is None:
        click.echo(
            f"{' and '.join(model.which)}: {model.name} is on this disk; not compared with the Hub (HF_HUB_OFFLINE)"
        )
    if model.folder is not None or model.revision is not None:
        for which in model.which:
            click.echo(f"in your recipe: {which}_model: {directory}")
