"""The command line: one module a command, each importing what it runs only when it runs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from equiderm import __version__
from equiderm.cli.agree import agree
from equiderm.cli.audit import audit
from equiderm.cli.calibrate import calibrate
from equiderm.cli.compare import compare
from equiderm.cli.datasets import datasets
from equiderm.cli.demo import demo
from equiderm.cli.duplicates import duplicates
from equiderm.cli.fetch import fetch
from equiderm.cli.label import label
from equiderm.cli.manifest import manifest
from equiderm.cli.predict import predict
from equiderm.cli.probe import probe
from equiderm.cli.reband import reband
from equiderm.cli.reproduce import reproduce
from equiderm.cli.split import split
from equiderm.cli.synthesize import synthesize
from equiderm.cli.train import train
from equiderm.errors import InputError

app = typer.Typer(
    name="equiderm",
    help=(
        "Label the skin tone of lesion photographs, train classifiers that unlearn it, and audit "
        "any classifier by skin tone. Measures and mitigates; not a diagnosis tool."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

# In the order of the work; `equiderm --help` lists them so.
_COMMANDS = (
    demo,
    datasets,
    fetch,
    manifest,
    synthesize,
    split,
    duplicates,
    label,
    reband,
    agree,
    calibrate,
    audit,
    train,
    predict,
    probe,
    compare,
    reproduce,
)
for _command in _COMMANDS:
    app.command()(_command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"equiderm {__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line: 0 done, 1 done with rows in error, 2 unusable input, 130 stopped."""
    try:
        app()
    except InputError as error:
        typer.echo(f"equiderm: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("equiderm: stopped.", err=True)
        sys.exit(130)
