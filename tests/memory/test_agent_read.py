"""SQL of untrusted agents, asked of a memory: nothing of another namespace comes out, nor what was replaced."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aiomemdb import AgentLimits, AiomemdbError, ForbiddenStatement, Memory, Statement
from aiomemdb.sqlite.agents.asking import Desk
from aiomemdb.sqlite.connection.connection import Connection
from tests.support.hostile_sql import BOMBS, HOSTILE, MARKS
from tests.support.whole import eventually

pytestmark = [pytest.mark.sqlite_only, pytest.mark.usefixtures("agents_have_time")]

# A bomb ends at its deadline. What else is asked ends by itself, on a busy machine too.
SHORT, LONG = AgentLimits(deadline=0.5), AgentLimits(deadline=30)
# Seconds of its thread's CPU that a query may take behind its deadline: on a busy machine the clock would say nothing.
_STOPS_WITHIN = 0.3


class Spent:
    """What queries spend of their threads' CPU behind their deadline: the most that any took until it ended."""

    def __init__(self) -> None:
        self.running = 0
        self.is_stopped = False
        self.since = 0.0
        self.longest = 0.0

    def ask(self, desk: Desk, *args: Any) -> Any:
        # One that ends by itself may take its whole time for that.
        self.running, self.since, self.is_stopped = self.running + 1, time.thread_time() + SHORT.deadline, False
        return _ask(desk, *args)

    def stop(self, connection: Connection, work: object) -> bool:
        thread = connection.thread.ident
        if thread is not None and not self.is_stopped and connection.working_on is work:
            self.since, self.is_stopped = time.clock_gettime(time.pthread_getcpuclockid(thread)), True
        return _interrupt(connection, work)

    def leave(self, desk: Desk, *args: Any) -> bool:
        is_clean = _leave(desk, *args)
        self.longest = max(self.longest, time.thread_time() - self.since)
        self.running -= 1
        return is_clean


_ask, _leave, _interrupt = Desk.ask, Desk.leave, Connection.interrupt


@pytest.fixture
def spent(monkeypatch: pytest.MonkeyPatch) -> Spent:
    spent = Spent()
    monkeypatch.setattr(Desk, "ask", lambda *args: spent.ask(*args))
    monkeypatch.setattr(Desk, "leave", lambda *args: spent.leave(*args))
    monkeypatch.setattr(Connection, "interrupt", lambda *args: spent.stop(*args))
    return spent


class Twins(NamedTuple):
    """A memory, and the same one beside which others write."""

    alone: Memory
    among: Memory


async def write_mine(memory: Memory) -> None:
    await memory.remember(
        "Ada built the rqengine",
        [Statement(subject="Ada", predicate="built", object="Engine", quote="rqengine")],
        key="k",
    )
    await memory.remember("Ada built the engine", [("Ada", "built", "Engine")], key="k", replace=True)
    await memory.add_fact("Ada", "lives in", "Paris")
    gone = await memory.add_episode("rqforgotten rqwords")
    await memory.forget(gone)


async def write_theirs(memory: Memory) -> None:
    theirs = memory.scoped(namespace="zqtheirs", agent="zqagent")
    await theirs.remember(
        "The Zqebra hides in zqwords of the vault that Ada built",
        [
            Statement(subject="Zqebra", predicate="hides in zq", object="Zqvault", quote="zqquote", confidence=0.4),
            Statement(subject="Zqebra", predicate="lives in", object="Zqvault", replace=True),
            Statement(subject="Zqebra", predicate="weighs", value="zqheavy"),
        ],
        key="zqkey",
        session="zqsession",
        source="zqsource",
        metadata={"zqmeta": 1},
    )
    zebra = await theirs.find_or_create_entity("Zqebra", "animal", "zqdescription")
    await theirs.add_alias(zebra, "Zqalias")


