"""A job takes as many statements for many facts as for a few: each step of a statement gives up the GIL."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb import Memory, Name, Statement
from aiomemdb.embedders import Embedder
from aiomemdb.memory.stores import knowing
from aiomemdb.memory.stores.sqlite import setwise
from tests.memory.conftest import assert_sound
from tests.memory.support import SpellingEmbedder, day

# What FTS5 does to its own tables is a comment, and its own affair, and so is whether it reads its settings anew. The
# two others are the writer's.
_OTHERS = (
    *("--", "PRAGMA 'main'.data_version", "SELECT k, v FROM 'main'."),
    *("SELECT 1 FROM sqlite_schema", "PRAGMA schema_version"),
)


class Counted:
    """Counts the statements of a memory's jobs: an ``executemany`` of five rows is five."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self._in_job = False

    def prepare(self, conn: sqlite3.Connection) -> None:
        conn.set_trace_callback(self._seen)

    def _seen(self, sql: str) -> None:
        if sql.startswith(("BEGIN IMMEDIATE", "COMMIT")):
            self._in_job = sql.startswith("BEGIN")
        elif self._in_job and not sql.startswith(_OTHERS):
            # A trigger shows the statement that fires it once more.
            self.statements += [sql] if self.statements[-1:] != [sql] else []

    @contextmanager
    def during(self, counts: list[int]) -> Iterator[None]:
        self.statements = []
        yield
        counts.append(len(self.statements))


@asynccontextmanager
async def counted(path: Path, embedder: Embedder | None = None) -> AsyncIterator[tuple[Memory, Counted]]:
    counts = Counted()
    async with aiomemdb.connect(path, prepare=counts.prepare) as db, Memory.open(db, embedder=embedder) as memory:
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


