"""The command, and its verbs by subject."""

from __future__ import annotations

import importlib.metadata
import logging
import sqlite3
import sys
from typing import Annotated

import typer

from . import asking, doctor, files, learning, looking, moving, seeing, serving, transferring
from .performing import DEBUG

__all__ = ["app"]

app: typer.Typer = typer.Typer(
    name="aiomemdb",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Look at and work on the databases and memories of aiomemdb.",
    epilog="Exit status: 0 done; 1 found something; 2 wrong usage; 3 the file failed or is locked; 130 Ctrl-C.",
)


def _show_version(value: bool) -> None:
    if value:
        version = importlib.metadata.version("aiomemdb")
        typer.echo(f"aiomemdb {version}, SQLite {sqlite3.sqlite_version}, Python {sys.version.split()[0]}")
        raise typer.Exit


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and the library's log.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the versions, and end.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    DEBUG.set(debug)
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(message)s", stream=sys.stderr)


for _verb in (
    *doctor.VERBS,
    *files.VERBS,
    *looking.VERBS,
    *asking.VERBS,
    *learning.VERBS,
    *moving.VERBS,
    *seeing.VERBS,
    *transferring.VERBS,
    *serving.VERBS,
):
    app.command(_verb.__name__.rstrip("_").replace("_", "-"))(_verb)
