"""G11: leaving the interpreter without close never hangs and loses no acknowledged write."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support.plain import assert_healthy, plain
from tests.support.scripts import Ended, run_script

RUNNERS = {
    "asyncio.run": "asyncio.run(main())",
    "aiomemdb.run": "aiomemdb.run(main)",
    "run_until_complete": """
loop = asyncio.new_event_loop()
try:
    loop.run_until_complete(main())
finally:
    loop.close()
""",
}

# How main() ends, and the exit code that follows.
ENDS: dict[str, tuple[str, int]] = {
    "end of script": ("", 0),
    "SystemExit": ("sys.exit(3)", 3),
    "exception": ("raise LookupError('of main')", 1),
    "Ctrl-C": ("await asyncio.Event().wait()", -signal.SIGINT),
    "collected": ("held.clear(); del db, open_block; gc.collect()", 0),
}

# What the database is doing meanwhile.
BUSY = {
    "idle": "",
    "writes pending": "jobs.append([db.submit('INSERT INTO t VALUES (?)', (100 + n,)) for n in range(2000)])",
    "write_fn sleeps": """
        inside = threading.Event()
        def sleeps(conn):
            inside.set()
            time.sleep(3600)
        jobs.append(asyncio.ensure_future(db.write_fn(sleeps)))
        jobs[-1].add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.to_thread(inside.wait)""",
    "transaction open": """
        open_block = db.transaction()
        tx = await open_block.__aenter__()
        await tx.write("INSERT INTO t VALUES (-1)")""",
    "stream open": """
        open_block = db.read_stream("SELECT x FROM t", chunk=2)
        await anext(open_block)""",
    "snapshot open": """
        open_block = db.snapshot()
        snap = await open_block.__aenter__()
        await snap.read("SELECT x FROM t")""",
}

# Two seconds the library drains, where something is open, before it gives up. They are waited for once.
DRAINED = {("asyncio.run", "end of script", "transaction open"): 2.0}

SCRIPT = """
import asyncio, gc, sys, threading, time
import aiomemdb
from aiomemdb.concurrency import lifecycle

assert lifecycle._DRAIN_AFTER_CANCEL == 2
lifecycle._DRAIN_AFTER_CANCEL = {drained}
held, jobs = [], []  # to the end of the process

async def main():
    db = await aiomemdb.connect(sys.argv[1])
    open_block = None
    await db.write("CREATE TABLE t (x)")
    for n in range(20):
        await db.write("INSERT INTO t VALUES (?)", (n,))
        print(n, flush=True)
    if True:
        {busy}
    held[:] = [db, open_block]
    print("ready", flush=True)
    {end}

{run}
"""


def run_case(path: Path, runner: str, end: str, busy: str) -> Ended:
    statement, expected = ENDS[end]
    text = SCRIPT.format(
        busy=BUSY[busy].strip() or "pass",
        end=statement,
        run=RUNNERS[runner],
        drained=DRAINED.get((runner, end, busy), 0.2),
    )
    ended = run_script(text, path, interrupt=end == "Ctrl-C")
    assert ended.returncode == expected, ended
    assert ended.seconds < 20, ended
    rows = {x for [x] in plain(path, "SELECT x FROM t")}
    assert len(ended.numbers()) == 20
    assert ended.numbers() <= rows
    assert -1 not in rows  # of the transaction that was never committed
    assert_healthy(path)
    return ended


def assert_only_expected_noise(ended: Ended, end: str) -> None:
    ended.assert_quiet()
    expected = {"exception": "LookupError: of main", "Ctrl-C": "KeyboardInterrupt"}.get(end)
    if expected is None:
        assert "Traceback" not in ended.stderr, ended.stderr
    else:
        assert expected in ended.stderr.splitlines()


ALWAYS = [(runner, end, "idle") for runner in RUNNERS for end in ENDS]
ALWAYS += [
    (runner, "end of script", busy)
    for runner in ("asyncio.run", "run_until_complete")
    for busy in BUSY
    if busy != "idle"
]
ALWAYS += [
    ("aiomemdb.run", "end of script", "writes pending"),
    ("asyncio.run", "Ctrl-C", "write_fn sleeps"),
    ("asyncio.run", "collected", "writes pending"),
    ("asyncio.run", "collected", "stream open"),
    ("asyncio.run", "collected", "snapshot open"),
]
# A block that was entered by hand and is dropped, where asynchronous generators are not shut down: Python itself
# prints "Task was destroyed", of any such block.
NOT_OURS = [("run_until_complete", "collected", busy) for busy in ("transaction open", "snapshot open")]
REST = [
    (runner, end, busy)
    for runner in RUNNERS
    for end in ENDS
    for busy in BUSY
    if (runner, end, busy) not in [*ALWAYS, *NOT_OURS]
]


@pytest.mark.parametrize(
    ("runner", "end", "busy"),
    [*ALWAYS, *(pytest.param(*case, marks=pytest.mark.soak) for case in REST)],
)
def test_leaving_without_close_ends_at_once_and_keeps_what_was_acknowledged(
    db_path: Path, runner: str, end: str, busy: str
) -> None:
    ended = run_case(db_path, runner, end, busy)
    assert_only_expected_noise(ended, end)
    [warning] = [line for line in ended.stderr.splitlines() if "ResourceWarning" in line]
    assert str(db_path) in warning and "was not closed" in warning


def test_a_closed_database_warns_of_nothing(db_path: Path) -> None:
    ended = run_script(
        """
        import aiomemdb, sys

        async def main():
            async with aiomemdb.connect(sys.argv[1]) as db:
                await db.write("CREATE TABLE t (x)")

        aiomemdb.run(main)
        """,
        db_path,
    )
    ended.assert_ok()
    assert ended.stderr == ""


def test_a_database_in_memory_leaves_no_file_when_it_is_never_closed(tmp_path: Path) -> None:
    ended = run_script(
        """
        import aiomemdb, asyncio, sys, tempfile

        tempfile.tempdir = sys.argv[1]

        async def main():
            db = await aiomemdb.connect(":memory:")
            await db.write("CREATE TABLE t (x)")

        asyncio.run(main())
        """,
        tmp_path,
    )
    ended.assert_ok()
    ended.assert_quiet()
    assert list(tmp_path.iterdir()) == []


def test_the_threads_have_ended_before_the_interpreter_does(db_path: Path) -> None:
    """Otherwise each is ended where it stands, with the locks that it holds."""
    ended = run_script(
        """
        import atexit, asyncio, sys, threading, time

        atexit.register(lambda: print([thread.name for thread in threading.enumerate()][1:]))  # runs last

        import aiomemdb
        from aiomemdb.sqlite.connection.connection import Connection

        end_work = Connection._end_work

        def _end_work(connection):
            time.sleep(0.2)
            end_work(connection)

        Connection._end_work = _end_work
        held = []

        async def main():
            held.append(await aiomemdb.connect(sys.argv[1]))
            await held[0].write("CREATE TABLE t (x)")

        asyncio.run(main())
        """,
        db_path,
    )
    ended.assert_ok()
    ended.assert_quiet()
    assert ended.stdout == "[]\n"
