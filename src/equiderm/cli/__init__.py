"""The command line: one module per command, each importing its libraries only when it runs."""

from __future__ import annotations

import inspect
import io
import sys
import warnings
from typing import Annotated, Any

import typer

from equiderm import __version__
from equiderm.cli.agree import agree
from equiderm.cli.audit import audit
from equiderm.cli.calibrate import calibrate
from equiderm.cli.compare import compare
from equiderm.cli.console import open_streams, write_words
from equiderm.cli.datasets import datasets
from equiderm.cli.demo import demo
from equiderm.cli.duplicates import duplicates
from equiderm.cli.embed import embed
from equiderm.cli.exits import UNUSABLE, Ending, describe_installation, guarded
from equiderm.cli.export import export
from equiderm.cli.fetch import fetch
from equiderm.cli.label import label
from equiderm.cli.manifest import manifest
from equiderm.cli.plan import plan
from equiderm.cli.predict import predict
from equiderm.cli.probe import probe
from equiderm.cli.reband import reband
from equiderm.cli.reproduce import reproduce
from equiderm.cli.serve import serve
from equiderm.cli.split import split
from equiderm.cli.synthesize import synthesize
from equiderm.cli.train import train
from equiderm.format import visible
from equiderm.page import ignore_style

app = typer.Typer(
    name="equiderm",
    help=(
        "Label the skin tone of lesion photographs, train classifiers that unlearn it, and audit "
        "any classifier by skin tone. Measures and mitigates; not a diagnosis tool."
    ),
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

# In the order of the work, which `equiderm --help` keeps.
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
    plan,
    audit,
    serve,
    embed,
    train,
    predict,
    probe,
    export,
    compare,
    reproduce,
)
# The same command resumes where it was stopped; the others start again.
_RESUME = {
    fetch, manifest, synthesize, label, serve, train, predict, embed, compare, reproduce,
}  # fmt: skip


def _split_examples(text: str) -> tuple[str, str]:
    """Return a docstring's paragraphs, and its ``Examples:`` as Typer's epilog, a line each."""
    body, _, examples = inspect.cleandoc(text).partition("\nExamples:\n")
    paragraphs = (" ".join(paragraph.split()) for paragraph in body.split("\n\n"))
    lines = [line.strip() for line in examples.replace("[", "\\[").splitlines() if line.strip()]
    return "\n\n".join(paragraphs), "\n\n".join(["Examples:", *lines]) if lines else ""


for _command in _COMMANDS:
    _help, _examples = _split_examples(_command.__doc__ or "")
    app.command(help=_help, epilog=_examples)(guarded(_command, resumes=_command in _RESUME))


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", help="With --version: libraries and where files are written."),
    ] = False,
) -> None:
    if version:
        lines = describe_installation() if verbose else [f"equiderm {__version__}"]
        typer.echo("\n".join(lines))
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(UNUSABLE)


def _show_warning(message: Warning | str, category: type[Warning], *where: Any) -> None:
    """Print warnings for users as a sentence; those for developers as Python does."""
    if category in (UserWarning, RuntimeWarning):
        write_words(f"equiderm: {visible(str(message))}\n")
    else:
        write_words(warnings.formatwarning(message, category, *where[:2]))


def main() -> None:
    """Run the command line; `equiderm.cli.exits.STATUSES` lists how it ends."""
    open_streams()
    ignore_style()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # escapes what a terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = _show_warning
    with Ending():
        try:
            app()
        finally:
            sys.stdout.flush()
