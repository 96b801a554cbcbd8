"""Ctrl-C in a thread that waits: its call is cancelled, and KeyboardInterrupt raised at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.plain import assert_healthy, plain
from tests.support.scripts import Ended, run_script

PROLOGUE = """
import sqlite3, sys, threading
import aiomemdb, aiomemdb.blocking

db = aiomemdb.blocking.connect(sys.argv[1])
db.write("CREATE TABLE t (x)")
go_on, inside = threading.Event(), threading.Event()

def say(text):
    print(text, flush=True)

def hold(conn, ready=False):
    conn.execute("INSERT INTO t VALUES ('of the function')")
    inside.set()
    if ready:
        say("ready")
    go_on.wait(60)

def hold_the_writer():
    threading.Thread(target=db.write_fn, args=(hold,)).start()
    inside.wait(60)

def ready_when(pending):
    def look():
        while db.statistics().pending < pending:
            pass
        say("ready")
    threading.Thread(target=look).start()
"""


def interrupted(path: Path, main: str, expected: list[str]) -> Ended:
    ended = run_script(PROLOGUE + main, path, interrupt=True)
    ended.assert_ok()
    ended.assert_quiet()
    assert "Traceback" not in ended.stderr, ended.stderr
    assert ended.stdout.splitlines() == ["ready", *expected]
    assert_healthy(path)
    return ended


def test_a_job_that_runs_is_left_and_runs_to_its_end(db_path: Path) -> None:
    interrupted(
        db_path,
        """
try:
    db.write_fn(hold, True)
except KeyboardInterrupt:
    say("interrupted while the function stands" if not go_on.is_set() else "late")
go_on.set()
say(db.read_value("SELECT count(*) FROM t") if db.write_count("DELETE FROM t") == 1 else "lost")
db.close()
""",
        ["interrupted while the function stands", "0"],
    )


def test_a_job_that_waits_never_runs(db_path: Path) -> None:
    interrupted(
        db_path,
        """
hold_the_writer()
ready_when(1)
try:
    db.write("INSERT INTO t VALUES ('never')")
except KeyboardInterrupt:
    say("interrupted")
go_on.set()
db.write("INSERT INTO t VALUES ('later')")
db.close()
""",
        ["interrupted"],
    )
    assert plain(db_path, "SELECT x FROM t") == [("of the function",), ("later",)]


def test_a_transaction_that_waits_for_the_writer_is_never_entered_and_holds_nothing(db_path: Path) -> None:
    interrupted(
        db_path,
        """
hold_the_writer()
ready_when(1)
try:
    with db.transaction() as tx:
        tx.write("INSERT INTO t VALUES ('never')")
except KeyboardInterrupt:
    say("interrupted")
go_on.set()
db.write("INSERT INTO t VALUES ('later')")
say(db.statistics().transaction_holder)
db.close()
""",
        ["interrupted", "None"],
    )
    assert plain(db_path, "SELECT x FROM t") == [("of the function",), ("later",)]


def test_a_transaction_in_the_middle_is_rolled_back(db_path: Path) -> None:
    interrupted(
        db_path,
        """
try:
    with db.transaction() as tx:
        tx.write("INSERT INTO t VALUES ('never')")
        threading.Timer(0, lambda: (inside.wait(60), say("ready"))).start()
        threading.Timer(1, go_on.set).start()  # the function of a step runs to its end
        tx.write_fn(hold)
except KeyboardInterrupt:
    say("interrupted")
db.write("INSERT INTO t VALUES ('later')")
db.close()
""",
        ["interrupted"],
    )
    assert plain(db_path, "SELECT x FROM t") == [("later",)]


def test_a_query_is_stopped_and_its_reader_reads_on(db_path: Path) -> None:
    interrupted(
        db_path,
        """
def endless(conn):
    say("ready")
    conn.execute("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n").fetchone()

for _ in range(1):
    try:
        db.read_fn(endless)
    except KeyboardInterrupt:
        say("interrupted")
while db.statistics().readers_busy:
    pass
say(db.read_value("SELECT 1"))
db.close()
""",
        ["interrupted", "1"],
    )


def test_a_close_goes_on_and_is_waited_for_at_exit(db_path: Path) -> None:
    interrupted(
        db_path,
        """
hold_the_writer()
jobs = [db.submit("INSERT INTO t VALUES (?)", (n,)) for n in range(100)]

def ready_when_closing():
    while True:
        try:
            db.check_writable()
        except aiomemdb.DatabaseClosed:
            break
    say("ready")

threading.Thread(target=ready_when_closing).start()
try:
    db.close()
except KeyboardInterrupt:
    say("interrupted")
go_on.set()
say(sorted(job.result(60) for job in jobs) == list(range(2, 102)))
""",
        ["interrupted", "True"],
    )
    assert plain(db_path, "SELECT count(*) FROM t") == [(101,)]


def test_a_close_that_was_left_has_its_time_at_exit(db_path: Path) -> None:
    interrupted(
        db_path,
        """
threading.Thread(target=db.write_fn, args=(hold,), daemon=True).start()
inside.wait(60)
jobs = [db.submit("INSERT INTO t VALUES (?)", (n,)) for n in range(100)]

def ready_when_closing():
    while True:
        try:
            db.check_writable()
        except aiomemdb.DatabaseClosed:
            break
    say("ready")

threading.Thread(target=ready_when_closing).start()
try:
    db.close(timeout=60)
except KeyboardInterrupt:
    say("interrupted")
    sys.stderr = open("/dev/null", "w")  # what the daemon hears
later = threading.Timer(2, go_on.set)
later.daemon = True
later.start()
""",
        ["interrupted"],
    )
    assert plain(db_path, "SELECT count(*) FROM t") == [(101,)]


@pytest.mark.parametrize("end", ["pass", "with db: db.write_fn(hold, True)"])
def test_an_uncaught_ctrl_c_ends_the_program_at_once(db_path: Path, end: str) -> None:
    main = f"""
threading.Timer(1, go_on.set).start()
{end if end != "pass" else "db.write_fn(hold, True)"}
"""
    ended = run_script(PROLOGUE + main, db_path, interrupt=True)
    assert ended.returncode == -2 and "KeyboardInterrupt" in ended.stderr.splitlines()
    ended.assert_quiet()
    assert ended.seconds < 20
    assert_healthy(db_path)
