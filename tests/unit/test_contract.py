"""What type checkers see: a database that is none of ours fulfils ``Database``, and functions are checked with their
arguments."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb import Database, Row
from tests.support import fake_database
from tests.support.fake_database import FakeDatabase, FakeRow

ROOT = Path(aiomemdb.__file__).parents[1]

# The type behind "is" is what mypy infers; a line with "refused" is an error, and no other line is.
FUNCTIONS = """
import sqlite3
from functools import partial

import aiomemdb
import aiomemdb.blocking


def add(conn: sqlite3.Connection, number: int, text: str = "") -> float:
    return 1.0


def all_of(conn: sqlite3.Connection, *numbers: int) -> list[int]:
    return [*numbers]


class Job:
    def __call__(self, conn: sqlite3.Connection, number: int) -> bytes:
        return b""


async def use(db: aiomemdb.SQLiteDatabase) -> None:
    reveal_type(await db.write_fn(add, 1))  # is float
    reveal_type(await db.write_fn(add, 1, "text", durable=True, once=True))  # is float
    reveal_type(await db.write_fn(all_of, 1, 2, 3))  # is list[int]
    reveal_type(await db.write_fn(Job(), 1))  # is bytes
    reveal_type(await db.write_fn(partial(add, number=1), timeout=3))  # is float
    reveal_type(await db.write_fn(lambda conn: conn.total_changes))  # is int
    await db.write_fn(add, "text")  # refused
    await db.write_fn(add)  # refused
    await db.write_fn(add, 1, "text", 3)  # refused
    await db.write_fn(Job(), number=1)  # refused
    reveal_type(await db.read_fn(add, 1, timeout=3))  # is float
    await db.read_fn(all_of, 1, "2")  # refused
    async with db.transaction() as tx:
        reveal_type(await tx.write_fn(add, 1))  # is float
        reveal_type(await tx.read_fn(all_of))  # is list[int]
        await tx.write_fn(add, b"")  # refused
    async with db.snapshot() as snap:
        reveal_type(await snap.read_fn(Job(), 1))  # is bytes
        await snap.read_fn(Job())  # refused
    reveal_type(db.statistics().wal_bytes)  # is int


def use_blocking(db: aiomemdb.blocking.Database) -> None:
    reveal_type(db.write("INSERT INTO t VALUES (1)", durable=True))  # is int | None
    reveal_type(db.write_fn(add, 1, "text", once=True))  # is float
    db.write_fn(add, "text")  # refused
    db.write("INSERT INTO t VALUES (1)", nowhere=1)  # refused
    reveal_type(db.read_fn(all_of, 1, 2, timeout=3))  # is list[int]
    with db.transaction() as tx:
        reveal_type(tx.write_fn(Job(), 1))  # is bytes
    with db.snapshot() as snap:
        reveal_type(snap.read("SELECT 1")[0]["x"])  # is Any
    reveal_type(next(db.read_stream("SELECT 1"))[0])  # is Any
    reveal_type(db.submit("INSERT INTO t VALUES (1)").result())  # is int | None
    with aiomemdb.blocking.Memory.open("a.db") as memory:
        reveal_type(memory.counts().facts)  # is int
        memory.entity(b"Ada")  # refused


async def use_any(db: aiomemdb.Database, row: aiomemdb.Row) -> None:
    reveal_type((await db.read("SELECT 1"))[0]["x"])  # is Any
    reveal_type(row[0:2])  # is tuple[Any, ...]
    reveal_type(dict(row))  # is dict[str, Any]
    reveal_type(db.statistics().pending)  # is int
    row["x"] = 1  # refused
    db.statistics().wal_bytes  # refused
    await db.write_fn(add, 1)  # refused
    async with db as opened:
        await use(opened)  # refused


async def use_connected() -> None:
    async with aiomemdb.connect("a.db") as db:
        await use(db)
        await use_any(db, (await db.read("SELECT 1"))[0])
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What ``mypy --strict`` says of the fake and of the functions."""
    folder = tmp_path_factory.mktemp("typed")
    functions = folder / "functions.py"
    functions.write_text(FUNCTIONS)
    assert fake_database.__file__ is not None
    command = [sys.executable, "-m", "mypy", "--strict", "--python-version=3.11", "--cache-dir", str(folder / "cache")]
    ended = subprocess.run(
        [*command, "--hide-error-context", "--no-error-summary", str(functions), fake_database.__file__],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode in (0, 1), ended.stdout + ended.stderr
    return ended.stdout.splitlines()


def said_of(checked: list[str], line: int, kind: str) -> list[str]:
    found = [re.match(rf".*functions\.py:{line}: {kind}: (.*)", each) for each in checked]
    return [each[1] for each in found if each is not None]


@pytest.mark.parametrize(
    ("line", "text"),
    [(n, text) for n, text in enumerate(FUNCTIONS.splitlines(), 1) if re.search("# (is|refused)", text)],
)
def test_a_function_is_checked_with_its_arguments_and_its_result_has_its_type(
    checked: list[str], line: int, text: str
) -> None:
    errors = said_of(checked, line, "error")
    if text.endswith("# refused"):
        assert errors, text
    else:
        expected = text.rpartition("# is ")[2]
        assert not errors
        assert said_of(checked, line, "note") == [f'Revealed type is "{expected}"'], text


def test_nothing_else_is_refused(checked: list[str]) -> None:
    refused = {n for n, text in enumerate(FUNCTIONS.splitlines(), 1) if text.endswith("# refused")}
    errors = [text for text in checked if ": error: " in text]
    assert [text for text in errors if not any(f"functions.py:{n}: " in text for n in refused)] == []


async def transfer(db: Database, amount: int) -> int:
    """A program on what every engine has."""
    async with db.transaction() as tx:
        row = await tx.read_one("SELECT balance FROM account")
        assert row is not None
        await tx.write("UPDATE account SET balance = ?", (row["balance"] - amount,))
    return int(row.get("balance", 0)) - amount


async def test_a_program_on_what_every_engine_has_runs_on_the_fake() -> None:
    row = FakeRow({"balance": 5})
    assert isinstance(row, Row)
    async with FakeDatabase({"SELECT balance FROM account": [row]}) as db:
        assert await transfer(db, 3) == 2
    assert db.written == [("UPDATE account SET balance = ?", (2,))]


async def test_a_memory_is_not_kept_in_a_database_that_has_no_store() -> None:
    with pytest.raises(TypeError, match="a memory is kept in a database of"):
        aiomemdb.Memory.open(FakeDatabase())
