"""The arguments and options that several verbs share."""

from __future__ import annotations

import re
from dataclasses import dataclass
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
    "Place",
    "Target",
    "Timeout",
    "Yes",
]


_SECRET = re.compile(r"(?<=://)[^/?#]*@|\?.*")


@dataclass(frozen=True, slots=True)
class Target:
    """What a verb works on: a file, or a database of a server."""

    named: str

    @property
    def is_url(self) -> bool:
        return "://" in self.named

    @property
    def file(self) -> Path:
        """Raises: ValueError: it is of a server."""
        if self.is_url:
            raise ValueError(f"{self} is of a server, and this verb is for SQLite files alone: use psql and pg_dump")
        return Path(self.named)

    def __str__(self) -> str:
        """Without what may be a password."""
        return _SECRET.sub("", self.named) if self.is_url else self.named


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not an ISO date or time, such as 2026-03-01 or 2026-03-01T12:00+01:00"
        ) from None
    return moment.astimezone() if moment.tzinfo is None else moment


File: TypeAlias = Annotated[
    Target, typer.Argument(parser=Target, metavar="FILE", help="The database file.", show_default=False)
]
Place: TypeAlias = Annotated[
    Target,
    typer.Argument(
        parser=Target, metavar="FILE", help="The database file, or postgresql://user@host/database.", show_default=False
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON; a listing is JSON Lines.")]
Timeout: TypeAlias = Annotated[
    float,
    typer.Option("--timeout", min=0.1, metavar="SECONDS", help="How long to wait for the file and for an answer."),
]
Namespace: TypeAlias = Annotated[str, typer.Option("--namespace", help="The part of the memory to use.")]
AlsoRead: TypeAlias = Annotated[list[str], typer.Option("--also-read", help="A further namespace to read; may repeat.")]
Agent: TypeAlias = Annotated[
    str | None, typer.Option("--agent", help="The agent that writes; evidence and history name it.")
]
Limit: TypeAlias = Annotated[int, typer.Option("--limit", min=1, help="How many at most.")]
All: TypeAlias = Annotated[bool, typer.Option("--all", help="All of them, instead of --limit.")]
AsOf: TypeAlias = Annotated[
    datetime | None, typer.Option("--as-of", parser=_moment, metavar="TIME", help="What was true then; default: now.")
]
KnownAt: TypeAlias = Annotated[
    datetime | None,
    typer.Option("--known-at", parser=_moment, metavar="TIME", help="What was believed then; default: now."),
]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
