"""Work that no cancellation reaches, as long as the loop runs."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from aiomemdb.concurrency.detached import detached

name: ContextVar[str] = ContextVar("name", default="nowhere")


async def test_a_detached_task_survives_the_cancellation_of_all_tasks_and_its_outcome_arrives() -> None:
    loop = asyncio.get_running_loop()
    gate, done = loop.create_future(), list[str]()

    async def work() -> str:
        await gate
        await asyncio.sleep(0)
        done.append(name.get())
        return "outcome"

    name.set("here")
    outcome = detached(work(), loop)

    async def wait() -> str:
        return await asyncio.shield(outcome)

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled() and not done
    gate.set_result(None)
    assert await outcome == "outcome" and done == ["here"]


async def test_a_detached_task_begins_at_once_and_may_end_at_once() -> None:
    async def work() -> int:
        return 7

    outcome = detached(work(), asyncio.get_running_loop())
    assert outcome.done() and outcome.result() == 7


async def test_what_it_raises_is_its_outcome() -> None:
    loop = asyncio.get_running_loop()
    failing = loop.create_future()

    async def work() -> None:
        with pytest.raises(KeyError):
            await failing
        raise ValueError("of its own")

    outcome = detached(work(), loop)
    failing.set_exception(KeyError())
    with pytest.raises(ValueError, match="of its own"):
        await outcome


async def test_a_caller_that_cancels_the_outcome_stops_nothing() -> None:
    loop = asyncio.get_running_loop()
    gate, done = loop.create_future(), asyncio.Event()

    async def work() -> None:
        await gate
        done.set()

    detached(work(), loop).cancel()
    gate.set_result(None)
    await done.wait()
