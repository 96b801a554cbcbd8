"""``agent_read`` of a database: what an untrusted agent may ask in SQL, and what that may cost."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb import AgentLimits, DatabaseClosed, ForbiddenStatement, Memory, ReadTimeout, SQLiteDatabase
from aiomemdb.observing import Event, ReadDone
from aiomemdb.sqlite.agents import asking
from aiomemdb.sqlite.agents.asking import Desk
from tests.support.whole import eventually

pytestmark = pytest.mark.usefixtures("agents_have_time")

SCHEMA = """
CREATE TABLE note (id INTEGER PRIMARY KEY, agent TEXT, body TEXT);
CREATE TABLE secret (id INTEGER PRIMARY KEY, word TEXT);
CREATE VIEW words AS SELECT word FROM secret;
CREATE VIRTUAL TABLE page USING fts5 (text);
CREATE VIRTUAL TABLE terms USING fts5vocab (page, row);
INSERT INTO note (agent, body) VALUES ('ada', 'one'), ('ada', 'two'), ('bob', 'three');
INSERT INTO secret (word) VALUES ('xyzzy');
INSERT INTO page VALUES ('the quick fox'), ('the lazy dog');
"""
FOR_EVER = "WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t"
SHORT = AgentLimits(deadline=0.2)


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script(SCHEMA)
        yield db


async def rows(db: SQLiteDatabase, sql: str, params: Any = (), **options: Any) -> list[tuple[Any, ...]]:
    return (await db.agent_read(sql, params, **options)).rows


async def refusal(db: SQLiteDatabase, sql: str, params: Any = (), **options: Any) -> str:
    with pytest.raises((ForbiddenStatement, sqlite3.Error)) as caught:
        await db.agent_read(sql, params, **options)
    return str(caught.value)


# -- what it answers -----------------------------------------------------------------------------------------------


async def test_a_query_is_answered_with_its_columns_and_rows(db: SQLiteDatabase) -> None:
    answer = await db.agent_read("SELECT agent, count(*) AS n FROM note GROUP BY agent HAVING n > ?", (1,))
    assert (answer.columns, answer.rows, answer.truncated) == (("agent", "n"), [("ada", 2)], False)
    assert 0 < answer.elapsed < 60


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT word FROM words", [("xyzzy",)]),
        ("SELECT text FROM page WHERE page MATCH 'fox'", [("the quick fox",)]),
        ("SELECT highlight(page, 0, '[', ']') FROM page('lazy') ORDER BY rank", [("the [lazy] dog",)]),
        ("SELECT snippet(page, 0, '', '', '', 9), bm25(page) < 0 FROM page WHERE page = 'dog'", [("the lazy dog", 1)]),
        ("SELECT value FROM json_each('[1, 2]')", [(1,), (2,)]),
        ("WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT count(*) FROM t", [(3,)]),
        ("VALUES (1), (NULL)", [(1,), (None,)]),
        ("SELECT x'00ff', 1.5, 'ä'", [(b"\0\xff", 1.5, "ä")]),
        ("SELECT row_number() OVER (ORDER BY id DESC) FROM note LIMIT 1", [(1,)]),
        ("SELECT EXISTS (SELECT 1 FROM note), current_date > '2000', 1 BETWEEN 0 AND 2", [(1, 1, 1)]),
    ],
)
async def test_what_only_reads_is_answered(db: SQLiteDatabase, sql: str, found: list[tuple[Any, ...]]) -> None:
    assert await rows(db, sql) == found


async def test_a_text_that_is_no_utf_8_comes_with_its_bad_bytes_replaced(db: SQLiteDatabase) -> None:
    await db.write("INSERT INTO note (body) VALUES (CAST(x'61ff62' AS TEXT))")
    assert await rows(db, "SELECT body FROM note WHERE agent IS NULL") == [("a\ufffdb",)]


async def test_a_query_that_returns_many_rows_rests_between_them(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row takes Python's lock, which ordinary reads need, too."""
    rests: list[float] = []
    monkeypatch.setattr(asking, "sleep", rests.append)
    many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    assert len(await rows(db, many)) == 1_000
    assert len(rests) > 20
    rests.clear()
    await rows(db, f"{many} LIMIT 10")
    assert not rests


async def test_agent_read_sees_what_was_committed_before_the_question(db: SQLiteDatabase) -> None:
    await rows(db, "SELECT 1")
    await db.write_script("CREATE TABLE new (a); INSERT INTO new VALUES (7)")
    assert await rows(db, "SELECT * FROM new") == [(7,)]


