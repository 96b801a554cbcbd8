"""The storm: many agents state facts in one file at once, in each of today's ways and in ours.

A fact is a transaction of its own: find or create the name of its two ends, then the fact, in the same tables, by the
same statements. One fact in forty is given up halfway, as when a tool call fails, rolled back, and then stated again.
Each way has the usual settings: WAL, synchronous=NORMAL, five seconds of waiting for a lock. A fact that fails is
counted, and not tried again.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import NamedTuple

import aiosqlite

import aiomemdb
from _multi_agent.graph import ADD_FACT, ADD_NAME, FIND_FACT, FIND_NAME, PLAIN_TABLES, SCHEMA, compare, truth_of_facts
from _multi_agent.source import Link

GIVEN_UP = 40
LOCK_TIMEOUT = 5.0
BEGIN = "BEGIN IMMEDIATE"


class GaveUp(Exception):
    """The agent dropped its fact halfway."""


@dataclass
class Tally:
    """What a way of writing says it did, and what its file says then."""

    name: str
    done: list[Link] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0  # seconds that one fact took
    seconds: float = 0.0
    commits: int = 0  # counted in our way alone: in all others each fact has its own
    lost: int = 0
    doubled: int = 0
    stray: int = 0

    @property
    def rate(self) -> float:
        return len(self.done) / self.seconds if self.seconds else 0.0

    @property
    def perfect(self) -> bool:
        return not (self.errors or self.lost or self.doubled or self.stray)


# State one fact; True: raise GaveUp halfway, and undo what was done.
State = Callable[[Link, bool], Awaitable[None]]


class Way(NamedTuple):
    name: str
    # For a path, a number of agents and a tally: what each of the agents calls.
    start: Callable[[str, int, Tally], AbstractAsyncContextManager[Sequence[State]]]


async def storm(way: Way, path: str, facts: Iterable[Link], agents: int, seconds: float, tally: Tally) -> None:
    """Lets the agents state facts in one of the ways until the time is up or all is stated; then looks at the file."""
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.executescript(SCHEMA)
    async with way.start(path, agents, tally) as states, asyncio.TaskGroup() as team:
        started = time.perf_counter()
        work = _until(started + seconds, facts)  # shared: a free agent takes the next fact
        running = [team.create_task(_agent(state, work, tally)) for state in states]
        while not all(task.done() for task in running):
            await asyncio.wait(running, timeout=0.1)
            tally.seconds = time.perf_counter() - started
    verdict = await asyncio.to_thread(compare, path, truth_of_facts(tally.done), PLAIN_TABLES)
    tally.lost, tally.doubled, tally.stray = verdict.lost, verdict.doubled, verdict.stray
    if verdict.integrity != "ok":
        tally.errors[verdict.integrity] += 1


def _until(deadline: float, facts: Iterable[Link]) -> Iterator[tuple[int, Link]]:
    return itertools.takewhile(lambda _: time.perf_counter() < deadline, enumerate(facts, 1))


async def _agent(state: State, work: Iterator[tuple[int, Link]], tally: Tally) -> None:
    for number, fact in work:
        began = time.perf_counter()
        try:
            if number % GIVEN_UP == 0:
                try:
                    await state(fact, True)
                except GaveUp:
                    pass
            await state(fact, False)
        except (sqlite3.Error, aiomemdb.AiomemdbError) as error:
            tally.errors[str(error)] += 1
        else:
            tally.done.append(fact)
        tally.longest = max(tally.longest, time.perf_counter() - began)


# --- A fact, in plain sqlite3 ------------------------------------------------------------------------------


def state_fact(conn: sqlite3.Connection, fact: Link, give_up: bool) -> None:
    kind, source, target = fact
    ids = [_find_or_add(conn, FIND_NAME, ADD_NAME, name) for name in (source, target)]
    if give_up:
        raise GaveUp
    _find_or_add(conn, FIND_FACT, ADD_FACT, (kind, *ids))


def _find_or_add(conn: sqlite3.Connection, find: str, add: str, values: tuple[str | int, ...]) -> int:
    row = conn.execute(find, values).fetchone()
    if row is not None:
        return int(row[0])
    inserted = conn.execute(add, values).lastrowid
    assert inserted is not None
    return inserted


@asynccontextmanager
async def aiomemdb_writer(path: str, agents: int, tally: Tally) -> AsyncIterator[Sequence[State]]:
    """The function runs on the writer's thread; agents that wait at the same time share a commit."""
    async with aiomemdb.connect(path, lock_timeout=LOCK_TIMEOUT) as db:

        async def state(fact: Link, give_up: bool) -> None:
            await db.write_fn(state_fact, fact, give_up)

        yield [state] * agents
        tally.commits = db.statistics().batches


