"""Many threads on one database; when the loop's thread begins and ends."""

from __future__ import annotations

import gc
import sqlite3
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb import blocking
from aiomemdb.concurrency import loop_thread
from tests.support.plain import assert_healthy, plain


def loop_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "aiomemdb:loop"]


def in_threads(count: int, work: Callable[[int], object]) -> list[object]:
    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(work, number) for number in range(count)]]


def test_writes_of_many_threads_share_commits_and_each_has_its_own_answer(db_path: Path) -> None:
    with blocking.connect(db_path) as db:
        db.write("CREATE TABLE t (id INTEGER PRIMARY KEY, x UNIQUE)")

        def work(number: int) -> list[int | None]:
            rowids = [db.write("INSERT INTO t (x) VALUES (?)", (number * 1000 + step,)) for step in range(50)]
            with pytest.raises(sqlite3.IntegrityError):
                db.write("INSERT INTO t (x) VALUES (?)", (number * 1000,))
            assert db.read_value("SELECT count(*) FROM t WHERE x / 1000 = ?", (number,)) == 50
            return rowids

        rowids = [rowid for each in in_threads(16, work) for rowid in each]  # type: ignore[attr-defined]
        assert sorted(rowids) == [*range(1, 801)]
        assert db.statistics().largest_batch > 1
    assert_healthy(db_path)


def test_transactions_of_many_threads_take_turns(db_path: Path) -> None:
    with blocking.connect(db_path) as db:
        db.write_script("CREATE TABLE counter (n); INSERT INTO counter VALUES (0)")

        def work(number: int) -> None:
            for _ in range(10):
                with db.transaction() as tx:
                    value = tx.read_value("SELECT n FROM counter")
                    tx.write("UPDATE counter SET n = ?", (value + 1,))

        in_threads(8, work)
        assert db.read_value("SELECT n FROM counter") == 80


def test_all_databases_share_one_thread_which_ends_with_the_last(tmp_path: Path) -> None:
    assert loop_threads() == []
    first = blocking.connect(tmp_path / "1.db")
    second = blocking.connect(tmp_path / "2.db")
    [thread] = loop_threads()
    first.close()
    first.close()  # which counts once
    assert loop_threads() == [thread] and second.read_value("SELECT 1") == 1
    second.close()
    assert loop_threads() == []
    with blocking.connect(tmp_path / "1.db"):
        assert loop_threads() != [thread]
    assert loop_threads() == []


def test_a_database_that_can_not_be_opened_leaves_no_thread(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        blocking.connect(tmp_path / "no such folder" / "a.db")
    (tmp_path / "no.db").write_bytes(b"no database" * 1000)
    with pytest.raises(sqlite3.DatabaseError):
        blocking.connect(tmp_path / "no.db")
    assert loop_threads() == []


def test_databases_opened_and_closed_by_many_threads_leave_none(tmp_path: Path) -> None:
    def work(number: int) -> None:
        for step in range(5):
            with blocking.connect(tmp_path / f"{number % 4}.db") as db:
                db.write_script("CREATE TABLE IF NOT EXISTS t (x); INSERT INTO t VALUES (1)")
                assert db.read_value("SELECT 1") == step or True

    in_threads(8, work)
    assert loop_threads() == []
    assert sum(plain(tmp_path / f"{n}.db", "SELECT count(*) FROM t")[0][0] for n in range(4)) == 40


def test_a_handle_that_is_dropped_without_close_warns_and_its_thread_ends(db_path: Path) -> None:
    db = blocking.connect(db_path)
    db.write("CREATE TABLE t (x)")
    [thread] = loop_threads()
    with pytest.warns(ResourceWarning, match="was not closed"):
        del db
        gc.collect()
    thread.join(60)
    assert not thread.is_alive()


def test_close_while_threads_wait_resolves_each(db_path: Path) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def hold(conn: sqlite3.Connection) -> None:
        inside.set()
        go_on.wait(60)

    outcomes: list[object] = []

    def write(number: int) -> None:
        try:
            outcomes.append(db.write("INSERT INTO t VALUES (?)", (number,)))
        except aiomemdb.DatabaseClosed as error:
            outcomes.append(error.applied)

    db = blocking.connect(db_path)
    db.write("CREATE TABLE t (x)")
    holder = threading.Thread(target=db.write_fn, args=(hold,))
    holder.start()
    assert inside.wait(60)
    writers = [threading.Thread(target=write, args=(n,)) for n in range(20)]
    for writer in writers:
        writer.start()
    while db.statistics().pending < 20:
        pass
    closing = threading.Thread(target=db.close)
    closing.start()
    while True:  # until it has begun
        try:
            db.check_writable()
        except aiomemdb.DatabaseClosed:
            break
    go_on.set()
    for thread in (closing, holder, *writers):
        thread.join(60)
        assert not thread.is_alive()
    assert sorted(outcomes, key=str) == sorted(range(1, 21), key=str)  # it drains
    with pytest.raises(aiomemdb.DatabaseClosed):
        db.read("SELECT 1")
    assert loop_threads() == []


def test_close_without_draining_fails_what_waits(db_path: Path) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def hold(conn: sqlite3.Connection) -> None:
        inside.set()
        go_on.wait(60)

    db = blocking.connect(db_path)
    db.write("CREATE TABLE t (x)")
    holder = threading.Thread(target=db.write_fn, args=(hold,))
    holder.start()
    assert inside.wait(60)
    waiting = db.submit("INSERT INTO t VALUES (1)")
    closing = threading.Thread(target=db.close, kwargs={"drain": False})
    closing.start()
    with pytest.raises(aiomemdb.DatabaseClosed) as caught:
        waiting.result(timeout=60)
    assert caught.value.applied is False
    go_on.set()
    closing.join()
    holder.join()
    assert plain(db_path, "SELECT count(*) FROM t") == [(0,)]


def test_a_thread_that_can_not_be_started_leaves_nothing(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"):
            blocking.connect(db_path)
    assert loop_thread._current is None
    with blocking.connect(db_path) as db:
        assert db.read_value("SELECT 1") == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # SystemExit in the loop's thread
def test_where_something_ends_the_loop_its_callers_hear_it_and_the_next_database_has_another(db_path: Path) -> None:
    db = blocking.connect(db_path)
    db.write("CREATE TABLE t (x)")
    [thread] = loop_threads()
    db._thread.loop.call_soon_threadsafe(sys.exit)
    thread.join(60)
    with pytest.raises(aiomemdb.DatabaseClosed):
        db.write("INSERT INTO t VALUES (1)")
    with blocking.connect(db_path) as again:
        assert again.read_value("SELECT 1") == 1
    db.close()
    with pytest.warns(ResourceWarning, match="was not closed"):
        del db
        gc.collect()
