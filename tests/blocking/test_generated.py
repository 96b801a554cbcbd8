"""No verb is written twice: the synchronous ones are made from the asynchronous ones, and have their signatures."""

from __future__ import annotations

import ast
import inspect

import pytest

import aiomemdb
from aiomemdb import blocking
from tests.support.blocking_source import FOLDER, SOURCES


@pytest.mark.parametrize("name", SOURCES)
def test_the_file_is_what_is_generated(name: str) -> None:
    # As formatted by `make format`.
    assert ast.dump(ast.parse((FOLDER / name).read_text())) == ast.dump(ast.parse(SOURCES[name]())), "run `make format`"


PAIRS = [
    (aiomemdb.SQLiteDatabase, blocking.Database),
    (aiomemdb.SQLiteTransaction, blocking.Transaction),
    (aiomemdb.SQLiteHold, blocking.Hold),
    (aiomemdb.SQLiteSnapshot, blocking.Snapshot),
    (aiomemdb.Memory, blocking.Memory),
]


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize(("asynchronous", "synchronous"), PAIRS)
def test_each_has_the_verbs_of_the_other_and_no_more(asynchronous: type, synchronous: type) -> None:
    assert public(synchronous) == public(asynchronous)


@pytest.mark.parametrize(
    ("asynchronous", "synchronous", "verb"),
    [
        (first, second, verb)
        for first, second in PAIRS
        for verb in sorted(public(first))
        if callable(getattr(first, verb))
    ],
)
def test_a_verb_takes_the_same_arguments(asynchronous: type, synchronous: type, verb: str) -> None:
    there, here = (inspect.signature(getattr(kind, verb)).parameters for kind in (asynchronous, synchronous))
    assert [(each.name, each.kind, each.default) for each in here.values()] == [
        (each.name, each.kind, each.default) for each in there.values()
    ]
    assert inspect.getdoc(getattr(synchronous, verb))


def test_connect_takes_the_same_options() -> None:
    there, here = (inspect.signature(connect).parameters for connect in (aiomemdb.connect, blocking.connect))
    assert [(each.name, each.kind, each.default) for each in here.values()] == [
        (each.name, each.kind, each.default) for each in there.values()
    ]