@asynccontextmanager
async def threads(path: str, agents: int, tally: Tally) -> AsyncIterator[Sequence[State]]:
    """A thread with a connection of its own for each agent, and BEGIN IMMEDIATE: no hop between the statements."""

    def transaction(conn: sqlite3.Connection, fact: Link, give_up: bool) -> None:
        conn.execute(BEGIN)
        try:
            state_fact(conn, fact, give_up)
            conn.commit()
        except BaseException:
            conn.rollback()
            raise

    def state_by(conn: sqlite3.Connection) -> State:
        async def state(fact: Link, give_up: bool) -> None:
            await loop.run_in_executor(pool, transaction, conn, fact, give_up)

        return state

    loop = asyncio.get_running_loop()
    conns: list[sqlite3.Connection] = []
    try:
        with ThreadPoolExecutor(agents) as pool:  # at its end it waits for what runs
            for _ in range(agents):
                conns.append(sqlite3.connect(path, timeout=LOCK_TIMEOUT, check_same_thread=False))
                conns[-1].execute("PRAGMA synchronous=NORMAL")
            yield [state_by(conn) for conn in conns]
    finally:
        for conn in conns:
            conn.close()


# --- A fact, in aiosqlite ----------------------------------------------------------------------------------


async def _state(conn: aiosqlite.Connection, begin: str | None, fact: Link, give_up: bool) -> None:
    kind, source, target = fact
    try:
        if begin:
            await conn.execute(begin)
        ids = [await _find_or_add_async(conn, FIND_NAME, ADD_NAME, name) for name in (source, target)]
        if give_up:
            raise GaveUp
        await _find_or_add_async(conn, FIND_FACT, ADD_FACT, (kind, *ids))
        await conn.commit()
    except (sqlite3.Error, GaveUp):
        await conn.rollback()
        raise


async def _find_or_add_async(conn: aiosqlite.Connection, find: str, add: str, values: tuple[str | int, ...]) -> int:
    for row in await conn.execute_fetchall(find, values):
        return int(row[0])
    inserted = await conn.execute_insert(add, values)
    assert inserted is not None
    return int(inserted[0])


@asynccontextmanager
async def _connections(path: str, count: int) -> AsyncIterator[list[aiosqlite.Connection]]:
    conns: list[aiosqlite.Connection] = []
    try:
        for _ in range(count):
            conns.append(await aiosqlite.connect(path, timeout=LOCK_TIMEOUT))
            await conns[-1].execute("PRAGMA synchronous=NORMAL")
        yield conns
    finally:  # at once: the lock that one waits for may be another's
        await asyncio.gather(*(conn.close() for conn in conns))


@asynccontextmanager
async def shared(path: str, agents: int, tally: Tally) -> AsyncIterator[Sequence[State]]:
    """All agents share one connection, so that none ever waits for a lock."""
    async with _connections(path, 1) as [conn]:

        async def state(fact: Link, give_up: bool) -> None:
            await _state(conn, None, fact, give_up)

        yield [state] * agents


@asynccontextmanager
async def shared_locked(path: str, agents: int, tally: Tally) -> AsyncIterator[Sequence[State]]:
    """The same behind an asyncio.Lock: one agent's transaction after the other's."""
    lock = asyncio.Lock()
    async with _connections(path, 1) as [conn]:

        async def state(fact: Link, give_up: bool) -> None:
            async with lock:
                await _state(conn, None, fact, give_up)

        yield [state] * agents


def each(begin: str | None) -> Callable[[str, int, Tally], AbstractAsyncContextManager[Sequence[State]]]:
    """A connection for each agent. Python's sqlite3 begins at the first INSERT, unless `begin` comes before it."""

    def state_by(conn: aiosqlite.Connection) -> State:
        async def state(fact: Link, give_up: bool) -> None:
            await _state(conn, begin, fact, give_up)

        return state

    @asynccontextmanager
    async def start(path: str, agents: int, tally: Tally) -> AsyncIterator[Sequence[State]]:
        async with _connections(path, agents) as conns:
            yield [state_by(conn) for conn in conns]

    return start


OURS = Way("aiomemdb", aiomemdb_writer)
WAYS = (
    Way("aiosqlite, one connection for all", shared),
    Way("aiosqlite, one for all, with a lock", shared_locked),
    Way("aiosqlite, one each", each(None)),
    Way("aiosqlite, one each, BEGIN IMMEDIATE", each(BEGIN)),
    Way("threads, one each, BEGIN IMMEDIATE", threads),
    OURS,
)
