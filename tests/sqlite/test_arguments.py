"""What is handed over is what is stored: values that can change are copied at the call, numpy's become numbers."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import sqlite3
import uuid
from array import array
from collections.abc import AsyncIterator, Callable, Iterator
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aiomemdb
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from tests.support.gates import Gate

INSERT = "INSERT INTO t (x) VALUES (?)"
RETURNING = f"{INSERT} RETURNING id"


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
        yield db


async def xs(db: SQLiteDatabase) -> list[Any]:
    return [row["x"] for row in await db.read("SELECT x FROM t ORDER BY id")]


# -- values that can change ------------------------------------------------------------------------------------------

VERBS: dict[str, Callable[[Any, Any], Any]] = {
    "write": lambda db, value: db.write(INSERT, (value,)),
    "write of a list": lambda db, value: db.write(INSERT, [value]),
    "write by name": lambda db, value: db.write("INSERT INTO t (x) VALUES (:x)", {"x": value}),
    "write durable": lambda db, value: db.write(INSERT, (value,), durable=True),
    "write_count": lambda db, value: db.write_count(INSERT, (value,)),
    "write_returning": lambda db, value: db.write_returning(RETURNING, (value,)),
    "write_many": lambda db, value: db.write_many(INSERT, [(value,)]),
    "write_many of a generator": lambda db, value: db.write_many(INSERT, ((v,) for v in [value])),
    "submit": lambda db, value: db.submit(INSERT, (value,)),
}


BUFFERS: dict[str, Callable[[], Any]] = {
    "bytearray": lambda: bytearray(b"first"),
    "memoryview": lambda: memoryview(bytearray(b"first")),
    "array": lambda: array("B", b"first"),
    "numpy's array": lambda: np.frombuffer(bytearray(b"first"), dtype=np.uint8),
}


@pytest.mark.parametrize("make", BUFFERS.values(), ids=BUFFERS)
@pytest.mark.parametrize("verb", VERBS)
async def test_a_buffer_that_is_filled_anew_after_the_call_is_stored_as_it_was(
    db: SQLiteDatabase, verb: str, make: Callable[[], Any]
) -> None:
    value = make()
    with Gate() as gate:
        held = asyncio.ensure_future(db.write_fn(gate.block))
        await gate.wait_entered()
        writing = asyncio.ensure_future(VERBS[verb](db, value))
        await asyncio.sleep(0)  # the call is made, and waits behind the function
        memoryview(value)[:] = b"later"
        gate.open()
        await asyncio.wait([held, writing])
    assert await xs(db) == [b"first"]


async def test_an_object_is_stored_as_its_adapter_said_at_the_call(db: SQLiteDatabase) -> None:
    class Tags(list[str]):
        def __conform__(self, protocol: object) -> str:
            return ",".join(self)

    tags = Tags(["a"])
    writing = db.submit(INSERT, (tags,))
    tags.append("b")
    await writing
    assert await xs(db) == ["a"]


async def test_a_generator_may_fill_one_buffer_for_each_row(db: SQLiteDatabase) -> None:
    def rows() -> Iterator[tuple[bytearray]]:
        buffer = bytearray(1)
        for n in range(3):
            buffer[0] = n
            yield (buffer,)

    await db.write_many(INSERT, rows())
    assert await xs(db) == [b"\0", b"\1", b"\2"]


async def test_a_buffer_of_strides_is_stored_by_its_elements(db: SQLiteDatabase) -> None:
    await db.write(INSERT, (memoryview(b"abcdef")[::2],))
    assert await xs(db) == [b"ace"]


async def test_a_step_of_a_transaction_copies_too(db: SQLiteDatabase) -> None:
    with Gate() as gate:
        async with db.transaction() as tx:
            held = asyncio.ensure_future(tx.write_fn(gate.block))
            await gate.wait_entered()
            value = bytearray(b"first")
            writing = asyncio.ensure_future(tx.write(INSERT, (value,)))
            await asyncio.sleep(0)
            value[:] = b"later"
            gate.open()
            await asyncio.wait([held, writing])
    assert await xs(db) == [b"first"]


# -- numbers of numpy's ----------------------------------------------------------------------------------------------

NUMBERS = [
    (np.int64(7), 7),
    (np.int8(-7), -7),
    (np.uint64(2**63 - 1), 2**63 - 1),
    (np.float64(0.5), 0.5),
    (np.float32(0.5), 0.5),
    (np.float16(0.5), 0.5),
    (np.longdouble(0.5), 0.5),
    (np.bool_(True), 1),
    (np.str_("a"), "a"),
    (np.bytes_(b"a"), b"a"),
]


@pytest.mark.parametrize(("value", "stored"), NUMBERS, ids=lambda value: f"{type(value).__name__}")
@pytest.mark.parametrize("verb", VERBS)
async def test_a_scalar_of_numpys_is_stored_as_what_it_stands_for(
    db: SQLiteDatabase, verb: str, value: Any, stored: Any
) -> None:
    await VERBS[verb](db, value)
    assert await xs(db) == [stored]
    assert type((await xs(db))[0]) is (int if stored is True else type(stored))


@pytest.mark.parametrize("params", [(np.int64(7),), [np.int64(7)], {"x": np.int64(7)}])
async def test_a_read_finds_a_row_by_a_number_of_numpys(db: SQLiteDatabase, params: Any) -> None:
    await db.write(INSERT, (7,))
    sql = "SELECT count(*) FROM t WHERE x = " + (":x" if isinstance(params, dict) else "?")
    async with db.snapshot() as snap, db.transaction() as tx:
        for reading in (db, snap, tx):
            assert await reading.read_value(sql, params) == 1
            assert [row[0] for row in await reading.read(sql, params)] == [1]
    assert [row[0] async for row in db.read_stream(sql, params)] == [1]


async def test_an_adapter_that_the_caller_has_registered_counts(db: SQLiteDatabase) -> None:
    class Celsius(np.float64):
        pass

    sqlite3.register_adapter(Celsius, lambda value: f"{float(value)} °C")
    await db.write(INSERT, (Celsius(21),))
    assert await xs(db) == ["21.0 °C"]


async def test_an_enum_of_numbers_is_a_number(db: SQLiteDatabase) -> None:
    class Level(IntEnum):
        HIGH = 3

    await db.write(INSERT, (Level.HIGH,))
    assert await xs(db) == [3]


# -- what SQLite can't store -----------------------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"


UNSUPPORTED = [
    ({"a": 1}, "json.dumps"),
    ([1], "json.dumps"),
    ((1,), "json.dumps"),
    ({1}, "json.dumps"),
    (decimal.Decimal("1.5"), "str"),
    (uuid.UUID(int=1), "str"),
    (Path("a"), "str"),
    (Colour.RED, ".value"),
    (datetime.timedelta(1), "total_seconds"),
    (1j, "register_adapter"),
    (object(), "register_adapter"),
]


@pytest.mark.parametrize(("value", "advice"), UNSUPPORTED, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("verb", VERBS)
async def test_what_can_not_be_stored_is_sqlites_error_with_a_note_that_says_what_to_do(
    db: SQLiteDatabase, verb: str, value: Any, advice: str
) -> None:
    with pytest.raises(sqlite3.ProgrammingError, match="is not supported") as caught:
        await VERBS[verb](db, value)
    [note] = [note for note in caught.value.__notes__ if "register_adapter" in note]
    assert advice in note
    assert await xs(db) == []


async def test_a_value_of_a_name_that_the_sql_does_not_use_may_be_anything(db: SQLiteDatabase) -> None:
    await db.write("INSERT INTO t (x) VALUES (:x)", {"x": 1, "tags": ["a"], "at": object()})
    assert await xs(db) == [1]


@pytest.mark.parametrize("verb", ["read", "read_one", "read_value"])
async def test_a_query_says_so_too(db: SQLiteDatabase, verb: str) -> None:
    async with db.snapshot() as snap, db.transaction() as tx:
        for reading in (db, snap, tx):
            with pytest.raises(sqlite3.ProgrammingError) as caught:
                await getattr(reading, verb)("SELECT ?", ({"a": 1},))
            assert "json.dumps" in "".join(caught.value.__notes__)
