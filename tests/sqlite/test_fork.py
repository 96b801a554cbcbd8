"""G15: a forked child may not use its parent's database, and can't harm it; see test_hazards.py for opening it anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.plain import assert_healthy, plain
from tests.support.scripts import Ended, run_script

# The child prints what became of it through descriptor 1 itself: buffers are the parent's.
PROLOGUE = """
import asyncio, atexit, gc, os, sys, threading, warnings
import aiomemdb

warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)  # it is what is tested

def run_exit_functions(code):
    # What runs at exit, without the end of the loop. A child that runs or closes its parent's loop takes wake-ups and
    # descriptors out of the epoll that both share, in any program.
    atexit._run_exitfuncs()
    gc.collect()
    os._exit(code)

def say(text):
    os.write(1, f"{text}\\n".encode())

def outcome(call):
    # The child has no running loop, so a coroutine is driven by hand, up to where it would wait.
    try:
        made = call()
        if hasattr(made, "__aiter__"):
            made = made.__anext__()
        elif hasattr(made, "__aenter__"):
            made = made.__aenter__()
        if hasattr(made, "__await__"):
            try:
                made.__await__().send(None)
            except StopIteration as stop:
                return f"returned {stop.value!r}"
            return "waits"
        return f"returned {made!r}"
    except Exception as error:
        return f"{type(error).__name__} applied={getattr(error, 'applied', '-')}"

def fork(in_child, end=os._exit):
    pid = os.fork()
    if pid == 0:
        in_child()
        end(0)
    _, status = os.waitpid(pid, 0)
    say(f"child exit code {os.waitstatus_to_exitcode(status)}")
"""


def run_forking(path: Path, main: str) -> Ended:
    ended = run_script(PROLOGUE + main, path)
    ended.assert_ok()
    return ended


VERBS = {
    "write": "db.write('INSERT INTO t VALUES (1)')",
    "write durable": "db.write('INSERT INTO t VALUES (1)', durable=True)",
    "write_count": "db.write_count('DELETE FROM t')",
    "write_returning": "db.write_returning('DELETE FROM t RETURNING x')",
    "write_any": "db.write_any('SELECT 1')",
    "write_many": "db.write_many('INSERT INTO t VALUES (?)', [(1,)])",
    "write_script": "db.write_script('DELETE FROM t')",
    "write_fn": "db.write_fn(lambda conn: None)",
    "submit": "db.submit('DELETE FROM t')",
    "transaction": "db.transaction()",
    "flush": "db.flush()",
    "read": "db.read('SELECT 1')",
    "read timeout": "db.read('SELECT 1', timeout=1)",
    "read_one": "db.read_one('SELECT 1')",
    "read_value": "db.read_value('SELECT 1')",
    "read_fn": "db.read_fn(lambda conn: None)",
    "read_stream": "db.read_stream('SELECT 1')",
    "snapshot": "db.snapshot()",
    "statistics": "db.statistics()",
    "backup": "db.backup(sys.argv[1] + '.copy')",
    "checkpoint": "db.checkpoint()",
    "optimize": "db.optimize()",
    "vacuum": "db.vacuum()",
    "close": "db.close()",
    "tx.write": "tx.write('INSERT INTO t VALUES (2)')",
    "tx.read": "tx.read('SELECT 1')",
    "tx.read timeout": "tx.read('SELECT 1', timeout=1)",
    "tx.transaction": "tx.transaction()",
    "tx.begin": "tx.begin()",
    "db.begin": "db.begin()",
    "snap.read": "snap.read('SELECT 1')",
    "snap.read timeout": "snap.read('SELECT 1', timeout=1)",
    "stream": "stream",
}


def test_every_verb_in_a_forked_child_is_a_forked_error(db_path: Path) -> None:
    calls = "".join(f"        say('{name}: ' + outcome(lambda: {call}))\n" for name, call in VERBS.items())
    ended = run_forking(
        db_path,
        f"""
async def main():
    async with aiomemdb.connect(sys.argv[1]) as db:
        await db.write("CREATE TABLE t (x)")
        async with db.snapshot() as snap, db.transaction() as tx:
            stream = db.read_stream("SELECT name FROM pragma_function_list", chunk=1)
            await anext(stream)
            await tx.write("INSERT INTO t VALUES ('of the parent')")
            fork(lambda: in_child(db, tx, snap, stream))
            await tx.write("INSERT INTO t VALUES ('of the parent, later')")
            await stream.aclose()

def in_child(db, tx, snap, stream):
    if True:
{calls}

asyncio.run(main())
""",
    )
    lines = ended.stdout.splitlines()
    assert lines == [f"{name}: ForkedError applied=False" for name in VERBS] + ["child exit code 0"]
    assert plain(db_path, "SELECT x FROM t") == [("of the parent",), ("of the parent, later",)]
    assert_healthy(db_path)


@pytest.mark.parametrize(
    ("run", "end"),
    [
        ("asyncio.run", "os._exit"),
        ("asyncio.run", "run_exit_functions"),
        ("aiomemdb.run", "os._exit"),
        ("aiomemdb.run", "sys.exit"),
    ],
)
def test_the_parents_open_transaction_survives_the_childs_end(db_path: Path, end: str, run: str) -> None:
    # The child leaves by SystemExit through every open block, and then through all finalizers.
    ended = run_forking(
        db_path,
        f"""
def touch_nothing():
    gc.collect()

