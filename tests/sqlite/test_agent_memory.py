"""What a query of an agent may gather in memory, where SQLite itself has no limit."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import aiomemdb
from aiomemdb import AgentLimits, ForbiddenStatement, SQLiteDatabase
from aiomemdb.sqlite.agents import heap


@pytest.fixture
async def db() -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(":memory:") as db:
        yield db


@pytest.mark.parametrize("gathers", ["json_group_array(printf('%.10000c', 'a'))", "json_group_object(n, n)"])
async def test_a_query_that_gathers_too_much_is_stopped_long_before_its_deadline(
    db: SQLiteDatabase, gathers: str
) -> None:
    """SQLite has no limit for that: within a minute it would take gigabytes."""
    endless = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT"
    with pytest.raises(ForbiddenStatement, match="gather too much here"):
        await db.agent_read(f"{endless} {gathers} FROM t", limits=AgentLimits(deadline=60))
    answer = await db.agent_read("SELECT json_group_array(json_object('a', value)) FROM json_each('[1, 2]')")
    assert answer.rows == [('[{"a":1},{"a":2}]',)]


@pytest.mark.parametrize("gathers", ["json_group_object(a.v, b.v)", "json_group_array(a.v)", "json_group_array('a')"])
async def test_what_is_gathered_between_two_looks_is_bounded_by_the_program(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch, gathers: str
) -> None:
    """Each of these bytes takes six in JSON, and no loop is shorter."""
    await db.write_script("CREATE TABLE t (v)")
    await db.write_many("INSERT INTO t VALUES (?)", [("\1" * 9_900,)] * 100)
    looked: list[int] = []

    def look() -> int:
        assert in_use is not None
        looked.append(in_use())
        return looked[-1]

    in_use = heap.memory_in_use
    monkeypatch.setattr(heap, "memory_in_use", look)
    with pytest.raises(ForbiddenStatement, match="gather too much here"):
        await db.agent_read(f"SELECT {gathers} FROM t a, t b, t c, t d, t e", limits=AgentLimits(deadline=60))
    assert max(looked) - looked[0] < 64_000_000


async def test_where_sqlite_keeps_no_account_of_its_memory_json_is_not_gathered(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heap, "memory_in_use", None)
    with pytest.raises(ForbiddenStatement, match="not available here"):
        await db.agent_read("SELECT json_group_array(1)")
    assert (await db.agent_read("SELECT json_array(1)")).rows == [("[1]",)]
