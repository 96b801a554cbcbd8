"""The verbs in plain functions: what they give, and what they say where they can't."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb import blocking
from aiomemdb.concurrency import loop_thread
from tests.support.plain import plain

ROWS = [(n,) for n in range(1000)]


@pytest.fixture
def db(db_path: Path) -> Iterator[blocking.Database]:
    with blocking.connect(db_path) as db:
        db.write_script("CREATE TABLE t (x); CREATE TABLE u (x)")
        yield db


def insert(conn: sqlite3.Connection, *values: int) -> int:
    conn.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
    return len(values)


def test_the_write_verbs_return_what_the_others_do(db: blocking.Database) -> None:
    assert db.write("INSERT INTO t VALUES (?)", (1,)) == 1
    assert db.write_count("UPDATE t SET x = :x", {"x": 2}) == 1
    assert [row["x"] for row in db.write_returning("DELETE FROM t RETURNING x")] == [2]
    assert db.write_any("SELECT 1 AS one").columns == ("one",)
    assert db.write_many("INSERT INTO t VALUES (?)", ROWS, durable=True) == 1000
    assert db.write_fn(insert, 7, 8, once=True) == 2
    db.flush(timeout=30)
    db.check_writable()
    assert db.statistics().writes > 0


def test_the_read_verbs_return_what_the_others_do(db: blocking.Database) -> None:
    db.write_fn(insert, 1, 2)
    assert [row["x"] for row in db.read("SELECT x FROM t")] == [1, 2]
    row = db.read_one("SELECT x FROM t")
    assert row is not None and row["x"] == 1
    assert db.read_value("SELECT sum(x) FROM t") == 3
    assert db.read_fn(lambda conn: conn.execute("SELECT max(x) FROM t").fetchone()[0]) == 2


def test_maintenance_waits_too(db: blocking.Database, tmp_path: Path) -> None:
    db.write_fn(insert, 1)
    told: list[tuple[int, int]] = []
    db.backup(tmp_path / "copy.db", progress=lambda done, total: told.append((done, total)))
    assert plain(tmp_path / "copy.db", "SELECT x FROM t") == [(1,)] and told
    db.optimize()
    db.vacuum()
    assert db.checkpoint()


def test_an_iterator_is_read_in_the_callers_thread(db: blocking.Database) -> None:
    readers = set()

    def rows() -> Iterator[tuple[int]]:
        readers.add(threading.current_thread())
        yield (db.read_value("SELECT 1"),)

    assert db.write_many("INSERT INTO t VALUES (?)", rows()) == 1
    assert readers == {threading.current_thread()}


def test_a_stream_can_be_written_while_it_is_read(db: blocking.Database) -> None:
    db.write_many("INSERT INTO t VALUES (?)", ROWS)
    assert db.write_many("INSERT INTO u VALUES (?)", (tuple(row) for row in db.read_stream("SELECT x FROM t"))) == 1000


# -- streams -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20])
def test_a_stream_has_each_row_once_and_in_order(db: blocking.Database, count: int) -> None:
    db.write_many("INSERT INTO t VALUES (?)", ROWS[:count])
    assert [row["x"] for row in db.read_stream("SELECT x FROM t ORDER BY x", chunk=10)] == [*range(count)]


def test_streams_that_are_left_half_read_keep_no_reader(db: blocking.Database) -> None:
    db.write_many("INSERT INTO t VALUES (?)", ROWS)
    for _ in range(20):  # of four readers
        for row in db.read_stream("SELECT x FROM t", chunk=10):
            if row["x"] == 5:
                break
    assert db.read_value("SELECT count(*) FROM t") == 1000


def test_the_block_of_a_stream_returns_its_reader(db: blocking.Database) -> None:
    db.write_many("INSERT INTO t VALUES (?)", ROWS)
    streams = []  # kept, so that not their collection returns it
    for _ in range(20):
        with db.read_stream("SELECT x FROM t", chunk=10) as rows:
            assert next(rows)["x"] == 0
            streams.append(rows)
        assert list(rows) == []


def test_an_error_in_the_middle_of_a_stream_comes_behind_the_rows_before_it(db: blocking.Database) -> None:
    db.write_many("INSERT INTO t VALUES (?)", [(1,), (2,), (3,), ("no JSON",)])
    stream = db.read_stream("SELECT json_extract(x, '$') FROM t", chunk=2)
    assert [next(stream)[0], next(stream)[0]] == [1, 2]
    with pytest.raises(sqlite3.OperationalError, match="JSON"):
        next(stream)
    assert list(stream) == []


def test_a_stream_of_a_wrong_query_fails_as_it_is_read_and_wrong_arguments_at_once(db: blocking.Database) -> None:
    with pytest.raises(ValueError, match="chunk"):
        db.read_stream("SELECT 1", chunk=0)
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        next(db.read_stream("SELECT * FROM nowhere"))


# -- blocks --------------------------------------------------------------------------------------------------


def test_a_transaction_commits_at_its_end_and_reads_its_own(db: blocking.Database) -> None:
    with db.transaction(durable=True) as tx:
        assert tx.write("INSERT INTO t VALUES (1)") == 1
        assert tx.read_value("SELECT count(*) FROM t") == 1
        assert db.read_value("SELECT count(*) FROM t") == 0
    assert db.read_value("SELECT count(*) FROM t") == 1


def test_an_error_rolls_a_transaction_back_and_a_nested_one_alone(db: blocking.Database) -> None:
    with pytest.raises(LookupError), db.transaction() as tx:
        tx.write("INSERT INTO t VALUES (1)")
        raise LookupError
    with db.transaction() as tx:
        tx.write("INSERT INTO t VALUES (2)")
        with pytest.raises(LookupError), tx.transaction() as inner:
            inner.write("INSERT INTO t VALUES (3)")
            raise LookupError
        nested = tx.begin()
        nested.write("INSERT INTO t VALUES (4)")
        nested.commit()
    assert [row["x"] for row in db.read("SELECT x FROM t")] == [2, 4]


def test_a_write_beside_its_own_transaction_is_an_error_and_no_wait(db: blocking.Database) -> None:
    with db.transaction() as tx:
        with pytest.raises(aiomemdb.ReentrancyError):
            db.write("INSERT INTO t VALUES (1)")
        tx.write("INSERT INTO t VALUES (2)")
    db.write("INSERT INTO t VALUES (3)")  # the block has ended
    assert [row["x"] for row in db.read("SELECT x FROM t")] == [2, 3]


def test_one_snapshot_more_than_there_are_readers_is_an_error_and_no_wait(db_path: Path) -> None:
    with (
        blocking.connect(db_path, readers=2) as db,
        db.snapshot(),
        pytest.raises(aiomemdb.ReentrancyError, match="would wait for itself"),
        db.snapshot(timeout=60),
    ):
        pass


def test_a_snapshot_sees_one_state(db: blocking.Database) -> None:
    with db.snapshot() as snap:
        assert snap.read_value("SELECT count(*) FROM t") == 0
        db.write("INSERT INTO t VALUES (1)")
        assert snap.read_value("SELECT count(*) FROM t") == 0
    with pytest.raises(aiomemdb.SnapshotEnded):
        snap.read("SELECT 1")


def test_a_transaction_by_hand(db: blocking.Database) -> None:
    hold = db.begin()
    hold.write("INSERT INTO t VALUES (1)")
    assert hold.alive
    hold.rollback()
    assert not hold.alive and hold.error is None
    with pytest.raises(aiomemdb.TransactionEnded):
        hold.commit()
    assert db.read_value("SELECT count(*) FROM t") == 0


def test_a_transaction_by_hand_that_is_dropped_warns_and_is_rolled_back(db: blocking.Database) -> None:
    with pytest.warns(ResourceWarning, match="neither committed nor rolled back"):
        db.begin().write("INSERT INTO t VALUES (1)")
    db.write("INSERT INTO t VALUES (2)")
    assert [row["x"] for row in db.read("SELECT x FROM t")] == [2]


# -- futures -------------------------------------------------------------------------------------------------


def test_submit_does_not_wait_and_keeps_the_order(db: blocking.Database) -> None:
    futures = [db.submit("INSERT INTO t VALUES (?)", (n,)) for n in range(100)]
    assert [future.result(timeout=60) for future in futures] == [*range(1, 101)]


def test_submit_raises_at_the_call_and_its_future_what_the_job_does(db: blocking.Database) -> None:
    with pytest.raises(TypeError):
        db.submit("INSERT INTO t VALUES (1)", 1)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.OperationalError):
        db.submit("INSERT INTO nowhere VALUES (1)").result(timeout=60)


def test_a_future_that_is_cancelled_takes_its_job_back(db: blocking.Database) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def hold(conn: sqlite3.Connection) -> None:
        inside.set()
        go_on.wait(60)

    holding = threading.Thread(target=db.write_fn, args=(hold,))
    holding.start()
    assert inside.wait(60)
    future = db.submit("INSERT INTO t VALUES (1)")
    assert future.cancel()
    db.statistics()  # behind the cancellation on the loop
    go_on.set()
    holding.join()
    db.write("INSERT INTO t VALUES (2)")
    assert [row["x"] for row in db.read("SELECT x FROM t")] == [2]


# -- errors --------------------------------------------------------------------------------------------------


def test_an_error_is_the_drivers_own_and_shows_both_ways(db: blocking.Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table: nowhere") as caught:
        db.write("INSERT INTO nowhere VALUES (1)")
    assert caught.value.sqlite_errorname == "SQLITE_ERROR"
    functions = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert functions[0] == "test_an_error_is_the_drivers_own_and_shows_both_ways" and functions.count("write") == 2


def test_an_error_of_a_function_is_raised_with_its_frames(db: blocking.Database) -> None:
    def fails(conn: sqlite3.Connection) -> None:
        raise LookupError("of mine")

    with pytest.raises(LookupError, match="of mine") as caught:
        db.write_fn(fails)
    assert "fails" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]


def test_a_time_limit_is_that_of_the_verb(db: blocking.Database) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    with pytest.raises(aiomemdb.ReadTimeout):
        db.read(endless, timeout=0.05)
    assert db.read_value("SELECT 1") == 1


async def test_inside_a_running_loop_a_verb_raises_and_names_the_one_to_await(db_path: Path) -> None:
    with pytest.raises(aiomemdb.WrongLoop, match=r"connect\(\)"):
        blocking.connect(db_path)
    db = await asyncio.to_thread(blocking.connect, db_path)
    with pytest.raises(aiomemdb.WrongLoop, match=r"await db\.write_script\(\.\.\.\)"):
        db.write_script("CREATE TABLE t (x)")
    with pytest.raises(aiomemdb.WrongLoop, match=r"await db\.statistics"):
        db.statistics()
    with pytest.raises(aiomemdb.WrongLoop, match="async with"), db.transaction():
        pass
    with pytest.raises(aiomemdb.WrongLoop, match=r"asyncio\.to_thread"):
        db.close()
    assert loop_thread._current is db._thread  # which goes on: the close was refused
    await asyncio.to_thread(db.write_script, "CREATE TABLE t (x)")
    await asyncio.to_thread(db.close)


def test_on_the_loop_of_the_library_a_verb_raises(db: blocking.Database, tmp_path: Path) -> None:
    errors: list[str] = []

    def progress(done: int, total: int) -> None:
        try:
            db.read("SELECT 1")
        except aiomemdb.WrongLoop as error:
            errors.append(str(error))

    db.backup(tmp_path / "copy.db", progress=progress)
    assert errors and "read() would wait for itself" in errors[0]


@pytest.mark.parametrize("verb", ["write_fn", "read_fn"])
def test_on_a_thread_of_the_database_a_verb_raises(db: blocking.Database, verb: str) -> None:
    def waits_for_itself(conn: sqlite3.Connection) -> None:
        db.write("INSERT INTO t VALUES (1)")

    with pytest.raises(aiomemdb.ReentrancyError, match="the connection that it is given"):
        getattr(db, verb)(waits_for_itself)


@pytest.mark.parametrize("name", ["execute", "cursor", "commit"])
def test_a_verb_of_another_library_says_what_serves_instead(db: blocking.Database, name: str) -> None:
    with pytest.raises(AttributeError, match="has no attribute") as caught:
        getattr(db, name)
    assert "async" not in str(caught.value) and "await" not in str(caught.value).replace("awaited", "")


def test_an_option_that_is_none_says_which_may_be_meant(db_path: Path) -> None:
    with pytest.raises(TypeError, match="lock_timeout"):
        blocking.connect(db_path, timeout=3)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="readers"):
        blocking.connect(db_path, readers=0)
    assert not db_path.exists()


def test_changes_are_followed_one_by_one(tmp_path: Path) -> None:
    with blocking.Memory.open(tmp_path / "feed.db") as memory, memory.db.changes("memory_event") as turns:
        memory.add_fact("Ada", "lives in", "London")
        assert next(turns) == {"memory_event"}
        with memory.changes("start", kinds=["fact"]) as changes:
            assert next(changes).event.kind == "fact"
