"""What programs do with SQLAlchemy's asyncio: the same code on stock's ``sqlite+aiosqlite`` and on ours."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from typing import Any

from _cells import OURS, Cell, Options
from _driving import Crowd, Sample, check_notes, percentiles, run_for
from _harness import BODY, INSERT, fresh_database, on_loop

import aiomemdb

__all__ = ["AGENTS", "BESIDE", "CEILING", "HELD", "INCREMENTS", "READING", "RERUNS", "STOCK", "sessions"]

STOCK = "SQLAlchemy on aiosqlite"

INCREMENTS = "SQLAlchemy, increments of 16 writers"
BESIDE = "db.write beside 16 sessions that only read"
READING = "SQLAlchemy, 16 sessions that only read"
HELD = "SQLAlchemy, 16 sessions beside one that holds the writer"
AGENTS = "SQLAlchemy, agents with a session each"
RERUNS = "reruns"

_ROWS = 10_000
_SESSIONS = 16
_READ = "SELECT body FROM note WHERE id = :id"

#: No thread, no turn of the file and nothing that others could wait for: what a driver on a thread can't reach.
CEILING = "sqlite3 on the loop's thread"

Make = Callable[..., Any]


def _stock(path: str) -> Any:
    from sqlalchemy import event
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    return engine


def _ours(path_or_db: Any) -> Any:
    return import_module("aiomemdb.integrations.sqlalchemy").create_async_engine(path_or_db)


def _without_threads(path: str) -> Any:
    """Ours, with each call made by sqlite3, here and now; a transaction waits for the one before."""
    driver = import_module("aiomemdb.integrations.sqlalchemy.driver").DriverConnection
    answer = import_module("aiomemdb.sqlite.interactive.rows").Answer
    connection, turn = sqlite3.connect(path, isolation_level=None), asyncio.Lock()
    connection.execute("PRAGMA synchronous=NORMAL")
    holders = set[Any]()

    async def execute(self: Any, sql: str, params: Any = (), *, locks: bool = False) -> Any:
        if self not in holders:
            await turn.acquire()
            holders.add(self)
            connection.execute("BEGIN IMMEDIATE")
        cursor = connection.execute(sql, params)
        columns = tuple(column[0] for column in cursor.description) if cursor.description else None
        return answer(columns, cursor.fetchall() if columns else (), cursor.lastrowid, cursor.rowcount)

    async def end(self: Any, sql: str) -> None:
        if self in holders:
            connection.execute(sql)
            holders.discard(self)
            turn.release()

    async def begin(self: Any) -> None:
        pass

    driver.execute, driver.begin = execute, begin
    driver.commit, driver.rollback = lambda self: end(self, "COMMIT"), lambda self: end(self, "ROLLBACK")
    return _ours(path)


def sessions(options: Options) -> Iterator[Cell]:
    """Raises ImportError where the dialect, or SQLAlchemy, is not there."""
    import_module("aiomemdb.integrations.sqlalchemy")
    for name, make in ((STOCK, _stock), (OURS, _ours)):
        each = 3 if options.quick else 20
        yield Cell(INCREMENTS, name, _SESSIONS * each, partial(_increments, make, each), 1, at_most=120)
        yield Cell(READING, name, _SESSIONS, partial(_reading, make, options.seconds), 1)
        seconds = 0.5 if options.quick else 5.0
        yield Cell(HELD, name, _SESSIONS, partial(_beside_a_holder, make, seconds), at_most=60)
        for agents in (16,) if options.quick else (64, 256, 512):
            measure = partial(_agents, make, agents, 4 * options.seconds)
            yield Cell(AGENTS, name, agents, measure, at_most=90)
    yield Cell(INCREMENTS, CEILING, _SESSIONS * each, partial(_increments, _without_threads, each), 1, at_most=120)
    yield Cell(BESIDE, OURS, _SESSIONS, partial(_beside_sessions, options.seconds * 2), 1)


@asynccontextmanager
async def _engine(make: Make, path: Any) -> AsyncIterator[Any]:
    engine = make(path)
    yield engine
    await engine.dispose()


def _maker(engine: Any) -> Any:
    from sqlalchemy.ext.asyncio import async_sessionmaker

    return async_sessionmaker(engine, expire_on_commit=False)


def _text(sql: str) -> Any:
    from sqlalchemy import text

    return text(sql)


def _reader(session: Any, seed: int) -> Callable[[int], Awaitable[None]]:
    statement = _text(_READ)

    async def read(job: int) -> None:
        async with session() as own:
            assert await own.scalar(statement, {"id": (job + seed) % _ROWS + 1})

    return read


async def _warm(session: Any) -> None:
    """The pool is filled, the first statements are compiled."""
    readers = [_reader(session, seed) for seed in range(_SESSIONS)]
    for _ in range(3):
        await asyncio.gather(*[read(0) for read in readers])


def _increments(make: Make, each: int) -> Sample:
    """Each reads a counter, computes, and writes it: lost are those that were acknowledged and are not in it."""
    from sqlalchemy.exc import OperationalError

    with fresh_database(rows=_ROWS) as path:
        reruns, waits = 0, list[float]()

        async def main() -> float:
            async with _engine(make, path) as engine:
                session = _maker(engine)
                await _warm(session)
                select, update = _text("SELECT n FROM counter"), _text("UPDATE counter SET n = :n")

                async def increment() -> None:
                    async with session.begin() as own:
                        value = await own.scalar(select)
                        await asyncio.sleep(0)
                        await own.execute(update, {"n": value + 1})

                async def writer() -> None:
                    nonlocal reruns
                    for _ in range(each):
                        asked = time.perf_counter()
                        while True:
                            try:
                                await increment()
                            except OperationalError:
                                reruns += 1
                            else:
                                break
                        waits.append(time.perf_counter() - asked)

                began = time.perf_counter()
                await asyncio.gather(*[writer() for _ in range(_SESSIONS)])
                return time.perf_counter() - began

        took, done = on_loop(main), _SESSIONS * each
        [found] = sqlite3.connect(path).execute("SELECT n FROM counter").fetchone()
    figures = {RERUNS: float(reruns), "counted": float(found)}
    return Sample(rate=done / took, waits={"increment": percentiles(waits)}, lost=done - found, figures=figures)


def _reading(make: Make, seconds: float) -> Sample:
    with fresh_database(rows=_ROWS) as path:

        async def main() -> Sample:
            async with _engine(make, path) as engine:
                session = _maker(engine.execution_options(aiomemdb_readonly=True) if make is _ours else engine)
                await _warm(session)
                crowd = Crowd("read", [_reader(session, seed) for seed in range(_SESSIONS)])
                return await run_for(seconds, crowd)

        return on_loop(main)


def _beside_a_holder(make: Make, seconds: float) -> Sample:
    """One has written and waits for a model; the others read in sessions that say nothing of reading."""
    with fresh_database(rows=_ROWS) as path:

        async def main() -> Sample:
            async with _engine(make, path) as engine:
                session = _maker(engine)
                await _warm(session)
                async with session.begin() as holding:
                    await holding.execute(_text("UPDATE counter SET n = n + 1"))
                    crowd = Crowd("read", [_reader(session, seed) for seed in range(_SESSIONS)])
                    return await run_for(seconds, crowd)

        return on_loop(main)


def _beside_sessions(seconds: float) -> Sample:
    with fresh_database(rows=_ROWS) as path:

        async def main() -> tuple[Crowd, Sample]:
            async with aiomemdb.connect(path) as db, _engine(_ours, db) as engine:
                session = _maker(engine)
                await _warm(session)
                await db.write("UPDATE counter SET n = n")
                writing = Crowd("write", [lambda job: db.write(INSERT, (job, BODY))])
                reading = Crowd("read", [_reader(session, seed) for seed in range(_SESSIONS)])
                return writing, await run_for(seconds, writing, reading)

        crowd, sample = on_loop(main)
        check_notes(path, crowd, sample, before=_ROWS)
    return sample


def _agents(make: Make, agents: int, seconds: float) -> Sample:
    """Each in one transaction reads a note and writes one; where another one was faster, it runs again."""
    from sqlalchemy.exc import OperationalError

    with fresh_database(rows=_ROWS) as path:
        reruns = 0

        async def main() -> tuple[Crowd, Sample]:
            async with _engine(make, path) as engine:
                session = _maker(engine)
                await _warm(session)
                select = _text(_READ)
                insert = _text("INSERT INTO note (agent, body) VALUES (:agent, :body)")

                async def step(job: int) -> None:
                    nonlocal reruns
                    for attempt in range(50):
                        try:
                            async with session.begin() as own:
                                await own.scalar(select, {"id": job % _ROWS + 1})
                                await own.execute(insert, {"agent": job, "body": BODY})
                            return
                        except OperationalError:
                            if make is not _ours or attempt == 49:
                                raise
                            reruns += 1

                crowd = Crowd("step", [step] * agents)
                sample = await run_for(seconds, crowd)
                sample.figures = {RERUNS: float(reruns), "threads": float(threading.active_count())}
                return crowd, sample

        crowd, sample = on_loop(main)
        check_notes(path, crowd, sample, before=_ROWS)
    return sample