async def test_a_database_that_is_only_read_answers_agents(db: SQLiteDatabase, db_path: Path) -> None:
    async with aiomemdb.connect(db_path, read_only=True) as reading:
        assert await rows(reading, "SELECT count(*) FROM note") == [(3,)]


# -- what it refuses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM terms",
        "SELECT * FROM page_data",
        "SELECT * FROM page_content",
        "SELECT * FROM sqlite_schema",
        "SELECT * FROM sqlite_temp_schema",
        "SELECT * FROM pragma_table_list",
        "SELECT * FROM absent",
        "SELECT count(*) FROM page_idx",
        "WITH note AS (SELECT * FROM page_data) SELECT * FROM note",
    ],
)
async def test_tables_that_are_none_of_the_users_are_not_there(db: SQLiteDatabase, sql: str) -> None:
    assert "there is no table" in await refusal(db, sql) or "does more than read" in await refusal(db, sql)


async def test_a_table_off_the_list_is_refused_as_one_that_is_not_there(db: SQLiteDatabase) -> None:
    hidden = await refusal(db, "SELECT * FROM secret", tables=["note"])
    missing = await refusal(db, "SELECT * FROM absent", tables=["note"])
    assert hidden.replace("secret", "absent") == missing
    assert "the tables are note" in missing


@pytest.mark.parametrize(
    "sql",
    [
        "WITH words AS (SELECT * FROM secret) SELECT * FROM words",
        "WITH note AS (SELECT * FROM secret) SELECT * FROM note",
        "SELECT (SELECT word FROM main.secret) FROM note",
        "SELECT (WITH secret AS (SELECT 1) SELECT 1 FROM secret), (SELECT count(*) FROM secret)",
    ],
)
async def test_what_a_view_reads_must_be_on_the_list_too(db: SQLiteDatabase, sql: str) -> None:
    assert "no table secret" in await refusal(db, sql, tables=["note", "words"])


@pytest.mark.parametrize("sql", ["SELECT * FROM words", "SELECT count(*) FROM words", "SELECT * FROM outer_page"])
@pytest.mark.parametrize("listed", [True, False])
async def test_a_table_that_the_agent_has_not_named_is_not_named_to_it(
    db: SQLiteDatabase, sql: str, listed: bool
) -> None:
    await db.write_script("CREATE VIRTUAL TABLE outer_page USING fts5 (word, content=secret, content_rowid=id)")
    refused = await refusal(db, sql, tables=["note", "words", "outer_page"] if listed else ["note"])
    assert "reads a table that agents may not read" in refused or "no table outer_page" in refused
    assert "secret" not in refused


async def test_a_view_of_a_table_that_is_gone_does_not_name_it(db: SQLiteDatabase) -> None:
    await db.write_script("CREATE TABLE zqgone (a); CREATE VIEW torn AS SELECT a FROM zqgone; DROP TABLE zqgone")
    assert "zqgone" not in await refusal(db, "SELECT * FROM torn", tables=["note", "torn"])


async def test_names_on_the_list_ignore_case(db: SQLiteDatabase) -> None:
    assert await rows(db, "SELECT count(*) FROM nOtE", tables=["NOTE"]) == [(3,)]


async def test_names_are_those_of_other_tables_if_they_differ_for_sqlite(db: SQLiteDatabase) -> None:
    """``str.lower()`` makes a k of the Kelvin sign, SQLite does not."""
    await db.write_script(
        "CREATE TABLE k (a); CREATE TABLE \u212a (a); INSERT INTO \u212a VALUES ('xyzzy'); CREATE TABLE Ä (a)"
    )
    assert await rows(db, "SELECT * FROM K", tables=["k"]) == []
    assert "there is no table \u212a" in await refusal(db, "SELECT * FROM \u212a", tables=["k"])
    assert await rows(db, "SELECT * FROM Ä", tables=["Ä"]) == []
    assert "ä" in await refusal(db, "SELECT * FROM ä", tables=["Ä"])
    assert await rows(db, "WITH É AS (SELECT 1) SELECT count(*) FROM É") == [(1,)]


