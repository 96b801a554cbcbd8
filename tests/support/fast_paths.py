"""The fast paths, each with a switch that takes it away: `pytest --without many-rows`, or several times `--without`.

What is left does the same by a slower way, so the suite passes without any of them; only tests that are marked
``fast_path("many-rows")``, since they ask whether it is taken, are left out. What each is worth: bench/README.md.

A switch is for the process that calls it and can't be undone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from aiomemdb.concurrency import bell, job, worker
from aiomemdb.concurrency.queue import JobQueue
from aiomemdb.concurrency.step_aside import StepAside
from aiomemdb.sqlite.common.rows import SQLiteRow
from aiomemdb.sqlite.connection.guarded import GuardedConnection
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.engine.transaction import SQLiteTransaction
from aiomemdb.sqlite.file.files import FileIdentity
from aiomemdb.sqlite.file.writeback import LogWriteback
from aiomemdb.sqlite.reading import readers
from aiomemdb.sqlite.writing import hold, operations, statements, writer
from aiomemdb.sqlite.writing.session import Session
from aiomemdb.sqlite.writing.writer import Writer

__all__ = ["WITHOUT", "take_away"]


class _Always:
    """An attribute that stays what it is."""

    def __init__(self, make: Callable[[Any], object]) -> None:
        self._make = make

    def __get__(self, instance: object, owner: type) -> object:
        return self._make(instance)

    def __set__(self, instance: object, value: object) -> None:
        pass


def _put(owner: object, name: str, value: object) -> None:
    assert hasattr(owner, name), f"{name} is not there any more"
    setattr(owner, name, value)


def _many_rows() -> None:
    _put(statements, "of_many_rows", lambda sql, *limits: ())


def _runs() -> None:
    _put(statements, "follows", lambda program: False)


def _simple() -> None:
    _put(operations, "write", operations.write_marked)
    operations.WRITE.run = operations.write_marked


def _autocommit() -> None:
    _put(Session, "allow_autocommit", lambda session, sql, params: None)


def _hot_write() -> None:
    assert "write" in vars(SQLiteDatabase)
    del SQLiteDatabase.write


def _hot_read() -> None:
    assert "read" in vars(SQLiteDatabase)
    del SQLiteDatabase.read


def _bell() -> None:
    _put(bell, "_HAS_EVENTFD", False)


def _step_aside() -> None:
    _put(StepAside, "_step_aside", lambda *args: None)


def _look_after() -> None:
    _put(StepAside, "ask_soon", lambda aside, now: None)


def _just_before() -> None:
    _put(worker, "JUST_BEFORE", -1.0)


def _lone_wake() -> None:
    Writer._is_lone = _Always(lambda writer: False)  # type: ignore[assignment]


def _settle_in_c() -> None:
    def settle(jobs: Sequence[tuple[Any, ...]], outcomes: Sequence[Any], *, failed: bool) -> None:
        for (future, *_), outcome in zip(jobs, outcomes, strict=True):
            job.settle_one(future, outcome)

    _put(writer, "settle", settle)
    _put(readers, "settle", settle)


def _take_whole() -> None:
    def take(queue: JobQueue) -> tuple[list[job.WriteJob], bool]:
        taken = queue._take_looking()
        queue.behind = len(queue)
        return taken

    _put(JobQueue, "take", take)


def _one_cursor() -> None:
    latest: WeakKeyDictionary[GuardedConnection, sqlite3.Cursor] = WeakKeyDictionary()

    def cursor(connection: GuardedConnection) -> sqlite3.Cursor:
        if connection in latest:
            latest[connection].close()
        made = latest[connection] = type(connection).cursor(connection)
        made.row_factory = SQLiteRow
        return made

    GuardedConnection.asking = _Always(cursor)  # type: ignore[assignment]


def _folder() -> None:
    def check(identity: FileIdentity) -> bool:
        identity._look_at = 0.0
        return look(identity)

    look = FileIdentity.check
    _put(FileIdentity, "check", check)


def _hot_step() -> None:
    assert "write" in vars(SQLiteTransaction)
    del SQLiteTransaction.write


def _no_savepoint() -> None:
    _put(hold, "_NO_SAVEPOINT", ())


def _early_writeback() -> None:
    _put(LogWriteback, "begin", lambda writeback: None)


#: By its name in bench/README.md, what takes it away.
WITHOUT: dict[str, Callable[[], None]] = {
    "many-rows": _many_rows,
    "runs": _runs,
    "simple": _simple,
    "autocommit": _autocommit,
    "hot-write": _hot_write,
    "hot-read": _hot_read,
    "bell": _bell,
    "step-aside": _step_aside,
    "look-after": _look_after,
    "just-before": _just_before,
    "lone-wake": _lone_wake,
    "settle-in-c": _settle_in_c,
    "take-whole": _take_whole,
    "one-cursor": _one_cursor,
    "folder": _folder,
    "hot-step": _hot_step,
    "no-savepoint": _no_savepoint,
    "early-writeback": _early_writeback,
}


def take_away(names: Sequence[str]) -> None:
    for name in names:
        WITHOUT[name]()
