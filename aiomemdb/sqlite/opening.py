"""How a new connection is set up, on its own thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ..config import Config
from ..errors import AiomemdbError
from ..values import Row
from .connection import retry_while_busy
from .filelock import Turnstile
from .guard import GuardedConnection
from .hazards import has_second_library, second_library

__all__ = ["configure_reader", "configure_writer"]

T = TypeVar("T")

# RETURNING needs 3.35, table_list, which tells WITHOUT ROWID tables, 3.37.
_OLDEST_SQLITE = (3, 37, 0)

# These shape a file when it is created, so they come before the first page is written.
_AT_CREATION = ("page_size", "auto_vacuum", "encoding")

# This is a write into the file: one for the writer alone, and only where it changes something.
_STORED = "application_id"


def configure_writer(
    raw: GuardedConnection, *, config: Config, path: Path, turnstile: Turnstile, given_up: Callable[[], bool]
) -> None:
    def patiently(call: Callable[[], T]) -> T:
        return retry_while_busy(call, config.lock_timeout, path, given_up)

    _check_version()
    _check_is_database(raw, patiently, path)
    turnstile.open()
    # Asked before it is set: to set it on a new file that many open at once fails as busy, so that takes a turn. A file
    # that has it is opened without one, also beside a process that keeps its turn.
    [mode] = patiently(lambda: raw.execute("PRAGMA journal_mode").fetchone())
    if mode != "wal":
        turnstile.acquire(config.lock_timeout, given_up)
        try:
            _create(raw, config, patiently, path)
        finally:
            turnstile.release()
    raw.execute(f"PRAGMA synchronous={'FULL' if config.durability == 'full' else 'NORMAL'}")
    raw.execute("PRAGMA wal_autocheckpoint=0")  # see maintenance.Checkpointer
    if _STORED in config.pragmas:
        wanted = _literal(config.pragmas[_STORED])
        if str(raw.execute(f"PRAGMA {_STORED}").fetchone()[0]) != wanted:
            turnstile.acquire(config.lock_timeout, given_up)
            try:
                patiently(lambda: raw.execute(f"PRAGMA {_STORED}={wanted}"))
            finally:
                turnstile.release()
    _configure(raw, config)
    raw.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, config.max_value_bytes)
    # The log exists from the first read on; its identity is noted next.
    patiently(lambda: raw.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall())
    _refuse_second_library(path)
    _guard(raw)


def _create(raw: GuardedConnection, config: Config, patiently: Callable[[Callable[[], Any]], Any], path: Path) -> None:
    for name in _AT_CREATION:
        if name in config.pragmas:
            raw.execute(f"PRAGMA {name}={_literal(config.pragmas[name])}")
    [mode] = patiently(lambda: raw.execute("PRAGMA journal_mode=WAL").fetchone())
    if mode != "wal":
        raise sqlite3.OperationalError(
            f"{path} can't be switched to a write-ahead log (journal_mode={mode}): its file system has no shared "
            "memory; use a local disk"
        )


def configure_reader(raw: GuardedConnection, *, config: Config, path: Path, given_up: Callable[[], bool]) -> None:
    def patiently(call: Callable[[], T]) -> T:
        return retry_while_busy(call, config.lock_timeout, path, given_up)

    _check_version()
    _check_is_database(raw, patiently, path)
    _refuse_second_library(path)
    _configure(raw, config)
    raw.execute("PRAGMA query_only=1")
    _guard(raw)


def _configure(raw: GuardedConnection, config: Config) -> None:
    raw.execute("PRAGMA foreign_keys=ON")
    for name, value in config.pragmas.items():
        if name not in _AT_CREATION and name != _STORED:
            raw.execute(f"PRAGMA {name}={_literal(value)}").fetchall()
    if config.prepare is not None:
        config.prepare(raw)
        if raw.isolation_level is not None or raw.in_transaction:
            raise AiomemdbError("prepare must leave no transaction open, and isolation_level as it is")
    raw.row_factory = Row
    raw.text_factory = str


def _guard(raw: GuardedConnection) -> None:
    raw.set_authorizer(raw.guard.authorize)


def _check_version() -> None:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise AiomemdbError(f"SQLite {sqlite3.sqlite_version} is too old; aiomemdb needs 3.37 or newer")


def _refuse_second_library(path: Path) -> None:
    if has_second_library(path):
        raise AiomemdbError(second_library(path))


def _check_is_database(raw: GuardedConnection, patiently: Callable[[Callable[[], Any]], Any], path: Path) -> None:
    try:
        patiently(lambda: raw.execute("PRAGMA schema_version").fetchone())
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB:
            error.add_note(f"{path} is some other file (or encrypted); it was left as it is")
        raise


def _literal(value: int | str) -> str:
    return str(int(value)) if isinstance(value, int) else f"'{value}'"  # UTF-8, bare, would be a syntax error