@pytest.mark.parametrize("name", ["absent", "sqlite_schema", "page_data", "terms"])
async def test_the_list_names_tables_that_are_there(db: SQLiteDatabase, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        await db.agent_read("SELECT 1", tables=[name])


async def test_the_list_is_several_names(db: SQLiteDatabase) -> None:
    for wrong in ("note", [1]):
        with pytest.raises(TypeError):
            await db.agent_read("SELECT 1", tables=wrong)  # type: ignore[arg-type]


async def test_no_table_of_a_memory_in_the_file_is_there(db_path: Path) -> None:
    async with Memory.open(db_path) as memory:
        db = memory.db
        assert isinstance(db, SQLiteDatabase)
        names = [row[0] for row in await db.read("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")]
        assert len(names) > 20
        for name in names:
            refused = await refusal(db, f'SELECT count(*) FROM "{name}"')
            assert "no table" in refused or "reads a table that agents may not read" in refused


async def test_a_users_table_may_have_a_name_of_the_memorys(db: SQLiteDatabase) -> None:
    await db.write_script("CREATE TABLE fact (a); INSERT INTO fact VALUES (1)")
    assert await rows(db, "SELECT * FROM fact") == [(1,)]


@pytest.mark.parametrize("name", ["json_each", "JSON_TREE"])
async def test_a_table_that_hides_a_function_is_a_table_as_all_others(db: SQLiteDatabase, name: str) -> None:
    await db.write_script(f"CREATE TABLE {name} (value TEXT); INSERT INTO {name} VALUES ('xyzzy')")
    assert await rows(db, f"SELECT value FROM {name}", tables=[name]) == [("xyzzy",)]
    assert await rows(db, "SELECT count(*) FROM note", tables=["note"]) == [(3,)]
    for reads in (f"SELECT value FROM {name}", f"SELECT 1 FROM main.{name}", f"SELECT count(*) FROM {name} t"):
        assert f"there is no table {name}" in await refusal(db, reads, tables=["note"])
    assert "a table of the file has this name" in await refusal(db, f"SELECT value FROM {name}('[1]')")


@pytest.mark.parametrize("name", ["pragma_table_list", "pragma_table_info", "search_facts", "facts", "count"])
async def test_a_table_may_have_any_other_name(db: SQLiteDatabase, name: str) -> None:
    await db.write_script(f"CREATE TABLE {name} (value TEXT); INSERT INTO {name} VALUES ('xyzzy')")
    assert await rows(db, f"SELECT value FROM {name}") == [("xyzzy",)]
    assert f"there is no table {name}" in await refusal(db, f"SELECT value FROM {name}", tables=["note"])


async def test_what_prepare_made_is_not_there(db_path: Path) -> None:
    def prepare(conn: sqlite3.Connection) -> None:
        conn.execute("CREATE TEMP TABLE IF NOT EXISTS hidden AS SELECT 'xyzzy' AS word")
        conn.create_function("whisper", 0, lambda: "xyzzy")

    async with aiomemdb.connect(db_path, prepare=prepare) as db:
        await db.write_script(SCHEMA)
        assert "no table hidden" in await refusal(db, "SELECT word FROM hidden")
        assert "whisper() is not allowed" in await refusal(db, "SELECT whisper()")


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("SELECT bodi FROM note", "near it: body; note has id, agent, body"),
        ("SELECT * FROM notes", "near it: note"),
        ("SELECT uper(body) FROM note", "near it: upper"),
        ("SELECT sqlite_version()", "may be used are ->"),
        ("DELETE FROM note", "takes one SELECT"),
        ("EXPLAIN SELECT 1", "takes one SELECT"),
        ("SELECT 1; SELECT 2", "ask one after another"),
        ("VACUUM", "takes one SELECT"),
        ("SELECT trim(body, 'x') FROM note", "use trim() with one"),
        ("SELECT page FROM page WHERE page MATCH (SELECT body FROM note)", "in quotes or a parameter"),
        ("SELECT page FROM page WHERE page MATCH 'a' || 'b'", "in quotes or a parameter"),
    ],
)
async def test_a_refusal_says_what_to_do_instead(db: SQLiteDatabase, sql: str, text: str) -> None:
    assert text in await refusal(db, sql)


async def test_a_text_that_would_double_and_double_is_refused_before_it_is_compiled(db: SQLiteDatabase) -> None:
    copied = ", ".join(f"c{i} AS (SELECT 1 FROM c{i - 1} a, c{i - 1} b)" for i in range(1, 9))
    assert "too often in each other" in await refusal(db, f"WITH c0 AS (SELECT 1), {copied} SELECT * FROM c8")
    grown = ", ".join(f"c{i} (x) AS (SELECT x + x FROM c{i - 1})" for i in range(1, 9))
    assert "nest fewer SELECTs" in await refusal(db, f"WITH c0 (x) AS (SELECT id FROM note), {grown} SELECT x FROM c8")
    twice = "WITH c AS (SELECT 1) SELECT (WITH c AS (SELECT 2) SELECT * FROM c)"
    assert "different names" in await refusal(db, twice)


