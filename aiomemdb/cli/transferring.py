"""The verb that takes a whole memory to another engine: move."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from ..database import Database
from ..engines import connect
from ..memory.transferring import transfer
from .options import AsJson
from .output import Output
from .performing import check_exists, perform

__all__ = ["VERBS"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@asynccontextmanager
async def _opened(target: str, *, is_source: bool) -> AsyncIterator[Database]:
    """A database by its path or URL; a source that is a file must be there."""
    if _URL.match(target):
        async with connect(target, readers=2) as db:
            yield db
        return
    if is_source:
        check_exists(Path(target))
    async with connect(target, read_only=is_source, readers=2) as db:
        yield db


def move(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A file, or postgresql://...; only read.", show_default=False)
    ],
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="Where it goes: empty of a memory.", show_default=False)
    ],
    as_json: AsJson = False,
) -> None:
    """Move a memory to another engine or file, ids and all; one that was cut short goes on."""
    output = Output(as_json)

    async def work() -> None:
        async with _opened(source, is_source=True) as one, _opened(target, is_source=False) as other:
            moved = await transfer(one, other, lambda table, done, of: output.note(f"{table}: {done:,} of {of:,}"))
        output.document(moved)

    perform(output, work, timeout=None)


VERBS: tuple[Callable[..., None], ...] = (move,)
