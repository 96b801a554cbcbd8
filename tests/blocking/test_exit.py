"""G11 and G15 for synchronous code: leaving the interpreter without close, and forks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.plain import assert_healthy, plain
from tests.support.scripts import run_script

PROLOGUE = """
import atexit, contextlib, gc, os, sys, threading, time, warnings
import aiomemdb, aiomemdb.blocking

warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
db = aiomemdb.blocking.connect(sys.argv[1])
db.write("CREATE TABLE IF NOT EXISTS t (x)")
for n in range(20):
    db.write("INSERT INTO t VALUES (?)", (n,))
    print(n, flush=True)
"""

BUSY = {
    "idle": "",
    "writes pending": "jobs = [db.submit('INSERT INTO t VALUES (?)', (100 + n,)) for n in range(2000)]",
    "a daemon waits for a function": """
inside = threading.Event()
def sleeps(conn):
    inside.set()
    time.sleep(3600)
def call():
    with contextlib.suppress(aiomemdb.DatabaseClosed):
        db.write_fn(sleeps)
threading.Thread(target=call, daemon=True).start()
inside.wait()
""",
    "a daemon writes on": """
def write():
    with contextlib.suppress(aiomemdb.DatabaseClosed):
        while True:
            db.write("INSERT INTO t VALUES (1000)")
threading.Thread(target=write, daemon=True).start()
""",
    "transaction open": """
block = db.transaction()
tx = block.__enter__()
tx.write("INSERT INTO t VALUES (-1)")
""",
    "by hand": "hold = db.begin(); hold.write('INSERT INTO t VALUES (-1)')",
    "stream half read": "stream = db.read_stream('SELECT x FROM t', chunk=2); next(stream)",
    "snapshot open": "block = db.snapshot(); block.__enter__().read('SELECT 1')",
    "two databases": "other = aiomemdb.blocking.connect(sys.argv[1] + '.other')",
}

ENDS = {"end of script": ("", 0), "SystemExit": ("sys.exit(3)", 3), "exception": ("raise LookupError('mine')", 1)}


@pytest.mark.parametrize(
    ("busy", "end"), [*((busy, "end of script") for busy in BUSY), ("idle", "SystemExit"), ("idle", "exception")]
)
def test_leaving_without_close_ends_at_once_and_keeps_what_was_acknowledged(db_path: Path, busy: str, end: str) -> None:
    statement, code = ENDS[end]
    ended = run_script(f"{PROLOGUE}\n{BUSY[busy]}\nprint('ready', flush=True)\n{statement}", db_path)
    assert ended.returncode == code, ended
    assert ended.seconds < 20, ended
    ended.assert_quiet()
    rows = {x for [x] in plain(db_path, "SELECT x FROM t")}
    assert len(ended.numbers()) == 20 and ended.numbers() <= rows and -1 not in rows
    if busy != "a daemon waits for a function":  # the function keeps its thread, and that the lock
        assert_healthy(db_path)
    warned = [line for line in ended.stderr.splitlines() if "ResourceWarning" in line and "was not closed" in line]
    assert len(warned) == (2 if busy == "two databases" else 1) and str(db_path) in warned[0]


def test_threads_that_are_no_daemons_go_on_when_main_has_ended(db_path: Path) -> None:
    ended = run_script(
        PROLOGUE
        + """
def go_on():
    threading.main_thread().join()
    for n in range(100):
        db.write("INSERT INTO t VALUES (?)", (100 + n,))
    print(db.read_value("SELECT count(*) FROM t WHERE x >= 100"), "rows")
    db.close()

threading.Thread(target=go_on).start()
""",
        db_path,
    )
    ended.assert_ok()
    assert ended.stderr == "" and ended.stdout.splitlines()[-1] == "100 rows"


def test_what_was_registered_at_exit_later_still_closes(db_path: Path) -> None:
    ended = run_script(PROLOGUE + "atexit.register(db.close)", db_path)
    ended.assert_ok()
    assert ended.stderr == ""


def test_a_program_that_closes_says_nothing(db_path: Path) -> None:
    ended = run_script(PROLOGUE + "db.close()\nassert threading.active_count() == 1", db_path)
    ended.assert_ok()
    assert ended.stderr == ""


def test_the_library_starts_no_thread_before_it_is_used(db_path: Path) -> None:
    ended = run_script(
        "import threading, aiomemdb.blocking; assert threading.active_count() == 1; print('ok')", db_path
    )
    ended.assert_ok()
    assert ended.stdout == "ok\n"


# -- forks ---------------------------------------------------------------------------------------------------

FORK = (
    PROLOGUE
    + """