@pytest.fixture
async def twins(tmp_path: Path) -> AsyncIterator[Twins]:
    async with Memory.open(tmp_path / "alone.db", namespace="mine") as memory:
        await write_mine(memory)
        await memory.db.write_script("CREATE TABLE own_table (a); INSERT INTO own_table VALUES ('zq own')")
    shutil.copy(tmp_path / "alone.db", tmp_path / "among.db")
    async with Memory.open(tmp_path / "among.db", namespace="mine") as memory:
        await write_theirs(memory)
    async with (
        Memory.open(tmp_path / "alone.db", namespace="mine") as alone,
        Memory.open(tmp_path / "among.db", namespace="mine") as among,
    ):
        yield Twins(alone, among)


async def outcome(memory: Memory, sql: str, limits: AgentLimits = LONG) -> str:
    """All that an agent learns."""
    try:
        answer = await memory.agent_read(sql, limits=SHORT if sql in BOMBS else limits)
        return repr((answer.columns, answer.rows, answer.truncated))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


async def test_a_hostile_text_learns_nothing_of_what_others_wrote(twins: Twins, tmp_path: Path) -> None:
    files = set(os.listdir(tmp_path))
    for sql in HOSTILE:
        learnt = await outcome(twins.among, sql)
        foreign = [mark for mark in MARKS if mark in learnt.lower() and mark not in sql.lower()]
        assert not foreign, (sql[:200], learnt[:500])
        # What comes out is the same where no other namespace has been written: so nothing of the others is in it.
        assert sql in BOMBS or learnt == await outcome(twins.alone, sql), sql[:200]
    assert set(os.listdir(tmp_path)) == files
    assert not os.path.exists("/tmp/aiomemdb-hostile")


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="threads' CPU time is not known here")
async def test_a_hostile_text_ends_soon_behind_its_deadline(twins: Twins, spent: Spent) -> None:
    for sql in HOSTILE:
        await outcome(twins.among, sql, SHORT)
        await eventually(lambda: spent.running == 0)
        assert spent.longest < _STOPS_WITHIN, sql[:200]


async def test_the_name_of_the_views_that_read_opens_nothing(twins: Twins) -> None:
    await twins.among.agent_read("SELECT 1")
    [token] = {seat.desk.token for seat in twins.among.db._assembly.agents._pool._idle if seat.desk}  # type: ignore[attr-defined]
    assert len(token) == 33
    for sql in (
        f"WITH {token}_facts AS (SELECT * FROM main.fact) SELECT * FROM {token}_facts",
        f"WITH {token.upper()}_x AS (SELECT * FROM main.fact) SELECT * FROM {token.upper()}_x",
        f"SELECT * FROM temp.{token}_facts",
    ):
        with pytest.raises(ForbiddenStatement, match="no table of this name"):
            await twins.among.agent_read(sql)


@pytest.mark.parametrize("name", ["json_tree", "facts", "search_facts", "pragma_table_list"])
async def test_a_users_table_beside_the_memory_is_not_there_whatever_its_name(twins: Twins, name: str) -> None:
    mine, _ = twins
    await mine.db.write_script(f"CREATE TABLE {name} (hidden TEXT); INSERT INTO {name} VALUES ('xyzzy')")
    for sql in (f"SELECT hidden FROM {name}", f"SELECT * FROM main.{name}", f"SELECT count(*) FROM main.{name}"):
        with pytest.raises((ForbiddenStatement, sqlite3.Error)) as caught:
            await mine.agent_read(sql)
        assert "xyzzy" not in str(caught.value)
    assert (await mine.agent_read("SELECT count(*) FROM facts")).rows != [(0,)]


async def test_a_view_of_others_sees_theirs(twins: Twins) -> None:
    seen = "SELECT DISTINCT namespace FROM facts ORDER BY 1"
    both = twins.among.scoped(also_read=["zqtheirs"])
    assert (await both.agent_read(seen)).rows == [("mine",), ("zqtheirs",)]
    assert (await twins.among.agent_read(seen)).rows == [("mine",)]
    assert (await twins.among.scoped(namespace="zqtheirs").agent_read(seen)).rows == [("zqtheirs",)]
    assert (await twins.among.scoped(namespace="of nobody").agent_read(seen)).rows == []


