"""What a question costs does not grow with the file: SQLite's steps in a small memory and in one ten times as large."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aiomemdb import Memory
from aiomemdb.memory.deciding import walking
from aiomemdb.memory.questions import FactQuery
from aiomemdb.memory.stores.sqlite import reading
from aiomemdb.memory.stores.sqlite.running_rules import run

SMALL, LARGE = 60, 600
HERE = ["default"]
#: Of entity, fact and episode 5, which both memories have.
QUESTIONS: dict[str, Callable[[sqlite3.Connection], Any]] = {
    "facts of a subject": lambda conn: reading.facts(conn, HERE, FactQuery(0, subjects=[5])),
    "facts of an object": lambda conn: reading.facts(conn, HERE, FactQuery(0, objects=[5])),
    "facts between two": lambda conn: reading.facts(conn, HERE, FactQuery(0, subjects=[5], objects=[6])),
    "a fact": lambda conn: reading.facts(conn, HERE, FactQuery(0, ids=[5])),
    "some facts": lambda conn: reading.facts(conn, HERE, FactQuery(0, limit=5)),
    "neighbors": lambda conn: run(conn, walking.surroundings, HERE, [5], FactQuery(0, limit=9), 2),
    "entities by id": lambda conn: reading.entities(conn, HERE, [5, 6], None, 0, -1),
    "some entities": lambda conn: reading.entities(conn, HERE, None, None, 0, 5),
    "a text by its key": lambda conn: reading.episodes(conn, HERE, None, "k 5", None, None, 1),
    "a text by its id": lambda conn: reading.episodes(conn, HERE, 5, None, None, None, 1),
    "some texts of a session": lambda conn: reading.episodes(conn, HERE, None, None, "s 5", None, 3),
    "some texts": lambda conn: reading.episodes(conn, HERE, None, None, None, None, 5),
    "later texts of a session": lambda conn: reading.episodes(conn, HERE, None, None, "s 5", (5, 55), 3),
    "later texts": lambda conn: reading.episodes(conn, HERE, None, None, None, (50,), 5),
    "later facts": lambda conn: reading.facts(conn, HERE, FactQuery(0, after=50, limit=5)),
    "later entities": lambda conn: reading.entities(conn, HERE, None, None, 50, 5),
    "evidence": lambda conn: reading.evidence(conn, HERE, 5),
    "history": lambda conn: reading.history(conn, HERE, "fact", 5),
}


async def fill(path: Path, count: int) -> None:
    async with Memory.open(path) as memory, Memory.open(path, namespace="other") as other:

        async def remember(memory: Memory, n: int) -> None:
            facts = [(f"n {n}", "is before", f"n {n + 1}")]
            await memory.remember(f"text {n}", facts, key=f"k {n}", session=f"s {n // 10}")

        for n in range(SMALL):  # one after another, so that their ids are the same in both
            await remember(memory, n)
        await asyncio.gather(*(remember(memory, n) for n in range(SMALL, count)))
        await asyncio.gather(*(remember(other, n) for n in range(count)))


def steps(path: Path) -> dict[str, int]:
    counted = dict.fromkeys(QUESTIONS, 0)
    with closing(sqlite3.connect(path)) as conn:
        conn.row_factory = sqlite3.Row
        for question, ask in QUESTIONS.items():

            def count(question: str = question) -> None:
                counted[question] += 1

            conn.set_progress_handler(count, 1)
            assert ask(conn), question
            conn.set_progress_handler(None, 1)
    return counted


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, int]]:
    found = []
    for count in (SMALL, LARGE):
        path = tmp_path_factory.mktemp("plans") / "memory.db"
        asyncio.run(fill(path, count))
        found.append(steps(path))
    return found


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_costs_the_same_in_a_larger_memory(costs: list[dict[str, int]], question: str) -> None:
    small, large = costs
    assert small[question] > 0
    assert large[question] < 1.5 * small[question]
