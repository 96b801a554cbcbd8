"""Waiting for changes of tables, this process's and others'."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb import DatabaseClosed, SQLiteDatabase

SCHEMA = (
    "CREATE TABLE note (a); CREATE TABLE other (a); CREATE TRIGGER t AFTER UPDATE ON other BEGIN DELETE FROM note; END"
)
PATIENCE = 30.0


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script(SCHEMA)
        yield db


async def settled(db: SQLiteDatabase, *tables: str) -> aiomemdb.sqlite.engine.change_verbs.TableChanges:
    """Changes, with what was written before reported already."""
    changes = db.changes(*tables)
    watcher = db._assembly.watcher  # type: ignore[union-attr]
    while watcher._version is None:  # noqa: ASYNC110
        await asyncio.sleep(0)
    changes._seen = watcher.count
    return changes


async def turn(changes: aiomemdb.sqlite.engine.change_verbs.TableChanges) -> set[str]:
    async with asyncio.timeout(PATIENCE):
        return set(await anext(changes))


async def test_a_change_of_this_process_is_a_turn_at_once(db: SQLiteDatabase) -> None:
    async with await settled(db, "Note", "other") as changes:
        await db.write("INSERT INTO note VALUES (1)")
        assert await turn(changes) == {"note"}
        await db.write("UPDATE other SET a = 1")  # by its trigger, too
        assert await turn(changes) == {"note", "other"}


async def test_changes_of_other_tables_and_failed_writes_are_no_turn(db: SQLiteDatabase) -> None:
    async with await settled(db, "note") as changes:
        await db.write("INSERT INTO other VALUES (1)")
        with pytest.raises(sqlite3.Error):
            await db.write("INSERT INTO nothing VALUES (1)")
        waiting = asyncio.ensure_future(turn(changes))
        await db.flush()
        await asyncio.sleep(0)
        assert not waiting.done()
        await db.write("INSERT INTO note VALUES (1)")
        assert await waiting == {"note"}


async def test_many_changes_are_one_turn_and_none_after_the_turn_is_missed(db: SQLiteDatabase) -> None:
    async with await settled(db, "note") as changes:
        for number in range(20):
            await db.write("INSERT INTO note VALUES (?)", (number,))
        assert await turn(changes) == {"note"}
        waiting = asyncio.ensure_future(turn(changes))
        await asyncio.sleep(0)
        assert not waiting.done()
        await db.write("INSERT INTO note VALUES (21)")
        assert await waiting == {"note"}


async def test_a_changed_schema_may_have_changed_any_table(db: SQLiteDatabase) -> None:
    async with await settled(db, "note") as changes:
        await db.write_script("CREATE TABLE x (a)")
        assert await turn(changes) == {"note"}


async def test_other_programs_are_seen_twice_in_a_millisecond_too(db: SQLiteDatabase, db_path: Path) -> None:
    async with await settled(db, "note") as changes:
        with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
            for number in range(20):
                other.execute("INSERT INTO note VALUES (?)", (number,))
                other.execute("INSERT INTO note VALUES (?)", (-number,))
                while await db.read_value("SELECT count(*) FROM note") < 2 * number + 2:
                    assert await turn(changes) == {"note"}
                seen = await turn(changes)  # one at least after the last of them
                assert seen == {"note"}


async def test_what_others_commit_while_the_watching_begins_is_not_missed(db: SQLiteDatabase, db_path: Path) -> None:
    for _ in range(5):
        async with db.changes("note") as changes:
            with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
                other.execute("INSERT INTO note VALUES (1)")
            assert await turn(changes) == {"note"}


async def test_a_database_that_is_only_read_sees_others(db: SQLiteDatabase, db_path: Path) -> None:
    async with aiomemdb.connect(db_path, read_only=True) as reading, await settled(reading, "note") as changes:
        await db.write("INSERT INTO note VALUES (1)")
        assert await turn(changes) == {"note"}


async def test_where_a_file_is_only_read_a_second_commit_within_a_tick_of_the_clock_is_not_missed(
    db: SQLiteDatabase, db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log was begun anew before the first, so that its size is the same as well."""
    async with aiomemdb.connect(db_path, read_only=True) as reading, await settled(reading, "note") as changes:
        after_both = ((1, 4096, time.time_ns() + 3600 * 10**9), (2, 4096, 0))
        monkeypatch.setattr(reading._assembly.watcher, "_stat", lambda: after_both)  # type: ignore[union-attr]
        assert await turn(changes) == {"note"}
        assert await turn(changes) == {"note"}


async def test_waiting_for_any_change_ends_with_it_or_with_its_time(db: SQLiteDatabase) -> None:
    async with await settled(db, "note"):
        waiting = asyncio.ensure_future(db.wait_for_change(PATIENCE))
        await asyncio.sleep(0)
        await db.write("INSERT INTO other VALUES (1)")
        assert await waiting
    while await db.wait_for_change(0.3):
        pass
    assert not await db.wait_for_change(0)


async def test_nothing_is_watched_without_a_consumer(db: SQLiteDatabase) -> None:
    watcher = db._assembly.watcher  # type: ignore[union-attr]
    first, second = db.changes("note"), db.changes("other")
    assert db._assembly.observers and watcher._timer is not None  # type: ignore[union-attr]
    await first.aclose()
    await first.aclose()
    assert watcher._timer is not None
    with pytest.raises(StopAsyncIteration):
        await anext(first)
    del second
    gc.collect()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert watcher._timer is None and not db._assembly.observers  # type: ignore[union-attr]


async def test_cancelling_leaves_nothing_and_misses_nothing(db: SQLiteDatabase) -> None:
    async with await settled(db, "note") as changes:
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert not db._assembly.watcher._waiting  # type: ignore[union-attr]
        await db.write("INSERT INTO note VALUES (1)")
        assert await turn(changes) == {"note"}


async def test_a_waiter_for_changes_hears_that_the_database_closes(db_path: Path) -> None:
    db = await aiomemdb.connect(db_path)
    changes = db.changes("note")  # type: ignore[attr-defined]
    while db._assembly.watcher._version is None:  # type: ignore[attr-defined]  # noqa: ASYNC110
        await asyncio.sleep(0)
    changes._seen = db._assembly.watcher.count  # type: ignore[attr-defined]
    waiting = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0)
    await db.close()
    with pytest.raises(DatabaseClosed):
        await waiting
    with pytest.raises(DatabaseClosed):
        db.changes("note")  # type: ignore[attr-defined]


async def test_names_are_asked_for(db: SQLiteDatabase) -> None:
    with pytest.raises(ValueError, match="names of tables"):
        db.changes()
    with pytest.raises(TypeError):
        db.changes(1)  # type: ignore[arg-type]