async def test_a_name_with_a_quote_is_a_name(twins: Twins) -> None:
    name = "it's; SELECT"
    await twins.among.scoped(namespace=name).add_fact("A", "b", "C")
    assert (await twins.among.scoped(namespace=name).agent_read("SELECT namespace FROM facts")).rows == [(name,)]


async def test_what_is_forgotten_is_gone_at_once(twins: Twins) -> None:
    theirs = twins.among.scoped(namespace="zqtheirs")
    assert (await theirs.agent_read("SELECT count(*) FROM entities")).rows == [(2,)]
    await theirs.forget_namespace()
    assert (await theirs.agent_read("SELECT count(*) FROM entities")).rows == [(0,)]
    await theirs.add_fact("New", "is", "Here")
    assert (await theirs.agent_read("SELECT subject FROM facts")).rows == [("New",)]


async def test_facts_have_names_and_times_as_sqlites_functions_read_them(twins: Twins) -> None:
    await twins.alone.add_fact("Ada", "earned", value=7, valid_at=datetime(2020, 5, 1, tzinfo=UTC), replace=True)
    answer = await twins.alone.agent_read(
        "SELECT subject, predicate, object, value, valid_at, invalid_at, created_at <= datetime('now') FROM facts "
        "WHERE predicate = 'earned'"
    )
    assert answer.rows == [("Ada", "earned", None, "7", "2020-05-01 00:00:00", None, 1)]


async def test_words_are_searched_for_in_facts_and_texts(twins: Twins) -> None:
    found = await twins.alone.agent_read(
        "SELECT f.text FROM json_each(search_facts('Paris lives, built?')) s "
        "JOIN facts f ON f.id = s.value ORDER BY s.key"
    )
    assert found.rows == [("Ada lives in Paris",), ("Ada built Engine",)]
    assert (await twins.alone.agent_read("SELECT search_episodes(?)", ("engines",))).rows == [("[2]",)]


async def test_a_search_is_not_held_to_the_limits_of_the_query_that_asks_it(twins: Twins) -> None:
    many = " ".join(["Paris", *(f"word{number}" for number in range(40))])
    tight = AgentLimits(compounds=1, columns=1, program=100, depth=5)
    answer = await twins.alone.agent_read("SELECT search_facts(?)", (many,), limits=tight)
    assert answer.rows == [("[2]",)]
    with pytest.raises(sqlite3.Error, match="too many terms"):  # the query itself still is
        await twins.alone.agent_read("SELECT search_facts('Paris') UNION SELECT 1", limits=tight)


async def test_views_are_joined_by_the_ids_of_their_rows(twins: Twins) -> None:
    answer = await twins.alone.agent_read(
        "SELECT e.name, count(*), v.confidence FROM facts f JOIN entities e ON e.id = f.subject_id "
        "JOIN evidence v ON v.fact_id = f.id JOIN aliases a ON a.entity_id = e.id GROUP BY e.id"
    )
    assert answer.rows == [("Ada", 2, 1.0)]


async def test_history_has_what_is_believed_no_longer(twins: Twins) -> None:
    await twins.alone.add_fact("Ada", "lives in", "London", replace=True)
    answer = await twins.alone.agent_read(
        "SELECT object, expired_at IS NULL, superseded_by FROM fact_history WHERE predicate = 'lives in' ORDER BY id"
    )
    assert ("Paris", 0) in [row[:2] for row in answer.rows] and ("London", 1) in [row[:2] for row in answer.rows]
    found = await twins.alone.agent_read("SELECT search_facts('Paris'), search_facts('London')")
    assert found.rows == [("[]", "[3]")]


async def test_agents_ask_outside_of_transactions(twins: Twins) -> None:
    async with twins.alone.db.transaction() as tx:
        with pytest.raises(AiomemdbError, match="outside of transactions"):
            await twins.alone.within(tx).agent_read("SELECT 1")
