"""What the processes of a fleet do: they append to one table, read it, and report each call for the checker.

These functions run in processes that ``tests.support.fleet`` starts; the last few run in the test.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from functools import partial
from itertools import count, islice
from pathlib import Path
from time import monotonic, monotonic_ns, sleep
from typing import Any

import aiomemdb
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from tests.support.history import Read, Write, violations
from tests.support.nursery import Worker
from tests.support.plain import assert_healthy, plain

# All create it: on a brand-new file any may come first. Nothing is UNIQUE, so that what is there twice
# is seen; without AUTOINCREMENT and deletes the ids are 1, 2, 3, ... in commit order.
SCHEMA = """
CREATE TABLE IF NOT EXISTS history (id INTEGER PRIMARY KEY, token INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL);
INSERT OR IGNORE INTO counter VALUES (1, 0);
"""
INSERT = "INSERT INTO history (token) VALUES (?)"
SEEN = "SELECT count(*), ifnull(max(id), 0), ifnull(sum(token), 0) FROM history"

Way = Callable[[SQLiteDatabase, Sequence[int]], Awaitable[object]]


async def _write_each(db: SQLiteDatabase, tokens: Sequence[int]) -> None:
    (token,) = tokens
    await db.write(INSERT, (token,))


async def _submit(db: SQLiteDatabase, tokens: Sequence[int]) -> None:
    (token,) = tokens
    await db.submit(INSERT, (token,))


async def _transaction(db: SQLiteDatabase, tokens: Sequence[int], *, durable: bool = False) -> None:
    async with db.transaction(durable=durable) as tx:
        for token in tokens:
            await tx.write(INSERT, (token,))


def _insert_each(conn: sqlite3.Connection, tokens: Sequence[int]) -> None:
    for token in tokens:
        conn.execute(INSERT, (token,))


# How some rows can be appended by one job, and how many.
WAYS: dict[str, tuple[int, Way]] = {
    "write": (1, _write_each),
    "submit": (1, _submit),
    "write_many": (3, lambda db, tokens: db.write_many(INSERT, [(token,) for token in tokens])),
    "write_fn": (3, lambda db, tokens: db.write_fn(_insert_each, tokens)),
    "write_script": (
        2,
        lambda db, tokens: db.write_script(";".join(f"INSERT INTO history (token) VALUES ({t})" for t in tokens)),
    ),
    "transaction": (3, _transaction),
}


async def _write_and_flush(db: SQLiteDatabase, tokens: Sequence[int]) -> None:
    await _write_each(db, tokens)
    try:
        await db.flush()
    except (sqlite3.Error, aiomemdb.AiomemdbError) as error:
        raise aiomemdb.CommitOutcomeUnknown("written, but perhaps not on stable storage") from error


# The same with a promise more.
DURABLE_WAYS: dict[str, tuple[int, Way]] = {
    "durable write": (1, lambda db, tokens: db.write(INSERT, tokens, durable=True)),
    "durable write_fn": (3, lambda db, tokens: db.write_fn(_insert_each, tokens, durable=True)),
    "durable transaction": (3, partial(_transaction, durable=True)),
    "flush": (1, _write_and_flush),
}


class Recorder:
    """One database handle with its calls recorded, as those of one caller: a handle's jobs have an order of their own.

    With ``at_once`` each call and each return is reported when it happens, for a process that will be killed.
    Otherwise all is told at the end, so that reporting takes no time from what is tested.
    """

    def __init__(self, worker: Worker, db: SQLiteDatabase, *, handle: int = 0, at_once: bool = False) -> None:
        self._db = db
        self._worker = worker
        self._caller = f"process {worker.number}" + (f", handle {handle}" if handle else "")
        # Unique by the number at the end. The random part makes the sum of some rows tell which they were; 20,000 of
        # 50 processes add up to less than 2 ** 63.
        part = random.Random(self._caller).getrandbits
        self._tokens = (worker.number << 40 | handle << 36 | part(16) << 20 | n for n in count())
        self._at_once = at_once
        self._calls: list[Write | Read] = []

    async def append(self, way: str) -> None:
        """One job; its outcome is recorded whatever it is, and an error raised."""
        durable = way in DURABLE_WAYS
        rows, do = DURABLE_WAYS[way] if durable else WAYS[way]
        tokens = tuple(islice(self._tokens, rows))
        # Nothing awaits between this moment and the job's place in the queue.
        called = monotonic_ns()
        if self._at_once:
            self._record(Write(self._caller, tokens, called, durable=durable))
        applied: bool | None = None
        try:
            await do(self._db, tokens)
            applied = True
        except sqlite3.Error:
            applied = False
            raise
        except aiomemdb.AiomemdbError as error:
            applied = error.applied
            raise
        finally:
            self._record(Write(self._caller, tokens, called, monotonic_ns(), applied, durable))

    async def look(self) -> None:
        called = monotonic_ns()
        row = await self._db.read_one(SEEN)
        assert row is not None
        self._record(Read(self._caller, called, monotonic_ns(), *row))

    def tell(self) -> None:
        for call in self._calls:
            self._report(call)

    def _record(self, call: Write | Read) -> None:
        if self._at_once:
            self._report(call)
        else:
            self._calls.append(call)

    def _report(self, call: Write | Read) -> None:
        self._worker.report(**{type(call).__name__: asdict(call)})


# -- workers -------------------------------------------------------------------------------------------------


async def append(
    worker: Worker,
    *,
    path: str,
    writes: int | None,
    ways: Sequence[str] = ("write",),
    callers: int = 1,
    handles: int = 1,
    look_every: int = 10,
    at_once: bool = False,
) -> None:
    """``callers`` on each of ``handles``; each does ``writes`` jobs (None: until it is killed), in turn by each way.

    All open at the same instant, and begin to write at the same instant: who opened first would be done otherwise
    before the last has come.
    """

    async def call(recorder: Recorder, caller: int) -> None:
        for turn in range(writes) if writes is not None else count():
            await recorder.append(ways[(turn + caller) % len(ways)])
            # Only one of them: a read of the whole table takes longer than a write, and more so the longer it gets.
            if caller == 0 and turn % look_every == look_every - 1:
                await recorder.look()

    async with AsyncExitStack() as stack:
        recorders = []
        for handle in range(handles):
            db = await stack.enter_async_context(aiomemdb.connect(path, readers=1))
            await db.write_script(SCHEMA)
            recorders.append(Recorder(worker, db, handle=handle, at_once=at_once))
        worker.meet()
        async with asyncio.TaskGroup() as group:
            for recorder in recorders:
                for caller in range(callers):
                    group.create_task(call(recorder, caller))
        for recorder in recorders:
            recorder.tell()


async def look(worker: Worker, *, path: str, reads: int) -> None:
    """Only reads, one after another."""
    async with aiomemdb.connect(path, readers=1) as db:
        await db.write_script(SCHEMA)
        recorder = Recorder(worker, db)
        worker.meet()
        for _ in range(reads):
            await recorder.look()
        recorder.tell()


def _count_up(conn: sqlite3.Connection) -> int:
    [value] = conn.execute("SELECT value FROM counter").fetchone()
    conn.execute("UPDATE counter SET value = ?", (value + 1,))
    return int(value) + 1


async def count_up(worker: Worker, *, path: str, times: int) -> None:
    """Reads a counter and writes back one more, half of the times by a function, half in a transaction."""
    async with aiomemdb.connect(path, readers=1) as db:
        await db.write_script(SCHEMA)

        async def by_function() -> list[int]:
            return [await db.write_fn(_count_up) for _ in range(times // 2)]

        async def by_transaction() -> list[int]:
            counted = []
            for _ in range(times // 2):
                async with db.transaction() as tx:
                    value = await tx.read_value("SELECT value FROM counter")
                    await tx.write("UPDATE counter SET value = ?", (value + 1,))
                counted.append(value + 1)
            return counted

        for counted in await asyncio.gather(by_function(), by_transaction()):
            worker.report(counted=counted)


def _dawdle(conn: sqlite3.Connection, seconds: float) -> None:
    conn.execute(INSERT, (1,))
    sleep(seconds)


async def take_long_turns(worker: Worker, *, path: str, turn: float, seconds: float) -> None:
    """One after another, and reports how many, and the longest wait for one."""
    async with aiomemdb.connect(path, readers=1, lock_timeout=100) as db:
        await db.write_script(SCHEMA)
        worker.meet()
        turns, worst, end = 0, 0.0, monotonic() + seconds
        while (asked := monotonic()) < end:
            await db.write_fn(_dawdle, turn)
            turns, worst = turns + 1, max(worst, monotonic() - asked)
        worker.report(turns=turns, worst=worst)


# -- what they reported --------------------------------------------------------------------------------------


def assert_promises_kept(path: Path, records: Iterable[Iterable[dict[str, Any]]]) -> list[Write]:
    """The file is healthy and the history of all that was reported is right; returns the writes.

    To be called when no other process has the file open any more.
    """
    assert_healthy(path)
    writes, reads = heard(records)
    table = [(id, token) for id, token in plain(path, "SELECT id, token FROM history ORDER BY id")]
    found = violations(writes, reads, table)
    assert not found, "\n".join(found)
    return writes


def heard(records: Iterable[Iterable[dict[str, Any]]]) -> tuple[list[Write], list[Read]]:
    """The calls that were reported; of a killed process, that they had been called."""
    writes: dict[tuple[int, ...], Write] = {}
    reads = []
    for record in (record for of_one in records for record in of_one):
        match record:
            case {"Write": call}:
                tokens = tuple(call.pop("tokens"))
                writes[tokens] = Write(tokens=tokens, **call)
            case {"Read": call}:
                reads.append(Read(**call))
    return list(writes.values()), reads
