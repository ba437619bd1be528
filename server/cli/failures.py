"""How a command ends: with 0, 1 or 2, and a sentence instead of a traceback.

0: everything was done. 1: something failed while it ran: a line, a request, an engine, a disk. 2: a command, a setting
or a file cannot be used, and nothing was done. 130: it was interrupted.
"""

import os
from pathlib import Path
from typing import Any, NoReturn

import click
from pydantic import ValidationError

from models.errors import CheckpointError, ModelError
from models.files import FilesError, UnreadableFileError
from models.glyphs import spelt_out
from server.refusals import foremost, refused_setting
from server.settings import Settings, SettingsError

SOME_FAILED, UNUSABLE, INTERRUPTED = 1, 2, 130


class Failure(click.ClickException):
    """Something failed while the command ran; the message may quote a file or a service."""

    exit_code = SOME_FAILED

    def format_message(self) -> str:
        return spelt_out(self.message)

    def show(self, file: Any = None) -> None:
        click.echo(f"winnow: {self.format_message()}", file=file, err=file is None)


class UnusableError(Failure):
    """What was given cannot be used, and nothing was done."""

    exit_code = UNUSABLE


class StoppedError(Failure):
    """The command was interrupted."""

    exit_code = INTERRUPTED


class Commands(click.Group):
    """Commands whose known errors are sentences."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise StoppedError("interrupted") from error
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click ends quietly when nobody reads any more
        except Exception as error:
            failure = failure_of(error)
            if failure is None:
                raise
            raise failure from error


def report(sentence: str) -> None:
    """Print a sentence on stderr, which may quote a file or a service."""
    click.echo(spelt_out(sentence), err=True)


def end(num_failed: int) -> NoReturn:
    """End a command that skipped unusable lines."""
    raise click.exceptions.Exit(SOME_FAILED if num_failed else 0)


def refuse_inputs(out: Path | None, *inputs: Path | None, option: str = "--out") -> None:
    """Check that a command does not overwrite its inputs, and that it can write its output.

    Args:
        out: A file or folder that the command writes.
        inputs: What it reads, or writes elsewhere.
        option: That names `out`.

    Raises:
        click.BadParameter: They are one file, by whatever name or link.
    """
    if out is None:
        return
    for read in inputs:
        if read is not None and (out.resolve() == read.resolve() or _is_same(out, read)):
            raise click.BadParameter(f"{out} is the same file as the input {read}: choose another", param_hint=option)
    parent = next(folder for folder in out.absolute().parents if folder.exists())
    if not out.exists() and not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise click.BadParameter(f"{out}: {parent} is not a folder that can be written to", param_hint=option)


def _is_same(first: Path, second: Path) -> bool:
    return first.exists() and second.exists() and first.samefile(second)


def failure_of(error: BaseException) -> click.ClickException | None:
    """Return how the command ends on an error; None if it is unexpected."""
    match error:
        case click.ClickException():
            return error
        case BaseExceptionGroup():
            known = [failure for each in error.exceptions if (failure := failure_of(each))]
            return known[0] if len(known) == len(error.exceptions) else None
        case SettingsError() | CheckpointError() | UnreadableFileError():
            return UnusableError(str(error))
        case ValidationError():
            first = foremost(error.errors())
            return UnusableError(f"setting {refused_setting(Settings, first)} (given: {first['input']!r})")
        case ModelError() | FilesError():
            return Failure(str(error))
        case OSError() if error.strerror:
            return Failure(f"{error.filename or 'the output'}: {error.strerror}")
    return None
