"""G13, by a trace of system calls: nothing writes or syncs the database or its log outside of a turn."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# mark() makes a system call that can be found in the trace; what follows is that scenario's. Each ends by some empty
# batches, so that what a turn does behind its answer is still in it: the log's size is looked at in each.
PROGRAM = """
    import asyncio, os, sqlite3, sys
    import aiomemdb
    from aiomemdb.sqlite.file import files
    from aiomemdb.sqlite.writing import checkpoints

    files._BETWEEN_LOOKS = 0.0
    checkpoints._PAGES = 100  # the log is moved and cut at a tenth of its usual size: strace stops at each page of it
    path = sys.argv[1]
    insert = "INSERT INTO t VALUES (1, 1)"

    def mark(name):
        try:
            os.rmdir(f"/nonexistent/mark:{name}")
        except OSError:
            pass

    async def scenario(name, job):
        mark(name)
        await job
        for _ in range(20):
            await db.write_fn(lambda conn: None)
        mark("between")

    def grow(conn):
        conn.execute("INSERT INTO blobs VALUES (zeroblob(500000))")

    def outgrow(conn):
        for _ in range(15):
            grow(conn)

    def foreign_key(conn):
        conn.execute("INSERT INTO child VALUES (9)")

    def search(conn):
        conn.execute("SELECT count(*) FROM t a JOIN t b ON b.x = a.y WHERE a.x = 3").fetchall()

    async def failing(job):
        try:
            await job
        except (sqlite3.Error, ZeroDivisionError):
            pass

    async def transaction(*steps, error=None, **options):
        async with db.transaction(**options) as tx:
            for step in steps:
                await step(tx)
            if error is not None:
                raise error

    async def open_another(job=None, **options):
        async with aiomemdb.connect(path, **options) as another:
            if job is not None:
                await job(another)

    def checkpoint_by_hand():
        conn = sqlite3.connect(path, isolation_level=None)
        conn.execute("PRAGMA wal_checkpoint")
        conn.close()

    async def main():
        global db
        mark("creation")
        db = await aiomemdb.connect(path)
        mark("between")
        await scenario("schema", db.write_script(
            "CREATE TABLE t (x, y); CREATE INDEX tx ON t (x); CREATE TABLE blobs (x);"
            "CREATE TABLE parent (id INTEGER PRIMARY KEY);"
            "CREATE TABLE child (x REFERENCES parent DEFERRABLE INITIALLY DEFERRED)"))
        await scenario("write", db.write(insert))
        await scenario("many writes", asyncio.gather(*[db.write(insert) for _ in range(500)]))
        await scenario("durable write", db.write(insert, durable=True))
        await scenario("flush", db.flush())
        await scenario("function alone", db.write_fn(lambda conn: conn.execute(insert) and None, once=True))
        await scenario("refused commit", failing(db.write_fn(foreign_key)))
        await scenario("transaction", transaction(lambda tx: tx.write(insert)))
        await scenario("durable transaction", transaction(lambda tx: tx.write(insert), durable=True))
        await scenario("durable step", transaction(lambda tx: tx.write(insert, durable=True)))
        await scenario("spilt and rolled back", failing(transaction(
            lambda tx: tx.write_fn(outgrow), error=ZeroDivisionError())))
        await scenario("checkpoint", asyncio.gather(db.write(insert), db.checkpoint()))
        await scenario("grown log", db.write_fn(grow))
        await scenario("log grown by a transaction", transaction(*[lambda tx: tx.write_fn(grow)] * 2))
        await scenario("outgrown log", db.write_fn(outgrow))
        await db.write("ANALYZE")
        await db.write_many("INSERT INTO t VALUES (?, ?)", [(n, n) for n in range(20_000)])
        await db.write_fn(search)  # by what ANALYZE found when the table was small
        await scenario("optimize", db.optimize())
        await scenario("vacuum", db.vacuum())
        await scenario("another opens and closes", open_another())
        await scenario("another writes", open_another(lambda another: another.write(insert)))
        await scenario("another marks the file", open_another(pragmas={"application_id": 4711}))
        await db.write_fn(grow)
        await db.write(insert)
        mark("last close")
        await db.close()
        mark("between")
        db = await aiomemdb.connect(path)
        await db.write(insert)
        mark("a checkpoint outside")
        checkpoint_by_hand()
        mark("between")
        await db.close()

    asyncio.run(main())
