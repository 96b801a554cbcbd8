"""The arguments and options that several verbs share."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

__all__ = [
    "Agent",
    "All",
    "AlsoRead",
    "AsJson",
    "AsOf",
    "File",
    "KnownAt",
    "Limit",
    "Namespace",
    "Timeout",
    "Yes",
]


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not an ISO date or time, such as 2026-03-01 or 2026-03-01T12:00+01:00"
        ) from None
    return moment.astimezone() if moment.tzinfo is None else moment


File: TypeAlias = Annotated[Path, typer.Argument(metavar="FILE", help="The database file.", show_default=False)]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON; a listing is JSON Lines.")]
Timeout: TypeAlias = Annotated[
    float,
    typer.Option("--timeout", min=0.1, metavar="SECONDS", help="How long to wait for the file and for an answer."),
]
Namespace: TypeAlias = Annotated[str, typer.Option("--namespace", help="Where names, facts and texts are.")]
AlsoRead: TypeAlias = Annotated[list[str], typer.Option("--also-read", help="A further namespace to read; may repeat.")]
Agent: TypeAlias = Annotated[str | None, typer.Option("--agent", help="Who writes; the evidence names it.")]
Limit: TypeAlias = Annotated[int, typer.Option("--limit", min=1, help="How many at most.")]
All: TypeAlias = Annotated[bool, typer.Option("--all", help="All of them, instead of --limit.")]
AsOf: TypeAlias = Annotated[
    datetime | None, typer.Option("--as-of", parser=_moment, metavar="TIME", help="What held then; default: now.")
]
KnownAt: TypeAlias = Annotated[
    datetime | None, typer.Option("--known-at", parser=_moment, metavar="TIME", help="What was believed then.")
]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