async def test_what_is_searched_for_is_short(db: SQLiteDatabase) -> None:
    assert "fewer words" in await refusal(db, "SELECT * FROM page WHERE page MATCH ?", ("a " * 300,))
    assert "fewer words" in await refusal(db, f"SELECT * FROM page WHERE page MATCH '{'a ' * 300}'")
    assert "fewer words" in await refusal(db, "SELECT * FROM page WHERE page MATCH :a", {"a": "a " * 300})


# -- what it may cost ----------------------------------------------------------------------------------------------


async def test_rows_above_the_limit_are_cut_off(db: SQLiteDatabase) -> None:
    answer = await db.agent_read("SELECT id FROM note", limits=AgentLimits(rows=2))
    assert (answer.rows, answer.truncated) == ([(1,), (2,)], True)
    assert not (await db.agent_read("SELECT id FROM note", limits=AgentLimits(rows=3))).truncated


async def test_an_answer_above_the_limit_is_cut_off(db: SQLiteDatabase) -> None:
    sql = "WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT printf('%1000d', n) FROM t"
    answer = await db.agent_read(sql, limits=AgentLimits(answer_bytes=10_000))
    assert len(answer.rows) == 9 and answer.truncated
    wide = sql.replace("printf('%1000d', n)", "replace(printf('%1000d', n), ' ', 'ä')")
    answer = await db.agent_read(wide, limits=AgentLimits(answer_bytes=10_000))
    assert len(answer.rows) == 4 and answer.truncated  # bytes, not characters


@pytest.mark.parametrize(
    ("sql", "limits", "text"),
    [
        ("SELECT " + " " * 100 + "1", AgentLimits(sql_bytes=50), "bytes"),
        ("SELECT hex(printf('%600d', 1))", AgentLimits(value_bytes=1_000), "too large"),
        ("SELECT 1, 2, 3", AgentLimits(columns=2), "too many columns"),
        ("SELECT 1 + (1 + (1 + (1 + (1 + (1 + 1)))))", AgentLimits(depth=5), "nested too deep"),
        ("SELECT 1 UNION SELECT 2 UNION SELECT 3", AgentLimits(compounds=2), "too many terms"),
        ("SELECT 1 FROM note a, note b JOIN note c", AgentLimits(joins=2), "3 tables are joined"),
        ("SELECT count(*), sum(id), body FROM note GROUP BY body ORDER BY 2", AgentLimits(program=20), "too large"),
        ("SELECT ?", AgentLimits(value_bytes=1_000), "parameters"),
    ],
)
async def test_a_query_above_a_limit_is_refused(db: SQLiteDatabase, sql: str, limits: AgentLimits, text: str) -> None:
    params = ("x" * 5_000,) if "?" in sql else ()
    assert text in await refusal(db, sql, params, limits=limits)
    assert await rows(db, "SELECT 1") == [(1,)]


async def test_a_query_is_stopped_at_its_deadline(db: SQLiteDatabase) -> None:
    with pytest.raises(ReadTimeout, match=r"longer than 0\.2 s") as caught:
        await db.agent_read(FOR_EVER, limits=SHORT)
    assert caught.value.started
    assert await rows(db, "SELECT 1") == [(1,)]


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("rows", 0, ValueError),
        ("rows", 1.5, TypeError),
        ("rows", True, TypeError),
        ("deadline", 61, ValueError),
        ("deadline", float("nan"), ValueError),
        ("deadline", "2", TypeError),
        ("value_bytes", 1_000_001, ValueError),
        ("joins", -1, ValueError),
    ],
)
def test_limits_are_checked(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=name):
        AgentLimits(**{name: value})


async def test_arguments_of_other_types_are_refused(db: SQLiteDatabase) -> None:
    for wrong in ({"sql": b"SELECT 1"}, {"sql": "SELECT 1", "limits": {"rows": 1}}, {"sql": "SELECT ?", "params": "x"}):
        with pytest.raises(TypeError):
            await db.agent_read(**wrong)


async def running(db: SQLiteDatabase, count: int) -> None:
    """Until so many queries of agents run."""
    threads = lambda: db._assembly.agents.threads  # type: ignore[union-attr]  # noqa: E731
    await eventually(lambda: sum(thread.working_on is not None for thread in threads()) == count)


# -- connections ---------------------------------------------------------------------------------------------------


async def test_agents_hold_no_ordinary_reader_and_wait_for_each_other(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, readers=1) as db:
        await db.write_script(SCHEMA)
        asking = [asyncio.create_task(db.agent_read(FOR_EVER, limits=AgentLimits(deadline=30))) for _ in range(2)]
        await running(db, 2)
        assert await db.read_value("SELECT count(*) FROM note") == 3
        with pytest.raises(ReadTimeout, match="waited") as caught:
            await db.agent_read("SELECT 1", limits=SHORT)
        assert caught.value.started is False
        for task in asking:
            task.cancel()
        await asyncio.wait(asking)
        assert all(task.cancelled() for task in asking)
        assert await rows(db, "SELECT 1") == [(1,)]


