"""The commands by name; each does its work with the functions that notebooks use, too."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from eqviz import __version__
from eqviz.cli import DEBUG
from eqviz.cli.data import data_app
from eqviz.cli.evaluate import evaluate
from eqviz.cli.runs import models, runs
from eqviz.cli.study import report, study
from eqviz.cli.train import train

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train, measure and look inside equivariant neural networks for particle physics.",
)
app.add_typer(data_app, name="data")
for _command in (train, evaluate, study, runs, models, report):
    app.command()(_command)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"eqviz {__version__}")
        raise typer.Exit


@app.callback()
def common(
    debug: Annotated[bool, typer.Option("--debug", help="Show the full traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    if debug:
        os.environ[DEBUG] = "1"
