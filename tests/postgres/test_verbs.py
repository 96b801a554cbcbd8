"""The verbs on PostgreSQL: what they run, what they return, what they refuse."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

import aiomemdb
from aiomemdb.postgres.database import PostgresDatabase
from tests.support.postgres import execute, no_connection_left, until_it_sleeps


async def test_a_write_returns_the_first_column_of_what_it_returns_if_that_is_an_int(db: PostgresDatabase) -> None:
    assert await db.write("INSERT INTO item (name) VALUES ($1) RETURNING id", ("a",)) == 1
    assert await db.write("INSERT INTO item (name) VALUES ($1) RETURNING name", ("b",)) is None
    assert await db.write("INSERT INTO item (name) VALUES ($1) RETURNING true", ("c",)) is None
    assert await db.write("INSERT INTO item (name) VALUES ($1)", ("d",)) is None
    assert await db.write("UPDATE item SET name = name WHERE false RETURNING id") is None


async def test_the_write_verbs_give_rows_counts_and_all(db: PostgresDatabase) -> None:
    assert await db.write_many("INSERT INTO item (name) VALUES ($1)", [(f"n{n}",) for n in range(5)]) == 5
    assert await db.write_count("UPDATE item SET name = name || '!' WHERE id > $1", (3,)) == 2
    [row] = await db.write_returning("DELETE FROM item WHERE id = 5 RETURNING *")
    assert (row["id"], row["name"]) == (5, "n4!")
    result = await db.write_any("INSERT INTO item (name) VALUES ('x') RETURNING id, name")
    assert (result.columns, [tuple(row) for row in result.rows], result.rowid, result.count) == (
        ("id", "name"),
        [(6, "x")],
        6,
        1,
    )
    result = await db.write_any("SELECT 1 AS one WHERE false")
    assert (result.columns, result.rows, result.rowid, result.count) == (("one",), [], None, 0)


async def test_a_script_is_one_job_all_or_nothing(db: PostgresDatabase) -> None:
    await db.write_script(
        """
        CREATE TABLE a (x int); -- one; two
        CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $body$ BEGIN RETURN 1; END $body$;
        CREATE FUNCTION g(n int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN n > 0 THEN 1 ELSE 2 END; END;
        INSERT INTO a VALUES (f()), (g(0));
        """
    )
    assert [row[0] for row in await db.read("SELECT x FROM a ORDER BY x")] == [1, 2]
    with pytest.raises(psycopg.errors.UndefinedTable):
        await db.write_script("INSERT INTO a VALUES (3); INSERT INTO nowhere VALUES (1)")
    assert await db.read_value("SELECT count(*) FROM a") == 2


async def test_values_come_back_as_they_were_stored(db: PostgresDatabase) -> None:
    values = [1, 2**40, 1.5, "é", b"\x00\xff", True, None, datetime(2026, 1, 2, 3, 4, 5, 6, UTC), [1, 2], ["a", None]]
    sql = "SELECT $1::int, $2::bigint, $3::float8, $4::text, $5::bytea, $6::bool, $7::text, $8::timestamptz, $9::int[]"
    for _ in range(3):  # by its text, prepared, and in the binary form
        assert list((await db.read(f"{sql}, $10::text[]", values))[0]) == values


async def test_bytes_in_an_array_come_back_as_they_were(db: PostgresDatabase) -> None:
    blobs = [bytes(range(256)), b'\x00\\x"{}', b"", b"''"]
    assert await db.read_value("SELECT $1::bytea[]", (blobs,)) == blobs
    assert await db.read_value("SELECT $1::bytea[]", ([bytearray(blob) for blob in blobs],)) == blobs
    assert [row[0] for row in await db.read("SELECT unnest($1::bytea[])", (blobs,))] == blobs
    assert await db.read_value("SELECT $1::bytea", (memoryview(blobs[0]),)) == blobs[0]


async def test_texts_in_an_array_come_back_as_they_were(db: PostgresDatabase) -> None:
    texts = ['a"b', "a\\b", "{}", "NULL", "", "a,b", "é", None]
    assert await db.read_value("SELECT $1::text[]", (texts,)) == texts


async def test_ints_of_all_sizes_share_a_statement_with_few_types(db: PostgresDatabase) -> None:
    assert await db.read_value("SELECT pg_typeof($1)::text", (1,)) == "integer"
    assert await db.read_value("SELECT pg_typeof($1)::text", (2**31,)) == "bigint"
    assert await db.read_value("SELECT pg_typeof($1)::text", (2**63,)) == "numeric"


async def test_parameters_are_those_of_the_call(db: PostgresDatabase) -> None:
    data, params = bytearray(b"now"), ["now", 1]
    params[1] = data
    writing = db.submit("INSERT INTO item (name, data) VALUES ($1, $2)", params)
    params[0], data[:] = "later", b"old"
    await writing
    assert tuple((await db.read("SELECT name, data FROM item"))[0]) == ("now", b"now")


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ({"a": 1}, TypeError, "sequence for \\$1"),
        ("a", TypeError, r"for one value write \(value,\)"),
        (5, TypeError, "sequence"),
        ((object(),), psycopg.ProgrammingError, "object"),
        (("a\0b",), psycopg.DataError, "NUL"),
        (("x" * 2000,), psycopg.DataError, "too big"),
    ],
)
async def test_a_parameter_that_can_not_be_stored_is_an_error_at_the_call(
    url: str, params: Any, error: type[Exception], words: str
) -> None:
    async with aiomemdb.connect(url, max_value_bytes=1024) as db:
        with pytest.raises(error, match=words):
            db.submit("INSERT INTO item (name) VALUES ($1)", params)
        with pytest.raises(error, match=words):
            await db.read("SELECT $1", params)


@pytest.mark.parametrize("sql", ["", "  ", "-- nothing", "/* /* */ */ ;"])
async def test_a_statement_that_is_none_is_refused(db: PostgresDatabase, sql: str) -> None:
    with pytest.raises(aiomemdb.EmptyStatement):
        await db.write(sql)
    with pytest.raises(aiomemdb.EmptyStatement):
        await db.read(sql)
    await db.write_script(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "BEGIN",
        "/* x */ commit",
        "-- x\nROLLBACK",
        "SAVEPOINT a",
        "SET search_path = x",
        "SET LOCAL work_mem = '1MB'",
        "RESET ALL",
        "DISCARD ALL",
        "DEALLOCATE ALL",
        "LISTEN x",
        "COPY item FROM STDIN",
        "DECLARE c CURSOR FOR SELECT 1",
        "start transaction",
        "END",
    ],
)
async def test_what_would_end_the_transaction_or_change_the_session_is_refused(db: PostgresDatabase, sql: str) -> None:
    for verb in (db.write, db.write_any, db.write_script, db.read):
        with pytest.raises(aiomemdb.ForbiddenStatement):
            await verb(sql)
    with pytest.raises(aiomemdb.ForbiddenStatement):
        await db.write_script(f"INSERT INTO item (name) VALUES (';'); {sql};")
    assert await db.read_value("SELECT count(*) FROM item") == 0


async def test_words_in_texts_and_comments_forbid_nothing(db: PostgresDatabase) -> None:
    await db.write("/* COMMIT; */ INSERT INTO item (name) VALUES ('BEGIN; COMMIT') -- ROLLBACK;")
    await db.write("INSERT INTO item (name) VALUES (E'\\'; COMMIT'), ($a$; COMMIT$a$)")
    assert await db.read_value("SELECT count(*) FROM item") == 3


async def test_several_statements_in_one_are_the_servers_error(db: PostgresDatabase) -> None:
    with pytest.raises(psycopg.errors.SyntaxError):
        await db.write("INSERT INTO item (name) VALUES ('a'); INSERT INTO item (name) VALUES ('b')")
    assert await db.read_value("SELECT count(*) FROM item") == 0


async def test_a_query_in_a_write_verb_names_what_serves(db: PostgresDatabase) -> None:
    with pytest.raises(aiomemdb.ForbiddenStatement, match=r"read\(sql, params\)"):
        await db.write("SELECT 1")
    with pytest.raises(aiomemdb.ForbiddenStatement, match=r"read\(sql, params\)"):
        await db.write_count("  select 1")


async def test_a_write_in_a_read_verb_is_the_servers_own_error(db: PostgresDatabase) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        await db.read("INSERT INTO item (name) VALUES ('a') RETURNING id")
    async with db.transaction() as tx:
        await tx.write("INSERT INTO item (name) VALUES ('b')")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            await tx.read("INSERT INTO item (name) VALUES ('a') RETURNING id")
        await tx.write("INSERT INTO item (name) VALUES ('c')")
    assert [row[0] for row in await db.read("SELECT name FROM item ORDER BY id")] == ["b", "c"]


@pytest.mark.parametrize("neighbours", [0, 5])
async def test_what_returns_no_rows_where_rows_are_wanted_is_not_applied(db: PostgresDatabase, neighbours: int) -> None:
    others = [db.submit("INSERT INTO item (name) VALUES ($1)", (f"n{n}",)) for n in range(neighbours)]
    with pytest.raises(aiomemdb.NotAQuery):
        await db.write_returning("INSERT INTO item (name) VALUES ('a')")
    await asyncio.gather(*others)
    assert await db.read_value("SELECT count(*) FROM item") == neighbours


@pytest.mark.parametrize("neighbours", [0, 5])
async def test_what_returns_a_value_that_python_has_not_is_not_applied(db: PostgresDatabase, neighbours: int) -> None:
    await db.write("ALTER TABLE item ADD day date")
    sql = "INSERT INTO item (name, day) VALUES ($1, $2::date) RETURNING day"
    await db.write_returning(sql, ("known", "2026-01-01"))
    others = [db.submit("INSERT INTO item (name) VALUES ($1)", (f"n{n}",)) for n in range(neighbours)]
    with pytest.raises(psycopg.DataError):
        await db.write_returning(sql, ("never", "infinity"))
    async with db.transaction() as tx:
        with pytest.raises(psycopg.DataError):
            await tx.write_returning(sql, ("never", "infinity"))
    await asyncio.gather(*others)
    assert await db.read_value("SELECT count(*) FROM item") == neighbours + 1


async def test_reads_give_rows_one_row_and_a_value(db: PostgresDatabase) -> None:
    assert [tuple(row) for row in await db.read("SELECT n FROM generate_series(1, 3) AS n")] == [(1,), (2,), (3,)]
    assert await db.read_one("SELECT 1 WHERE false") is None
    row = await db.read_one("SELECT 1 AS a, 'x' AS b")
    assert row is not None and dict(row) == {"a": 1, "b": "x"}
    assert await db.read_value("SELECT 'x'") == "x"
    assert await db.read_value("SELECT 1 WHERE false") is None


async def test_a_row_is_found_by_name_and_place_compared_copied_and_pickled(db: PostgresDatabase) -> None:
    row, same = await db.read("SELECT 1 AS a, 'x' AS b, 2 AS a UNION ALL SELECT 1, 'x', 2")
    assert isinstance(row, aiomemdb.Row)
    assert (row["a"], row[0], row[-1], row[0:2], row.get("b"), row.get("c", 7)) == (1, 1, 2, (1, "x"), "x", 7)
    assert row == same and hash(row) == hash(same) and row != (1, "x", 2)
    assert pickle.loads(pickle.dumps(row)) == row == copy.deepcopy(row)
    assert row.keys() == ["a", "b", "a"] and repr(row) == "Row(a=1, b='x', a=2)"
    with pytest.raises(LookupError, match="no column 'c'"):
        row["c"]
    with pytest.raises(AttributeError, match=r'row\["b"\]'):
        _ = row.b  # type: ignore[attr-defined]


async def test_a_read_sees_every_write_that_was_awaited(db: PostgresDatabase) -> None:
    for number in range(50):
        await db.write("INSERT INTO item (name) VALUES ($1)", (str(number),))
        assert await db.read_value("SELECT count(*) FROM item") == number + 1


async def test_a_snapshot_is_one_state(db: PostgresDatabase) -> None:
    async with db.snapshot() as snap:
        await db.write("INSERT INTO item (name) VALUES ('later')")
        assert await snap.read("SELECT * FROM item") == []
        with pytest.raises(psycopg.errors.UndefinedTable):
            await snap.read("SELECT * FROM nowhere")
        with pytest.raises(aiomemdb.ReadTimeout):
            await snap.read("SELECT pg_sleep(60)", timeout=0.05)
        assert await snap.read_value("SELECT count(*) FROM item") == 0
    with pytest.raises(aiomemdb.SnapshotEnded):
        await snap.read("SELECT 1")
    assert await db.read_value("SELECT count(*) FROM item") == 1


async def test_tasks_that_hold_all_snapshots_and_want_another_one_do_not_wait_for_ever(url: str) -> None:
    async with aiomemdb.connect(url, readers=2) as db:
        held = asyncio.Barrier(2)

        async def nest() -> str:
            async with db.snapshot():
                await held.wait()
                try:
                    async with db.snapshot() as inner:
                        return str(await inner.read_value("SELECT 'fine'"))
                except aiomemdb.ReentrancyError:
                    return "refused"

        assert sorted(await asyncio.gather(nest(), nest())) == ["fine", "refused"]
        async with db.snapshot(), db.snapshot():
            with pytest.raises(aiomemdb.ReentrancyError):
                async for _ in db.read_stream("SELECT 1"):
                    pass
        async with db.snapshot(), db.snapshot() as snap:
            assert await snap.read_value("SELECT 1") == 1


async def test_a_stream_is_one_state_in_chunks(db: PostgresDatabase) -> None:
    await db.write_many("INSERT INTO item (name) VALUES ($1)", [(str(n),) for n in range(20)])
    seen = []
    async for row in db.read_stream("SELECT id FROM item WHERE id > $1 ORDER BY id", (3,), chunk=4):
        seen.append(row["id"])
        if len(seen) == 2:
            await db.write("INSERT INTO item (name) VALUES ('later')")
    assert seen == list(range(4, 21))
    async with db.read_stream("SELECT id FROM item", chunk=3) as rows:
        assert isinstance(rows, AsyncIterator)
        await anext(rows)
    assert db.statistics().readers_busy == 0 or await db.read_value("SELECT 1") == 1


SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"


async def test_a_read_that_takes_too_long_is_stopped_on_the_server_and_no_other_is(url: str) -> None:
    async with aiomemdb.connect(url, readers=2) as db:
        other = asyncio.ensure_future(db.read_value("SELECT 7 FROM pg_sleep(0.5)"))
        with pytest.raises(aiomemdb.ReadTimeout) as caught:
            await db.read("SELECT pg_sleep(60)", timeout=0.1)
        assert caught.value.started
        left = asyncio.ensure_future(db.read("SELECT pg_sleep(61)"))
        await until_it_sleeps(url, text="pg_sleep(61)")
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        for number in range(5):
            assert await db.read_value("SELECT $1::int", (number,)) == number
        assert await other == 7
        while await db.read_value(SLEEPING):
            pass


async def test_an_error_of_sql_is_the_drivers_with_the_sql_and_without_the_parameters(db: PostgresDatabase) -> None:
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        await db.write("INSERT INTO item (name, size) VALUES ($1, -1)", ("secret",))
    assert caught.value.sqlstate == "23514"
    assert caught.value.__notes__ == ["SQL: INSERT INTO item (name, size) VALUES ($1, -1)"]


async def test_a_missing_verb_says_what_serves(db: PostgresDatabase) -> None:
    for name, words in [
        ("write_fn", r"transaction\(\)"),
        ("read_fn", r"transaction\(\)"),
        ("backup", "pg_dump"),
        ("vacuum", "autovacuum"),
        ("execute", r"write\(sql, params\)"),
        ("agent_read", "role"),
    ]:
        with pytest.raises(AttributeError, match=words):
            getattr(db, name)
    with pytest.raises(AttributeError):
        _ = db.nothing_like_it


async def test_flush_and_durable_writes_wait_for_the_disk_whatever_the_server_does_by_default(url: str) -> None:
    async with aiomemdb.connect(f"{url}?options=-c%20synchronous_commit%3Doff") as db:
        await db.write("CREATE TABLE seen (level text)")
        level = "INSERT INTO seen SELECT current_setting('synchronous_commit')"
        await db.write(level)
        await db.write(level, durable=True)
        async with db.transaction(durable=True) as tx:
            await tx.write("INSERT INTO seen VALUES ('x')")
        await db.flush()
        assert [row[0] for row in await db.read("SELECT level FROM seen")] == ["off", "on", "x"]


async def test_full_durability_warns_where_the_server_weakens_it(url: str) -> None:
    with pytest.warns(RuntimeWarning, match="fsync=off|synchronous_commit=off"):
        async with aiomemdb.connect(f"{url}?options=-c%20synchronous_commit%3Doff", durability="full"):
            pass


async def test_statistics_count_what_was_done(db: PostgresDatabase) -> None:
    await asyncio.gather(*(db.write("INSERT INTO item (name) VALUES ($1)", (str(n),)) for n in range(10)))
    with pytest.raises(psycopg.errors.UndefinedTable):
        await db.write("DELETE FROM nowhere")
    statistics = db.statistics()
    assert statistics.writes >= 10 and statistics.write_errors == 1 and statistics.largest_batch >= 10
    assert isinstance(statistics, aiomemdb.PostgresStatistics)


async def test_a_database_that_is_opened_for_reading_alone_refuses_writes(url: str) -> None:
    execute(url, "CREATE TABLE item (id int)")
    async with aiomemdb.connect(url, read_only=True) as db:
        assert await db.read("SELECT * FROM item") == []
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            await db.write("INSERT INTO item VALUES (1)")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            async with db.transaction():
                pass
    assert execute(url, "SELECT to_regclass('aiomemdb_writer')") == [(None,)]


async def test_close_leaves_no_connection_and_no_row_of_a_writer(url: str) -> None:
    db = await aiomemdb.connect(url)
    await db.write("CREATE TABLE item (id int)")
    async with db.transaction() as tx:
        await tx.write("INSERT INTO item VALUES (1)")
    async with db.snapshot() as snap:
        await snap.read("SELECT 1")
    waiting = db.submit("INSERT INTO item VALUES (2)")
    await db.close()
    await db.close()
    assert waiting.done() and waiting.exception() is None
    assert execute(url, "SELECT count(*) FROM item") == [(2,)]
    assert execute(url, "SELECT count(*) FROM aiomemdb_writer") == [(0,)]
    no_connection_left(url)
    with pytest.raises(aiomemdb.DatabaseClosed):
        await db.write("INSERT INTO item VALUES (3)")


@pytest.mark.parametrize("rest", ["nowhere.invalid:port:/db", "nowhere.invalid/db?x=%zz", "host/db"])
def test_a_url_that_can_not_be_read_is_an_error_at_once_that_shows_no_password(rest: str) -> None:
    with pytest.raises(ValueError, match="can't be read as a PostgreSQL URL") as caught:
        aiomemdb.connect(f"postgresql://me:se:c/r@et@{rest}")
    assert "et@" not in str(caught.value) and caught.value.__cause__ is None and caught.value.__context__ is None


async def test_no_password_is_shown() -> None:
    db = aiomemdb.connect("postgresql://me:secret@127.0.0.1:1/db?sslpassword=secret")
    assert "secret" not in repr(db) and "secret" not in db._config.label
    with pytest.raises(psycopg.OperationalError) as caught:
        await db
    assert "secret" not in str(caught.value)
