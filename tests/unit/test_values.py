"""Statistics."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import pickle

import pytest

from aiomemdb import SQLiteStatistics, Statistics

KINDS = pytest.mark.parametrize("kind", [Statistics, SQLiteStatistics])


def zeros(kind: type[Statistics]) -> Statistics:
    return kind(**{field.name: 0 for field in dataclasses.fields(kind)})  # type: ignore[arg-type]


@KINDS
def test_statistics_are_frozen_slotted_and_equal_by_value(kind: type[Statistics]) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        zeros(kind).pending = 1  # type: ignore[misc]
    assert not hasattr(zeros(kind), "__dict__")
    assert zeros(kind) == zeros(kind)
    assert pickle.loads(pickle.dumps(zeros(kind))) == zeros(kind)


@KINDS
def test_every_field_of_statistics_is_documented(kind: type[Statistics]) -> None:
    [body] = [node.body for node in ast.parse(inspect.getsource(kind)).body if isinstance(node, ast.ClassDef)]
    documented = [
        field.target.id
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    ]
    assert documented == list(kind.__annotations__)


def test_sqlites_statistics_are_those_of_every_engine_and_its_own() -> None:
    assert [field.name for field in dataclasses.fields(SQLiteStatistics)] == [
        *Statistics.__annotations__,
        *SQLiteStatistics.__annotations__,
    ]
    assert not any("wal" in name or "checkpoint" in name for name in Statistics.__annotations__)