def say(text):
    os.write(1, f"{text}\\n".encode())

def outcome(call):
    try:
        return f"returned {call()!r}"
    except Exception as error:
        return type(error).__name__

def fork(in_child, end=os._exit):
    pid = os.fork()
    if pid == 0:
        in_child()
        end(0)
    _, status = os.waitpid(pid, 0)
    say(f"child exit code {os.waitstatus_to_exitcode(status)}")
"""
)


def forked(path: Path, main: str) -> list[str]:
    ended = run_script(FORK + main, path)
    ended.assert_ok()
    ended.assert_quiet()
    assert "ResourceWarning" not in ended.stderr, ended.stderr
    assert_healthy(path)
    return [line for line in ended.stdout.splitlines() if not line.isdigit()]


def test_in_a_forked_child_each_verb_is_an_error_at_once_and_the_parent_works_on(db_path: Path) -> None:
    lines = forked(
        db_path,
        """
stream = db.read_stream("SELECT x FROM t", chunk=1)
next(stream)
with db.transaction() as tx:
    tx.write("INSERT INTO t VALUES (99)")

    def in_child():
        for call in (
            lambda: db.write("DELETE FROM t"),
            lambda: db.read("SELECT 1"),
            lambda: db.submit("DELETE FROM t"),
            lambda: db.statistics(),
            lambda: db.transaction().__enter__(),
            lambda: tx.write("DELETE FROM t"),
            lambda: next(stream),
            lambda: db.close(),
        ):
            say(outcome(call))

    fork(in_child)
    tx.write("INSERT INTO t VALUES (100)")
print(db.read_value("SELECT count(*) FROM t"), "rows")
stream.close()
db.close()
""",
    )
    assert lines == ["ForkedError"] * 8 + ["child exit code 0", "22 rows"]


@pytest.mark.parametrize("end", ["os._exit", "sys.exit"])
def test_a_child_that_leaves_by_open_blocks_harms_nothing(db_path: Path, end: str) -> None:
    lines = forked(
        db_path,
        f"""
with db:
    with db.snapshot() as snap, db.transaction() as tx:
        tx.write("INSERT INTO t VALUES (99)")
        fork(gc.collect, {end})
        tx.write("INSERT INTO t VALUES (100)")
        snap.read("SELECT 1")
    say(f"{{db.read_value('SELECT count(*) FROM t')}} rows")
""",
    )
    assert lines == ["child exit code 0", "22 rows"]


def test_a_child_has_a_loop_of_its_own_for_another_file(db_path: Path) -> None:
    lines = forked(
        db_path,
        """
def in_child():
    with aiomemdb.blocking.connect(sys.argv[1] + ".child") as own:
        own.write("CREATE TABLE t (x)")
        say(own.write_many("INSERT INTO t VALUES (?)", [(1,), (2,)]) + 0.5)
    say([thread.name for thread in threading.enumerate()])

fork(in_child)
db.close()
""",
    )
    assert lines == ["2.5", "['MainThread']", "child exit code 0"]


def test_a_child_of_a_program_that_other_threads_use_meanwhile(db_path: Path) -> None:
    lines = forked(
        db_path,
        """
from aiomemdb.concurrency.loop_thread import stay

stop = threading.Event()

def work():
    while not stop.is_set():
        with aiomemdb.blocking.connect(sys.argv[1] + f".{threading.get_ident()}") as own:
            own.read("SELECT 1")

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()

async def answer():
    return 1

def in_child():  # it leaves SQLite alone, of which another thread may have held a mutex at the fork
    here = stay()
    assert here.thread.run(answer) == 1
    here.end()

for _ in range(5):
    fork(in_child)
stop.set()
for thread in threads:
    thread.join()
db.close()
""",
    )
    assert lines == ["child exit code 0"] * 5
