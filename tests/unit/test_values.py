"""Statistics."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import pickle

import pytest

from aiomemdb import Statistics


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