def first_version(size: int) -> list[Statement]:
    """What is believed of many, some of it with an end."""
    return [
        Statement(subject=f"person {size} {n}", predicate=predicate, value=n, valid_at=day(0), quote="said so")
        for n in range(size // 3)
        for predicate in ("has", "is", "was")
    ]


def next_version(size: int) -> list[Statement]:
    """Of each: one fact is superseded, and what is left of it goes on; one ends at another time; one is not said any
    more; and there is a new one, about a name that is near another.
    """
    facts = []
    for n in range(size // 3):
        person = Name(f"alias {size} {n}", "person")
        facts += [
            Statement(subject=person, predicate="has", value=n + 0.5, valid_at=day(5), replace=True, confidence=1 / 3),
            Statement(subject=person, predicate="is", value=n, valid_at=day(0), invalid_at=day(9), quote=f"quote {n}"),
            Statement(subject=person, predicate="likes", object=f"prsn {size} {n}"),
        ]
    return facts


@pytest.mark.parametrize("embedder", [None, SpellingEmbedder()], ids=["words", "vectors"])
async def test_a_text_takes_as_many_statements_for_many_facts_as_for_a_few(
    db_path: Path, embedder: Embedder | None
) -> None:
    taken: list[int] = []
    async with counted(db_path, embedder) as (memory, counts):
        await memory.remember("The first text of a file has more to make.")
        for size in (9, 699):
            options: dict[str, Any] = {"key": f"key {size}", "session": "s"}
            with counts.during(taken):
                first = await memory.remember("first", first_version(size), **options)
            for n, person in enumerate(first.entities):
                await memory.add_alias(person, f"alias {size} {n}")
            with counts.during(taken):
                await memory.remember("next", next_version(size), replace=True, **options)
            with counts.during(taken):
                again = await memory.remember("next", next_version(size), replace=True, **options)
            assert len(again.facts) == size // 3 * 3
            assert {entity.type for entity in again.entities} == {"person", None}
    few, many = taken[:3], taken[3:]
    assert max(taken) <= 20, taken
    assert all(more <= less for less, more in zip(few, many, strict=True)), taken


async def test_many_that_are_added_and_taken_back_take_as_many_statements_as_a_few(db_path: Path) -> None:
    taken: list[list[int]] = []
    async with counted(db_path) as (memory, counts):
        await memory.remember("The first text of a file has more to make.")
        for size in (9, 699):
            names = [f"person {size} {n}" for n in range(size)]
            relations = [(name, "knows", names[n - 1]) for n, name in enumerate(names)]
            observed = [Statement(subject=name, predicate="is", value=n) for n, name in enumerate(names)]
            taken.append([])
            with counts.during(taken[-1]):
                await memory.add_facts(relations, missing="imply")
            with counts.during(taken[-1]):
                added = await memory.add_entities([Name(name, "person") for name in names], facts=observed)
            assert all(one.new and one.facts for one in added)
            with counts.during(taken[-1]):
                await memory.add_facts(observed, missing="error")
            with counts.during(taken[-1]):
                assert all(await memory.retract_facts([*relations, *observed[1:]]))
            with counts.during(taken[-1]):
                assert len(await memory.retract_entities(names)) == size
    few, many = taken
    assert max(few) <= 14, taken
    assert all(more <= less for less, more in zip(few, many, strict=True)), taken


# -- rows that go in and come out --------------------------------------------------------------------------------------

ROWS: list[tuple[int, Any, float | None, bytes | None]] = [
    (1, "a", 0.1 + 0.2, b"\x00\xff"),
    (2, None, 1 / 3, b""),
    (3, 2**63 - 1, 5e-324, None),
    (4, -(2**63), 1e-300, b"abc"),
    (5, "\u2028 \U0001f600 \"'\\\n\x01", None, b"\x00" * 9),
    (6, '{"a": 1}', 1.0, b"x"),
    (7, "up to here\0and on", math.inf, None),
    (8, "\\u0000", -0.7071067811865476, b"y"),
    (9, "", 2.0**-124, b"z"),
    (10, "a", 1 - 2**-53, b"abc"),
]
COLUMNS = "id x r:real b:blob"


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x, r REAL, b BLOB)")
    yield conn
    conn.close()


def rows_in(conn: sqlite3.Connection) -> list[tuple[Any, ...]]:
    return conn.execute("SELECT * FROM t ORDER BY id").fetchall()


@pytest.mark.parametrize("count", [1, 2, len(ROWS)])
def test_rows_are_inserted_as_they_are(conn: sqlite3.Connection, count: int) -> None:
    for first in range(len(ROWS)):
        rows = (ROWS[first:] + ROWS[:first])[:count]
        conn.execute("DELETE FROM t")
        setwise.insert(conn, "t", COLUMNS, rows)
        assert rows_in(conn) == sorted(rows)


@pytest.mark.parametrize("same", [(), (1,), (2,), (3,), (1, 2, 3)])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_columns_that_are_the_same_in_all_rows_are_inserted_as_they_are(
    conn: sqlite3.Connection, row: tuple[Any, ...], same: tuple[int, ...]
) -> None:
    rows = [(id, *(row[n] if n in same else ROWS[id % len(ROWS)][n] for n in (1, 2, 3))) for id in range(30)]
    setwise.insert(conn, "t", COLUMNS, rows)
    assert rows_in(conn) == rows


@pytest.mark.parametrize("count", [1, 2, len(ROWS)])
def test_a_statement_reads_rows_as_they_are(conn: sqlite3.Connection, count: int) -> None:
    rows = ROWS[:count]
    changed = setwise.apply(conn, "INSERT INTO t SELECT r.id, r.x, r.r, r.b FROM {rows} r", COLUMNS, rows)
    assert changed == count
    assert rows_in(conn) == rows


def test_no_rows_change_nothing(conn: sqlite3.Connection) -> None:
    setwise.insert(conn, "t", COLUMNS, [])
    assert setwise.apply(conn, "INSERT INTO t SELECT r.id, r.x, r.r, r.b FROM {rows} r", COLUMNS, []) == 0
    assert setwise.load(conn, "t.id", "{rows} r CROSS JOIN t ON t.id = r.id", {}, "id", []) == []
    assert rows_in(conn) == []


@pytest.mark.parametrize("count", [1, 2, 30])
def test_a_text_that_is_none_is_refused(conn: sqlite3.Connection, count: int) -> None:
    with pytest.raises(UnicodeEncodeError):
        setwise.insert(conn, "t", COLUMNS, [(id, f"\ud800{id}", None, None) for id in range(count)])


def test_rows_come_out_as_they_are(conn: sqlite3.Connection) -> None:
    setwise.insert(conn, "t", COLUMNS, ROWS)
    found = setwise.load(conn, "id, x", "t WHERE id > :id", {"id": 0})
    assert sorted(found) == [list(row[:2]) for row in ROWS]


@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("count", [1, 2, len(ROWS)])
def test_rows_are_found_by_rows(conn: sqlite3.Connection, count: int, few: bool) -> None:
    setwise.insert(conn, "t", COLUMNS, ROWS)
    source = "{rows} r CROSS JOIN t ON t.id = r.id AND t.x IS r.x WHERE t.id <> :but"
    wanted = [(row[0], row[1]) for row in ROWS[:count]]
    found = setwise.load(conn, "t.id, t.x", source, {"but": 0}, "id x", wanted, few=few)
    assert sorted(map(tuple, found)) == wanted


def test_more_than_one_value_holds_goes_in_and_out_in_pieces(conn: sqlite3.Connection) -> None:
    conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2 * setwise.MOST)
    rows = [(n, f"{n} {'x' * 1000}", None, b"b" * 2000) for n in range(4 * setwise.MOST // 1000)]
    setwise.insert(conn, "t", COLUMNS, rows)
    assert rows_in(conn) == rows
    assert sorted(setwise.load(conn, "id, x", "t", {})) == [list(row[:2]) for row in rows]


def test_rows_of_many_pieces_are_encoded_once(conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []

    def noted(rows: Any, *more: Any) -> Any:
        encoded.append(len(rows))
        return real(rows, *more)

    real = setwise._encoded
    monkeypatch.setattr(setwise, "_encoded", noted)
    rows = [(n, f"{n} {'x' * 200}", None, None) for n in range(10 * setwise.MOST // 200)]
    setwise.insert(conn, "t", COLUMNS, rows)
    assert rows_in(conn) == rows
    assert sum(encoded) < 1.1 * len(rows)


def test_a_row_that_json_makes_too_long_goes_in_and_out(conn: sqlite3.Connection) -> None:
    conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 5_000)
    rows = [(n, "\n" * 4_000 + str(n), None, None) for n in range(20)]
    setwise.insert(conn, "t", COLUMNS, rows)
    assert rows_in(conn) == rows
    assert sorted(setwise.load(conn, "id, x", "t", {})) == [list(row[:2]) for row in rows]
    found = setwise.load(conn, "t.id", "{rows} r CROSS JOIN t ON t.x = r.x", {}, "x", [(row[1],) for row in rows])
    assert sorted(found) == [[row[0]] for row in rows]


def test_rows_go_in_where_few_variables_are_allowed(conn: sqlite3.Connection) -> None:
    conn.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 10)
    setwise.insert(conn, "t", COLUMNS, ROWS[:5])
    assert rows_in(conn) == ROWS[:5]


async def test_a_fact_that_replaces_another_does_not_read_what_ended_before_it(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    known = knowing.KnownFact

    def noted(*columns: Any) -> Any:
        read.append(columns)
        return known(*columns)

    async with Memory.open(db_path) as memory:
        for n in range(30):
            await memory.add_fact("Ada", "works on", value=n, valid_at=day(n), replace=True)
        monkeypatch.setattr(knowing, "KnownFact", noted)
        await memory.add_fact("Ada", "works on", value=30, valid_at=day(30), replace=True)
        assert len(read) == 1
        assert [fact.value for n in range(31) for fact in await memory.facts("Ada", as_of=day(n))] == [*range(31)]
    assert_sound(db_path)
