"""Rows: what every engine's has, as SQLite's has it."""

from __future__ import annotations

import copy
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb import Row
from aiomemdb.sqlite.common.rows import SQLiteRow

ONE_ROW = "SELECT 1 AS id, 'é' AS Name, NULL AS empty"


def select(sql: str, factory: type[sqlite3.Row] = SQLiteRow) -> Any:
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.row_factory = factory
        return conn.execute(sql).fetchone()


@pytest.fixture
def row() -> Row:
    typed: Row = select(ONE_ROW)
    return typed


def test_a_row_is_read_by_name_and_by_position(row: Row) -> None:
    assert row["id"] == row[0] == 1
    assert row["Name"] == row["name"] == row["NAME"] == row[1] == row[-2] == "é"
    assert row[0:2] == (1, "é")


def test_a_row_is_a_sequence_and_makes_a_dict(row: Row) -> None:
    assert len(row) == 3
    assert tuple(row) == (1, "é", None)
    assert dict(row) == {"id": 1, "Name": "é", "empty": None}
    assert row.keys() == ["id", "Name", "empty"]


def test_get_takes_a_name_and_says_what_stands_for_a_missing_column(row: Row) -> None:
    assert row.get("name") == "é"
    assert row.get("empty", 5) is None
    assert row.get("missing") is None
    assert row.get("missing", 5) == 5


def test_get_of_what_is_no_name_is_a_clear_error(row: Row) -> None:
    with pytest.raises(TypeError, match=r"row\.get\(1\.5\): the name of a column"):
        row.get(1.5)  # type: ignore[arg-type]


def test_a_row_shows_its_names_and_values(row: Row) -> None:
    assert repr(row) == "Row(id=1, Name='é', empty=None)"


def test_rows_compare_and_hash_by_names_and_values(row: Row) -> None:
    same, other_value, other_name = select(ONE_ROW), select(ONE_ROW.replace("1", "2")), select("SELECT 1 AS id")
    assert row == same and hash(row) == hash(same)
    assert row != other_value and row != other_name
    assert row != object()
    assert row == select(ONE_ROW, sqlite3.Row)


@pytest.mark.parametrize("key", ["no such name", 3, 1.5])
def test_what_a_row_does_not_have_is_a_lookup_error(row: Row, key: Any) -> None:
    with pytest.raises(IndexError) as caught:
        row[key]
    assert isinstance(caught.value, LookupError)


def test_in_development_mode_a_missing_key_names_itself_and_the_columns() -> None:
    text = f"""if True:
        import sqlite3, pytest
        from aiomemdb.sqlite.common.rows import SQLiteRow
        conn = sqlite3.connect(":memory:")
        conn.row_factory = SQLiteRow
        row = conn.execute("{ONE_ROW}").fetchone()
        conn.close()
        assert row["NAME"] == row[-2] == "é" and row[:1] == (1,) and row.get("nome") is None and dict(row)["id"] == 1
        with pytest.raises(IndexError, match="no column 'nome': the row has 3: id, Name, empty"):
            row["nome"]
        with pytest.raises(IndexError, match="no column 3"):
            row[3]
    """
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(aiomemdb.__file__).parents[1])}
    subprocess.run([sys.executable, "-X", "dev", "-c", text], check=True, env=environment)


def test_an_attribute_of_a_columns_name_says_how_to_read_it(row: Row) -> None:
    with pytest.raises(AttributeError, match=r'a Row has no attribute \'id\': use row\["id"\]'):
        row.id  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match="'nome': its columns are id, Name, empty"):
        row.nome  # type: ignore[attr-defined]  # noqa: B018


def test_a_row_has_no_dict_of_its_own_and_can_not_be_changed(row: Row) -> None:
    with pytest.raises(AttributeError):
        row.extra = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        row["id"] = 2  # type: ignore[index]


@pytest.mark.parametrize(
    "sql",
    [
        ONE_ROW,
        "SELECT 1 AS a, 2 AS a, x'00ff' AS \"say \"\"hi\"\"\", 1.5 AS 'x [y]', 'a' || char(0) || 'b' AS ''",
        "SELECT count(*), 9223372036854775807, 9e999, -0.0 FROM (VALUES (1), (2)) AS `ü.ber`",
    ],
    ids=["plain", "odd names", "expressions"],
)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_row_can_be_pickled(sql: str, protocol: int) -> None:
    row = select(sql)
    again = pickle.loads(pickle.dumps(row, protocol))
    assert type(again) is SQLiteRow
    assert again == row and hash(again) == hash(row)
    assert repr(again) == repr(row) and again.keys() == row.keys()


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_row_can_be_copied(row: Row, duplicate: Callable[[Row], Row]) -> None:
    assert duplicate(row) == row


async def test_every_verb_that_returns_rows_returns_such(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        rows = await db.write_returning("INSERT INTO t VALUES (1) RETURNING x")
        rows += await db.read("SELECT x FROM t")
        rows += [row async for row in db.read_stream("SELECT x FROM t")]
        rows += await db.read_fn(lambda conn: conn.execute("SELECT x FROM t").fetchall())
        rows += await db.write_fn(lambda conn: conn.execute("SELECT x FROM t").fetchall())
        async with db.snapshot() as snap:
            rows += await snap.read("SELECT x FROM t")
        async with db.transaction() as tx:
            rows += await tx.read("SELECT x FROM t")
        row = await db.read_one("SELECT x FROM t")
    assert row is not None
    for each in [*rows, row]:
        assert type(each) is SQLiteRow and isinstance(each, Row) and each == row
