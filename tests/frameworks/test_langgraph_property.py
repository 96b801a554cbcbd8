"""Random steps give what LangGraph's in-memory classes give: alone, cancelled at random, by two processes in turn."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

import aiomemdb
from aiomemdb.integrations.langgraph import AiomemdbSaver, AiomemdbStore
from tests.frameworks.langgraph_steps import saver_steps, state_of_saver, state_of_store, store_steps, take
from tests.support.plain import assert_healthy
from tests.support.whole import assert_whole

Kind = tuple[str, Callable[[Any], Any], Callable[[], Any], Callable[[Any], Awaitable[Any]]]

SAVER: Kind = ("saver", AiomemdbSaver, InMemorySaver, state_of_saver)
STORE: Kind = ("store", AiomemdbStore, InMemoryStore, state_of_store)
WRITES = ("put", "writes", "delete", "batch")


async def alone(kind: Kind, steps: list[Any]) -> None:
    _, make, make_model, state = kind
    model = make_model()
    async with aiomemdb.connect(":memory:") as db:
        ours = make(db)
        for step in steps:
            assert await take(ours, step) == await take(model, step), step
        assert await state(ours) == await state(model)


@settings(max_examples=60)
@given(saver_steps)
def test_random_steps_of_a_checkpointer_return_what_its_own_class_returns(steps: list[Any]) -> None:
    aiomemdb.run(alone(SAVER, steps))


@settings(max_examples=60)
@given(store_steps)
def test_random_steps_of_a_store_return_what_its_own_class_returns(steps: list[Any]) -> None:
    aiomemdb.run(alone(STORE, steps))


async def cancelled(kind: Kind, steps: list[Any], seed: int) -> None:
    """Steps that write are cancelled after some iterations of the loop: each was applied wholly, or not at all."""
    _, make, make_model, state = kind
    dice = random.Random(seed)
    model = make_model()
    applied: list[Any] = []
    async with aiomemdb.connect(":memory:") as db:
        ours = make(db)
        for step in steps:
            if step[0] not in WRITES:
                continue
            if step[0] == "writes" and await take(model, ["get", *step[1:4]]) is None:
                continue  # what is written to no checkpoint can't be looked at
            task = asyncio.create_task(take(ours, step))
            for _ in range(dice.randrange(12)):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            await db.flush()
            now = await state(ours)
            with_it = make_model()
            for one in [*applied, step]:
                await take(with_it, one)
            if now == await state(with_it):
                applied.append(step)
                model = with_it
            else:
                assert task.cancelled()
                assert now == await state(model), step
        await assert_whole(db)


@settings(max_examples=40)
@given(saver_steps, st.integers())
def test_cancelled_steps_of_a_checkpointer_are_whole_or_not_there(steps: list[Any], seed: int) -> None:
    aiomemdb.run(cancelled(SAVER, steps, seed))


@settings(max_examples=40)
@given(store_steps, st.integers())
def test_cancelled_steps_of_a_store_are_whole_or_not_there(steps: list[Any], seed: int) -> None:
    aiomemdb.run(cancelled(STORE, steps, seed))


@contextmanager
def another_process(path: Path) -> Iterator[Callable[[str, Any], Any]]:
    """Takes steps at the same file."""
    command = [sys.executable, "-W", "error", "-m", "tests.frameworks.langgraph_steps", str(path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        asks, answers = process.stdin, process.stdout

        def ask(kind: str, step: Any) -> Any:
            asks.write(json.dumps([kind, step]) + "\n")
            asks.flush()
            return json.loads(answers.readline())

        yield ask
        asks.close()
        assert process.wait(60) == 0


async def in_turn(kind: Kind, steps: list[Any], path: Path, ask: Callable[[str, Any], Any], seed: int) -> None:
    name, make, make_model, state = kind
    dice = random.Random(seed)
    model = make_model()
    async with aiomemdb.connect(path) as db:
        ours = make(db)
        for step in steps:
            answer = await take(ours, step) if dice.random() < 0.5 else await asyncio.to_thread(ask, name, step)
            assert answer == await take(model, step), step
        assert await state(ours) == await state(model)
        # For the next example: both go on with the same file.
        tables = ("checkpoints", "writes") if name == "saver" else ("store",)
        for table in tables:
            await db.write(f"DELETE FROM {table}")


@pytest.mark.parametrize(("kind", "strategy"), [(SAVER, saver_steps), (STORE, store_steps)])
def test_two_processes_that_take_the_steps_in_turn_are_as_one(kind: Kind, strategy: Any) -> None:
    with TemporaryDirectory() as folder, another_process(Path(folder) / "a.db") as ask:
        path = Path(folder) / "a.db"

        @settings(max_examples=30)
        @given(strategy, st.integers())
        def take_turns(steps: list[Any], seed: int) -> None:
            aiomemdb.run(in_turn(kind, steps, path, ask, seed))

        take_turns()
        assert_healthy(path)
