"""Row and Statistics."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import pickle
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from aiomemdb import Row, Statistics

ONE_ROW = "SELECT 1 AS id, 'é' AS Name, NULL AS empty"


@pytest.fixture
def row() -> Iterator[Row]:
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.row_factory = Row
        yield conn.execute(ONE_ROW).fetchone()


def test_a_row_is_read_by_name_and_by_position(row: Row) -> None:
    assert row["id"] == row[0] == 1
    assert row["Name"] == row["name"] == row["NAME"] == row[1] == row[-2] == "é"
    assert row[0:2] == (1, "é")


def test_a_row_is_a_sequence_and_makes_a_dict(row: Row) -> None:
    assert len(row) == 3
    assert tuple(row) == (1, "é", None)
    assert dict(row) == {"id": 1, "Name": "é", "empty": None}


def test_a_row_shows_its_names_and_values(row: Row) -> None:
    assert repr(row) == "Row(id=1, Name='é', empty=None)"


def test_rows_compare_by_names_and_values(row: Row) -> None:
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.row_factory = Row
        assert row == conn.execute(ONE_ROW).fetchone()
        assert row != conn.execute(ONE_ROW.replace("1", "2")).fetchone()


@pytest.mark.parametrize(("key", "error"), [("no such name", IndexError), (3, IndexError), (1.5, IndexError)])
def test_what_a_row_does_not_have_is_an_index_error(row: Row, key: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        row[key]  # type: ignore[index]


def test_a_row_has_no_dict_of_its_own_and_can_not_be_changed(row: Row) -> None:
    with pytest.raises(AttributeError):
        row.extra = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        row["id"] = 2  # type: ignore[index]


def zeros() -> Statistics:
    return Statistics(**{field.name: 0 for field in dataclasses.fields(Statistics)})  # type: ignore[arg-type]


def test_statistics_are_frozen_slotted_and_equal_by_value() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        zeros().pending = 1  # type: ignore[misc]
    assert not hasattr(zeros(), "__dict__")
    assert zeros() == zeros()
    assert pickle.loads(pickle.dumps(zeros())) == zeros()


def test_every_field_of_statistics_is_documented() -> None:
    [body] = [node.body for node in ast.parse(inspect.getsource(Statistics)).body if isinstance(node, ast.ClassDef)]
    documented = [
        field.target.id
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    ]
    assert documented == [field.name for field in dataclasses.fields(Statistics)]