async def main():
    async with aiomemdb.connect(sys.argv[1]) as db:
        await db.write("CREATE TABLE t (x)")
        async with db.snapshot() as snap, db.transaction() as tx:
            await tx.write("INSERT INTO t VALUES (1)")
            async with tx.transaction() as inner:
                await inner.write("INSERT INTO t VALUES (2)")
                stream = db.read_stream("SELECT name FROM pragma_function_list", chunk=1)
                await anext(stream)
                fork(touch_nothing, {end})
                await inner.write("INSERT INTO t VALUES (3)")
                await stream.aclose()
            assert await snap.read_value("SELECT count(*) FROM t") == 0
        say(await db.read_value("SELECT count(*) FROM t"))

{run}(main())
""",
    )
    assert ended.stdout.splitlines() == ["child exit code 0", "3"]
    ended.assert_quiet()
    assert ended.stderr == ""
    assert plain(db_path, "SELECT x FROM t") == [(1,), (2,), (3,)]
    assert_healthy(db_path)


def test_a_transaction_that_has_outgrown_its_cache_survives_the_childs_end(db_path: Path) -> None:
    # Its pages are in the log already, uncommitted; a child that closed its copy of the connection would undo them
    # in the log's index, which both share.
    ended = run_forking(
        db_path,
        """
async def main():
    async with aiomemdb.connect(sys.argv[1], pragmas={"cache_size": 5, "cache_spill": True}) as db:
        await db.write("CREATE TABLE t (x)")
        async with db.transaction() as tx:
            for n in range(300):
                await tx.write("INSERT INTO t VALUES (?)", (str(n) * 1000,))
            fork(gc.collect, sys.exit)
            for n in range(300):
                await tx.write("INSERT INTO t VALUES (?)", (str(n) * 1000,))
            say(await tx.read_value("SELECT count(*) FROM t"))
        say(await db.read_value("SELECT count(*) FROM t"))

aiomemdb.run(main())
""",
    )
    assert ended.stdout.splitlines() == ["child exit code 0", "600", "600"]
    assert_healthy(db_path)


def test_the_child_holds_the_parents_connections_for_good_so_that_none_is_ever_closed_there(db_path: Path) -> None:
    ended = run_forking(
        db_path,
        """
async def main():
    async with aiomemdb.connect(sys.argv[1], readers=2) as db:
        async with db.snapshot():
            await db.read("SELECT 1")  # by the second
        connections = [db._writer.connection, *db._readers.connections]
        before = [sys.getrefcount(connection.raw) for connection in connections]
        fork(lambda: say([sys.getrefcount(one.raw) - count for one, count in zip(connections, before)]))

asyncio.run(main())
""",
    )
    assert ended.stdout.splitlines() == ["[1, 1, 1]", "child exit code 0"]


def test_a_child_forked_while_the_writer_works_harms_nothing(db_path: Path) -> None:
    ended = run_forking(
        db_path,
        """
async def main():
    async with aiomemdb.connect(sys.argv[1]) as db:
        await db.write("CREATE TABLE t (x)")
        for round in range(10):
            jobs = [db.submit("INSERT INTO t VALUES (?)", (n,)) for n in range(100)]
            await asyncio.sleep(0)
            fork(gc.collect, run_exit_functions if round % 2 else os._exit)
            await asyncio.gather(*jobs)
        say(await db.read_value("SELECT count(*) FROM t"))

aiomemdb.run(main())
""",
    )
    assert ended.stdout.splitlines() == ["child exit code 0"] * 10 + ["1000"]
    ended.assert_quiet()
    assert_healthy(db_path)


@pytest.mark.parametrize("run", ["asyncio.run", "aiomemdb.run"])
def test_a_child_may_open_a_database_that_its_parent_has_closed(db_path: Path, run: str) -> None:
    ended = run_forking(
        db_path,
        f"""
async def of_child():
    async with aiomemdb.connect(sys.argv[1]) as db:
        await db.write("INSERT INTO t VALUES ('of the child')")
        say(await db.read_value("SELECT count(*) FROM t"))

async def main():
    async with aiomemdb.connect(sys.argv[1]) as db:
        await db.write("CREATE TABLE t (x)")
        await db.write("INSERT INTO t VALUES ('of the parent')")
    fork(lambda: {run}(of_child()))
    async with aiomemdb.connect(sys.argv[1]) as db:
        await db.write("INSERT INTO t VALUES ('of the parent')")
        say(await db.read_value("SELECT count(*) FROM t"))

asyncio.run(main())
""",
    )
    assert ended.stdout.splitlines() == ["2", "child exit code 0", "3"]
    assert ended.stderr == ""
    assert_healthy(db_path)


def test_a_handle_that_was_not_open_yet_works_in_the_child(db_path: Path) -> None:
    ended = run_forking(
        db_path,
        """
db = aiomemdb.connect(sys.argv[1])

async def of_child():
    async with db:
        await db.write("CREATE TABLE t (x)")

fork(lambda: asyncio.run(of_child()))
""",
    )
    assert ended.stdout.splitlines() == ["child exit code 0"]
    assert_healthy(db_path)


def test_a_process_made_by_multiprocessing_with_fork_gets_the_error_too(db_path: Path) -> None:
    ended = run_forking(
        db_path,
        """
import multiprocessing

def work(db):
    try:
        asyncio.run(db.read("SELECT 1"))
    except aiomemdb.ForkedError as error:
        say("spawn" in str(error) and "before the parent opens it" in str(error))

async def main():
    async with aiomemdb.connect(sys.argv[1]) as db:
        child = multiprocessing.get_context("fork").Process(target=work, args=(db,))
        child.start()
        await asyncio.to_thread(child.join)
        say(child.exitcode)

asyncio.run(main())
""",
    )
    assert ended.stdout.splitlines() == ["True", "0"]
