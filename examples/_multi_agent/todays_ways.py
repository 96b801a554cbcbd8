"""The same files, written in the ways of today: aiosqlite, WAL, its default lock timeout of five seconds.

Each agent writes one file statement by statement and commits at its end. A file that fails is rolled back,
counted, and not tried again, except where the agent itself gave up halfway: then it takes the file once more.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator

import aiosqlite

from _multi_agent.graph import (
    ADD_ENTITY,
    ADD_LINK,
    FIND_ENTITY,
    FIND_LINK,
    SCHEMA,
    GaveUp,
    Outcome,
    gives_up_first,
)
from _multi_agent.source import Entity, FileFacts

Way = Callable[[str, Iterable[FileFacts], int, Outcome], Awaitable[None]]


async def time_boxed(
    way: Way, path: str, units: Iterable[FileFacts], agents: int, outcome: Outcome, seconds: float
) -> None:
    """Run one way until its time is up or all is written; files under way then are brought to their end."""
    started = time.perf_counter()
    await way(path, _until(started + seconds, units), agents, outcome)
    outcome.seconds = time.perf_counter() - started


def _until(deadline: float, units: Iterable[FileFacts]) -> Iterator[FileFacts]:
    for facts in units:
        if time.perf_counter() >= deadline:
            return
        yield facts


async def a_connection_each(path: str, units: Iterable[FileFacts], agents: int, outcome: Outcome) -> None:
    """Every agent has a connection of its own; Python's sqlite3 begins at the first INSERT."""
    await _each_alone(path, units, agents, outcome, begin=None)


async def a_connection_each_begin(path: str, units: Iterable[FileFacts], agents: int, outcome: Outcome) -> None:
    """The same with BEGIN before the first look, so that what was looked up still holds when inserting.

    SQLite keeps that promise by refusal, at once and whatever the timeout: a transaction that has read cannot
    begin to write while another one writes, nor after another one wrote.
    """
    await _each_alone(path, units, agents, outcome, begin="BEGIN")


async def a_connection_each_immediate(path: str, units: Iterable[FileFacts], agents: int, outcome: Outcome) -> None:
    """The same with BEGIN IMMEDIATE, which waits for its turn before it looks."""
    await _each_alone(path, units, agents, outcome, begin="BEGIN IMMEDIATE")


async def one_shared_connection(path: str, units: Iterable[FileFacts], agents: int, outcome: Outcome) -> None:
    """All agents share one connection, so that none ever waits for a lock."""
    await _create(path)
    async with aiosqlite.connect(path) as conn, asyncio.TaskGroup() as team:
        await conn.execute("PRAGMA synchronous=NORMAL")
        for _ in range(agents):
            team.create_task(_write_all(conn, units, outcome, None))


async def _each_alone(
    path: str, units: Iterable[FileFacts], agents: int, outcome: Outcome, *, begin: str | None
) -> None:
    async def agent() -> None:
        async with aiosqlite.connect(path) as conn:
            await conn.execute("PRAGMA synchronous=NORMAL")
            await _write_all(conn, units, outcome, begin)

    await _create(path)
    async with asyncio.TaskGroup() as team:
        for _ in range(agents):
            team.create_task(agent())


async def _create(path: str) -> None:
    async with aiosqlite.connect(path) as conn:
        await conn.execute("PRAGMA journal_mode=WAL")
        await conn.executescript(SCHEMA)


async def _write_all(
    conn: aiosqlite.Connection, units: Iterable[FileFacts], outcome: Outcome, begin: str | None
) -> None:
    for facts in units:
        try:
            try:
                await _write_file(conn, facts, begin, give_up_halfway=gives_up_first(facts))
            except GaveUp:
                await conn.rollback()
                await _write_file(conn, facts, begin, give_up_halfway=False)
        except sqlite3.Error as error:
            await conn.rollback()
            outcome.errors[str(error)] += 1
        else:
            outcome.done.append(facts)


async def _write_file(
    conn: aiosqlite.Connection, facts: FileFacts, begin: str | None, *, give_up_halfway: bool
) -> None:
    if begin:
        await conn.execute(begin)
    ids: dict[Entity, int] = {}
    for entity in facts.entities:
        ids[entity] = await _find_or_add(conn, FIND_ENTITY, ADD_ENTITY, entity)
    if give_up_halfway:
        raise GaveUp
    for kind, source, target in facts.links:
        await _find_or_add(conn, FIND_LINK, ADD_LINK, (kind, ids[source], ids[target]))
    await conn.commit()


async def _find_or_add(
    conn: aiosqlite.Connection, find: str, add: str, values: tuple[str, str] | tuple[str, int, int]
) -> int:
    for row in await conn.execute_fetchall(find, values):
        return int(row[0])
    inserted = await conn.execute_insert(add, values)
    assert inserted is not None
    return int(inserted[0])
