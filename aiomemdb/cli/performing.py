"""How a verb runs: it opens the file, works within a time limit, and ends with the exit status of its outcome."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, Literal

import typer

from ..database import Database
from ..engines import connect
from ..errors import AiomemdbError, AmbiguousEntity, EpisodeExists, NormaliserChanged, NotFound
from ..memory.memory import Memory
from ..runner import run
from ..sqlite.engine.database import SQLiteDatabase
from .options import Target
from .output import Output
from .private import Written, refusal

__all__ = [
    "DEBUG",
    "FAILED",
    "FOUND",
    "HAS_MEMORY",
    "INTERRUPTED",
    "OK",
    "USAGE",
    "check_exists",
    "database",
    "has_memory",
    "memory",
    "naming",
    "perform",
    "perform_here",
    "server",
]

#: Exit statuses.
OK, FOUND, USAGE, FAILED, INTERRUPTED = 0, 1, 2, 3, 130

#: Finds a row in a file that has a memory.
HAS_MEMORY = "SELECT 1 FROM sqlite_schema WHERE name = 'memory_migration'"
_SERVER_HAS_MEMORY = "SELECT 1 WHERE to_regclass('aiomemdb.memory_migration') IS NOT NULL"

#: Whether an error shows its traceback.
DEBUG: ContextVar[bool] = ContextVar("aiomemdb_debug", default=False)

# Of the time that a verb has, how much it waits for the file: what keeps it is named in that error alone.
_FOR_THE_FILE = 0.8

# The question was wrong, not the file.
_WRONG_QUESTION = (NotFound, AmbiguousEntity, EpisodeExists, ValueError, TypeError)


def perform(output: Output, work: Callable[[], Coroutine[Any, Any, int | None]], *, timeout: float | None) -> None:
    """Runs a verb's work, and ends the command with its exit status.

    Args:
        work: returns an exit status; None: 0.
        timeout: seconds; None: as long as it takes.
    """

    async def limited() -> int | None:
        async with asyncio.timeout(timeout):
            return await work()

    perform_here(output, partial(run, limited), timeout=timeout)


def perform_here(output: Output, work: Callable[[], int | None], *, timeout: float | None = None) -> None:
    """As ``perform``, of work that is synchronous; ``timeout`` is for the message of its end alone."""
    try:
        status = work()
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BrokenPipeError:  # `| head`: the reader has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = OK
    except Exception as error:
        if DEBUG.get():
            raise
        output.error(error, _message(error, timeout))
        status = USAGE if isinstance(error, _WRONG_QUESTION) else FAILED
        if not isinstance(error, (*_WRONG_QUESTION, AiomemdbError, sqlite3.Error, OSError, *_of_the_server())):
            output.note("This is a fault of aiomemdb: `aiomemdb --debug ...` shows where.")
    raise typer.Exit(status or OK)


def _of_the_server() -> tuple[type[Exception], ...]:
    """The errors of its driver, if that is in use."""
    psycopg = sys.modules.get("psycopg")
    return () if psycopg is None else (psycopg.Error,)


def _message(error: BaseException, timeout: float | None) -> str:
    if type(error) is TimeoutError:
        return f"no answer within --timeout {timeout:g} s"
    if isinstance(error, sqlite3.Error) and getattr(error, "__notes__", None):
        return error.__notes__[-1]  # that of ``database``, which names the file
    return str(error) or type(error).__name__


def check_exists(path: Path) -> None:
    """Raises: FileNotFoundError."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")


async def has_memory(db: Database) -> bool:
    return await db.read_value(HAS_MEMORY if isinstance(db, SQLiteDatabase) else _SERVER_HAS_MEMORY) is not None


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An error of the file names it."""
    try:
        yield
    except sqlite3.Error as error:
        error.add_note(f"{path}: {error}")
        raise


@asynccontextmanager
async def database(
    target: Target, *, timeout: float, read_only: bool = False, create: bool = False
) -> AsyncIterator[SQLiteDatabase]:
    """An open file.

    Raises: ValueError: it is of a server. FileNotFoundError: there is no file, and it is not to be made.
    """
    path = target.file
    if not create:
        check_exists(path)
    with naming(path):
        async with connect(path, read_only=read_only, lock_timeout=_FOR_THE_FILE * timeout, readers=2) as db:
            yield db


@asynccontextmanager
async def server(target: Target, *, timeout: float, read_only: bool = False) -> AsyncIterator[Database]:
    """An open database of a server."""
    wait = _FOR_THE_FILE * timeout
    async with connect(target.named, read_only=read_only, lock_timeout=wait, readers=2) as db:
        yield db


@asynccontextmanager
async def memory(
    target: Target,
    *,
    timeout: float,
    namespace: str = "default",
    agent: str | None = None,
    also_read: list[str] | None = None,
    writes: bool = False,
    normaliser: Literal["exact"] | None = None,
) -> AsyncIterator[Memory]:
    """An open memory; one that only reads leaves the file as it is.

    Raises: FileNotFoundError; ValueError: the file has no memory, and the verb only reads.
    """
    opened: AbstractAsyncContextManager[Database]
    if target.is_url:
        opened = server(target, timeout=timeout, read_only=not writes)
    else:
        opened = database(target, timeout=timeout, read_only=not writes, create=writes)
    async with opened as db:
        if not writes and not await has_memory(db):
            raise ValueError(f"{target} holds no memory: `aiomemdb remember {target} TEXT` begins one")
        try:
            whole = await Memory.open(db, namespace=namespace, agent=agent, normaliser=normaliser)
        except NormaliserChanged as error:
            if writes:
                raise refusal(error) from None
            whole = await (await Written.of(db)).open(namespace=namespace, agent=agent)
        async with whole:
            yield whole.scoped(also_read=also_read or ())
