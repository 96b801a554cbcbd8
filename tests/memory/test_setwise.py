"""A job takes as many statements for many facts as for a few: each step of a statement gives up the GIL."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb import Memory, Statement
from aiomemdb.memory.sqlite_store import setwise
from tests.memory.conftest import assert_sound


class Counted:
    """Counts the statements of a memory's writer: an ``executemany`` of five rows is five."""

    def __init__(self) -> None:
        self.statements: list[str] | None = None

    def prepare(self, conn: sqlite3.Connection) -> None:
        conn.set_trace_callback(self._seen)

    def _seen(self, sql: str) -> None:
        # Triggers are comments, and what FTS5 does to its own tables is its own affair.
        if self.statements is not None and not sql.startswith("--") and "_words_" not in sql:
            self.statements.append(sql)

    @contextmanager
    def during(self, counts: list[int]) -> Iterator[None]:
        self.statements = seen = []
        yield
        self.statements = None
        counts.append(len(seen))


@asynccontextmanager
async def counted(path: Path) -> AsyncIterator[tuple[Memory, Counted]]:
    counts = Counted()
    async with aiomemdb.connect(path, prepare=counts.prepare) as db, Memory.open(db) as memory:
        yield memory, counts
    assert_sound(path)


async def test_a_merge_takes_as_many_statements_for_many_facts_as_for_a_few(db_path: Path) -> None:
    taken: list[int] = []
    async with counted(db_path) as (memory, counts):
        for size in (4, 40):
            keep, other = f"keep {size}", f"other {size}"
            facts = [Statement(subject=other, predicate="is", value=n) for n in range(size)]
            facts += [Statement(subject=keep, predicate="is", value=n) for n in range(size // 2)]
            facts += [
                Statement(subject=f"thing {n}", predicate="is in", object=end)
                for n in range(size)
                for end in (keep, other)
            ]
            await memory.remember("text", facts)
            into, goes = [await memory.find_or_create_entity(name) for name in (keep, other)]
            with counts.during(taken):
                await memory.merge(into, goes)
    assert taken[1] <= taken[0] < 36


# -- rows as JSON ------------------------------------------------------------------------------------------------------


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
    yield conn
    conn.close()


ROWS = [(1, "a"), (2, None), (3, 0.1 + 0.2), (4, 2**62), (5, "\u2028 \U0001f600 \"'\\\n\x01"), (6, '{"a": 1}')]


def test_rows_go_in_as_they_are(conn: sqlite3.Connection) -> None:
    changed = setwise.apply(conn, "INSERT INTO t SELECT value->>0, value->>1 FROM json_each(:rows)", ROWS)
    assert changed == len(ROWS)
    assert conn.execute("SELECT * FROM t").fetchall() == ROWS


def test_rows_come_out_as_they_are(conn: sqlite3.Connection) -> None:
    rows = [row for row in ROWS if not isinstance(row[1], float)]
    conn.executemany("INSERT INTO t VALUES (?, ?)", rows)
    assert sorted(setwise.load(conn, "id, x", "t WHERE id > :id", {"id": 0})) == [list(row) for row in rows]


def test_more_than_one_value_holds_goes_in_and_out_in_pieces(conn: sqlite3.Connection) -> None:
    conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2 * setwise.MOST)
    rows = [(n, f"{n} {'x' * 1000}") for n in range(4 * setwise.MOST // 1000)]
    insert = "INSERT INTO t SELECT value->>0, value->>1 FROM json_each(:rows)"
    assert setwise.apply(conn, insert, rows) == len(rows)
    assert sorted(map(tuple, setwise.load(conn, "id, x", "t", {}))) == rows
