"""How a new connection is set up, on its own thread."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from ...errors import AiomemdbError, LockTimeout
from ..common.options import SQLiteConfig
from ..common.rows import SQLiteRow
from ..file.busy import retry_while_busy
from ..file.hazards import has_second_library, second_library
from ..file.turnstile import Turnstile
from .guarded import GuardedConnection
from .policies import READER
from .preparing import run_prepare

__all__ = ["configure_reader", "configure_writer"]

T = TypeVar("T")

# RETURNING needs 3.35, table_list, which shows WITHOUT ROWID tables, 3.37.
_OLDEST_SQLITE = (3, 37, 0)

# These shape a file when it is created, so they come before the first page is written.
_AT_CREATION = ("page_size", "auto_vacuum", "encoding")

# This is a write into the file: one for the writer alone, and only where it changes something.
_STORED = "application_id"


class _Patience:
    """What an opening waits for locks: ``lock_timeout`` in all, for however many it meets."""

    def __init__(self, config: SQLiteConfig, path: Path, given_up: Callable[[], bool]) -> None:
        self._timeout = config.lock_timeout
        self._left = self._timeout
        self._path = path
        self._given_up = given_up

    def __call__(self, call: Callable[[], T]) -> T:
        """Runs ``call``, again and again while another program holds a lock that it needs.

        Raises: LockTimeout, DatabaseClosed: as ``retry_while_busy``.
        """
        return self._spend(lambda left: retry_while_busy(call, left, self._path, self._given_up))

    @contextmanager
    def turn(self, turnstile: Turnstile) -> Iterator[None]:
        self._spend(lambda left: turnstile.acquire(left, self._given_up))
        try:
            yield
        finally:
            turnstile.release()

    def _spend(self, wait: Callable[[float], T]) -> T:
        began = time.monotonic()
        try:
            return wait(round(self._left, 3))  # it is told in the error
        except LockTimeout as error:
            error.add_note(f"opening waits for lock_timeout={self._timeout} s in all, for whatever locks it meets")
            raise
        finally:
            self._left = max(0.0, self._left - (time.monotonic() - began))


def configure_writer(
    raw: GuardedConnection, *, config: SQLiteConfig, path: Path, turnstile: Turnstile, given_up: Callable[[], bool]
) -> None:
    patiently = _Patience(config, path, given_up)
    _check_version()
    _check_is_database(raw, patiently, path)
    turnstile.open()
    # Asked before it is set: to set it on a new file that many open at once fails as busy, so that takes a turn. A file
    # that has it is opened without one, also beside a process that keeps its turn.
    [[mode]] = patiently(lambda: raw.own("PRAGMA journal_mode"))
    if mode != "wal":
        with patiently.turn(turnstile):
            _create(raw, config, patiently, path)
    _configure(raw, config)
    raw.own(f"PRAGMA synchronous={'FULL' if config.durability == 'full' else 'NORMAL'}")
    raw.own("PRAGMA wal_autocheckpoint=0")  # see checkpoints.Checkpointer
    if _STORED in config.pragmas:
        wanted = _literal(config.pragmas[_STORED])
        [[stored]] = raw.own(f"PRAGMA {_STORED}")
        if str(stored) != wanted:
            with patiently.turn(turnstile):
                patiently(lambda: raw.own(f"PRAGMA {_STORED}={wanted}"))
    raw.limit_values(config.max_value_bytes)
    # The log exists from the first read on; its identity is noted next.
    patiently(raw.look_at_schema)
    _refuse_second_library(path)


def _create(raw: GuardedConnection, config: SQLiteConfig, patiently: _Patience, path: Path) -> None:
    for name in _AT_CREATION:
        if name in config.pragmas:
            raw.own(f"PRAGMA {name}={_literal(config.pragmas[name])}")
    [[mode]] = patiently(lambda: raw.own("PRAGMA journal_mode=WAL"))
    if mode != "wal":
        raise sqlite3.OperationalError(
            f"{path} can't be switched to a write-ahead log (journal_mode={mode}): its file system has no shared "
            "memory; use a local disk"
        )


def configure_reader(raw: GuardedConnection, *, config: SQLiteConfig, path: Path, given_up: Callable[[], bool]) -> None:
    _check_version()
    _check_is_database(raw, _Patience(config, path, given_up), path)
    _refuse_second_library(path)
    _configure(raw, config)
    raw.own("PRAGMA query_only=1")
    raw.obey(READER)


def _configure(raw: GuardedConnection, config: SQLiteConfig) -> None:
    raw.own("PRAGMA foreign_keys=ON")
    for name, value in config.pragmas.items():
        if name not in _AT_CREATION and name != _STORED:
            raw.own(f"PRAGMA {name}={_literal(value)}")
    if config.prepare is not None:
        run_prepare(raw, config.prepare)
    raw.row_factory = SQLiteRow
    raw.text_factory = str
    raw.renew_asking()


def _check_version() -> None:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise AiomemdbError(f"SQLite {sqlite3.sqlite_version} is too old; aiomemdb needs 3.37 or newer")


def _refuse_second_library(path: Path) -> None:
    if has_second_library(path):
        raise AiomemdbError(second_library(path))


def _check_is_database(raw: GuardedConnection, patiently: _Patience, path: Path) -> None:
    try:
        patiently(lambda: raw.own("PRAGMA schema_version"))
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB:
            error.add_note(f"{path} is some other file (or encrypted); it was left as it is")
        raise


def _literal(value: int | str) -> str:
    return str(int(value)) if isinstance(value, int) else f"'{value}'"  # UTF-8, bare, would be a syntax error