async def test_a_query_that_is_cancelled_is_stopped(db: SQLiteDatabase) -> None:
    for _ in range(3):
        task = asyncio.create_task(db.agent_read(FOR_EVER, limits=AgentLimits(deadline=60)))
        await running(db, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await rows(db, "SELECT 1") == [(1,)]


async def test_closing_stops_the_queries_of_agents(db_path: Path) -> None:
    db = await aiomemdb.connect(db_path)
    assert isinstance(db, SQLiteDatabase)
    asking = asyncio.create_task(db.agent_read(FOR_EVER, limits=AgentLimits(deadline=60)))
    await running(db, 1)
    await db.close()
    with pytest.raises(DatabaseClosed):
        await asking
    with pytest.raises(DatabaseClosed):
        await db.agent_read("SELECT 1")


@pytest.mark.parametrize(
    "left", ["CREATE TEMP TABLE x (a)", "PRAGMA query_only=0", "ATTACH ':memory:' AS x", "DELETE FROM note"]
)
async def test_a_connection_that_is_not_as_it_was_is_not_used_again(
    db: SQLiteDatabase, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Desk._answer

    def answer_and_leave(self: Desk, raw: Any, *args: Any) -> Any:
        answered = answer(self, raw, *args)
        raw.roll_back()
        raw.limit({sqlite3.SQLITE_LIMIT_ATTACHED: 1})
        if left != "PRAGMA query_only=0":
            raw.own("PRAGMA query_only=0")
        if left.startswith("DELETE"):
            left_behind = ["CREATE TEMP TABLE y (a)", "INSERT INTO y VALUES (1)", "DROP TABLE y"]
        else:
            left_behind = [left]
        for sql in left_behind:
            raw.own(sql)
        if left != "PRAGMA query_only=0":
            raw.own("PRAGMA query_only=1")
        return answered

    with monkeypatch.context() as patch:
        patch.setattr(Desk, "_answer", answer_and_leave)
        await db.agent_read("SELECT 1")
    first = {thread.name for thread in db._assembly.agents.threads}  # type: ignore[union-attr]
    assert await rows(db, "SELECT count(*) FROM note") == [(3,)]
    await rows(db, "SELECT 1")
    [used, *_] = first
    assert used not in {seat.connection.name for seat in db._assembly.agents._pool._idle if seat.connection}  # type: ignore[union-attr]


async def test_a_connection_is_not_used_again_after_an_error_of_another_kind(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Desk, *args: Any) -> Any:
        raise MemoryError  # as SQLite reports what it has no memory for

    agents = db._assembly.agents  # type: ignore[union-attr]
    with monkeypatch.context() as patch:
        patch.setattr(Desk, "_answer", fail)
        await refusal(db, "SELECT 1")
    assert not any(seat.connection for seat in agents._pool._idle)
    assert await rows(db, "SELECT count(*) FROM note") == [(3,)]


async def test_a_connection_is_used_again_after_what_only_failed(db: SQLiteDatabase) -> None:
    await refusal(db, "SELECT nothing")
    await refusal(db, "SELECT abs(-9223372036854775808)")
    await rows(db, "SELECT 1")
    assert len(db._assembly.agents.threads) == 1  # type: ignore[union-attr]
    for _ in range(3):
        with pytest.raises(ReadTimeout):
            await db.agent_read(FOR_EVER, limits=SHORT)
    names = {thread.name.rpartition("-")[2] for thread in db._assembly.agents.threads}  # type: ignore[union-attr]
    assert names == {"1", "2"}


async def test_an_observer_is_told_of_it(db: SQLiteDatabase) -> None:
    events: list[Event] = []
    end = db._observe(events.append)
    await rows(db, "SELECT 1")
    end()
    assert [(event.verb, event.subject) for event in events if isinstance(event, ReadDone)] == [
        ("agent_read", "SELECT 1")
    ]


async def test_nothing_that_agents_do_changes_the_file(db: SQLiteDatabase, db_path: Path) -> None:
    await refusal(db, "DROP TABLE note")
    await refusal(db, "ATTACH ? AS x", (str(db_path) + ".other",))
    await refusal(db, "VACUUM INTO ?", (str(db_path) + ".other",))
    assert not Path(f"{db_path}.other").exists()
    with closing(sqlite3.connect(db_path)) as plain:
        assert plain.execute("SELECT count(*) FROM note").fetchone() == (3,)