"""

# What must be seen in a scenario, or it has tested nothing: writes to and syncs of the database file or its log.
SEEN = {
    "creation": {"file written"},
    "schema": {"log written"},
    "write": {"log written"},
    "many writes": {"log written"},
    "durable write": {"log written", "log synced"},
    "flush": {"log written", "log synced"},
    "function alone": {"log written"},
    "refused commit": set[str](),
    "transaction": {"log written"},
    "durable transaction": {"log written", "log synced"},
    "durable step": {"log written", "log synced"},
    "spilt and rolled back": {"log written"},
    "checkpoint": {"file written", "file synced", "log synced", "log written"},
    "grown log": {"file written", "file synced", "log synced", "log written"},
    "log grown by a transaction": {"file written", "file synced", "log synced", "log written"},
    "outgrown log": {"file written", "file synced", "log synced", "log written", "log cut"},
    "optimize": {"log written"},
    "vacuum": {"file written", "file synced", "log synced", "log written"},
    "another opens and closes": set[str](),
    "another writes": {"log written"},
    "another marks the file": {"log written"},
    "last close": {"file written", "file synced", "log synced", "log removed"},
}

KINDS = {
    "pwrite64": "written",
    "write": "written",
    "ftruncate": "cut",
    "fallocate": "written",
    "fdatasync": "synced",
    "fsync": "synced",
    "unlink": "removed",
}
FILES = {"": "file", "-wal": "log", "-journal": "journal"}


class Trace:
    """What each scenario did to the files inside of a turn, and what outside, as "log written".

    A thread's calls are in their order; a turn is of the thread that waited for it.
    """

    def __init__(self, lines: Iterable[str], database: Path) -> None:
        self.inside: defaultdict[str, set[str]] = defaultdict(set)
        self.outside: defaultdict[str, set[str]] = defaultdict(set)
        scenario = ""
        holders: set[str] = set()
        unfinished: dict[str, str] = {}
        for line in lines:
            thread, text = line.split(maxsplit=1)
            if text.endswith("<unfinished ...>"):
                unfinished[thread] = text.removesuffix("<unfinished ...>")
                continue
            if resumed := re.match(r"<\.\.\. \w+ resumed>", text):
                text = unfinished.pop(thread) + text[resumed.end() :]
            if mark := re.search(r'"/nonexistent/mark:([^"]+)"', text):
                scenario = mark[1]
            elif f"<{database}-lock>" in text and text.startswith("flock("):
                if "LOCK_UN" in text:
                    holders.discard(thread)
                elif text.endswith("= 0"):
                    holders.add(thread)
            elif text.startswith("close(") and f"<{database}-lock>" in text:
                holders.discard(thread)
            elif file := re.match(
                rf'({"|".join(KINDS)})\((?:"|\d+<){re.escape(str(database))}(-wal|-journal|)[">]', text
            ):
                where = self.inside if thread in holders else self.outside
                where[scenario].add(f"{FILES[file[2]]} {KINDS[file[1]]}")


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "-o", os.devnull, "true"], capture_output=True).returncode != 0:
        pytest.skip("strace is not installed, or not permitted here")
    folder = tmp_path_factory.mktemp("traced")
    # seccomp: only the calls that are traced are stopped at.
    command = [strace, "-f", "--seccomp-bpf", "-qq", "-y", "-e", f"trace=flock,close,rmdir,{','.join(KINDS)}"]
    subprocess.run(
        [*command, "-o", folder / "trace", sys.executable, "-c", textwrap.dedent(PROGRAM), folder / "test.db"],
        check=True,
        timeout=50,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )
    return Trace((folder / "trace").read_text(errors="replace").splitlines(), folder / "test.db")


@pytest.mark.parametrize("scenario", SEEN)
def test_the_files_are_written_and_synced_in_turns_alone(trace: Trace, scenario: str) -> None:
    assert trace.outside[scenario] == set()
    assert trace.inside[scenario] >= SEEN[scenario]


def test_between_the_scenarios_nothing_was_written_outside_of_a_turn_either(trace: Trace) -> None:
    assert set(trace.outside) - set(SEEN) - {"between"} == {"a checkpoint outside"}
    assert trace.outside["between"] == set()


def test_a_checkpoint_outside_of_a_turn_is_seen(trace: Trace) -> None:
    assert trace.outside["a checkpoint outside"] >= {"log synced", "file written", "file synced"}
