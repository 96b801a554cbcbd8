"""Calls that wait together are answered together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar

import pytest

from aiomemdb import DatabaseClosed
from aiomemdb.memory.together import Together


class Answers:
    """Notes the batches; each waits for ``let_go``."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.let_go = asyncio.Event()

    async def __call__(self, items: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(items))
        await self.let_go.wait()
        if 13 in items:
            raise RuntimeError("thirteen")
        return [item * 2 for item in items]


async def test_what_comes_during_a_batch_is_the_next_one() -> None:
    answers = Answers()
    together = Together(answers, most=3, name="test")
    first = [together.add(n) for n in (1, 2)]
    await asyncio.sleep(0)
    later = [together.add(n) for n in range(3, 8)]
    answers.let_go.set()
    assert await asyncio.gather(*first, *later) == [2, 4, 6, 8, 10, 12, 14]
    assert answers.batches == [[1, 2], [3, 4, 5], [6, 7]]


async def test_an_error_is_the_answer_of_its_batch_alone() -> None:
    answers = Answers()
    answers.let_go.set()
    together = Together(answers, most=2, name="test")
    found = await asyncio.gather(*(together.add(n) for n in (1, 13, 2)))
    assert [str(answer) for answer in found] == ["thirteen", "thirteen", "4"]


async def test_a_batch_weighs_no_more_than_it_may_but_holds_one_item_at_least() -> None:
    answers = Answers()
    answers.let_go.set()
    together = Together(answers, most=10, name="test", weigh=lambda item: item)
    await asyncio.gather(*(together.add(n) for n in (4, 5, 2, 99, 1)))
    assert answers.batches == [[4, 5], [2], [99], [1]]


async def test_a_caller_that_leaves_before_its_batch_is_left_out() -> None:
    answers = Answers()
    together = Together(answers, most=9, name="test")
    stays, leaves = together.add(1), together.add(2)
    leaves.cancel()
    answers.let_go.set()
    await stays
    assert answers.batches == [[1]]


async def test_a_caller_that_leaves_harms_no_other() -> None:
    answers = Answers()
    together = Together(answers, most=9, name="test")
    leaves, stays = together.add(1), together.add(2)
    await asyncio.sleep(0)
    leaves.cancel()
    answers.let_go.set()
    assert await stays == 4


async def test_what_is_added_in_the_turn_in_which_a_batch_ends_is_answered() -> None:
    answers = Answers()
    answers.let_go.set()
    together = Together(answers, most=9, name="test")
    first = together.add(1)
    again: list[asyncio.Future[int | BaseException]] = []
    first.add_done_callback(lambda _: again.append(together.add(2)))
    await first
    async with asyncio.timeout(60):
        assert await again[0] == 4


async def test_a_batch_has_nothing_of_its_callers_context() -> None:
    held: ContextVar[str] = ContextVar("held", default="nothing")

    async def answer(items: Sequence[int]) -> Sequence[str]:
        return [held.get()] * len(items)

    held.set("something")
    assert await Together(answer, most=9, name="test").add(1) == "nothing"


async def test_closing_goes_on_answering_for_a_while() -> None:
    answers = Answers()
    together = Together(answers, most=1, name="test")
    waiting = [together.add(n) for n in range(3)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(together.close(timeout=30))
    await asyncio.sleep(0)
    with pytest.raises(DatabaseClosed):
        together.add(1)
    answers.let_go.set()
    await closing
    assert await asyncio.gather(*waiting) == [0, 2, 4]


async def test_a_batch_is_answered_if_others_cancel_its_task_and_the_next_one_works() -> None:
    answers = Answers()
    together = Together(answers, most=1, name="test")
    waiting = [together.add(n) for n in range(2)]
    await asyncio.sleep(0)
    assert together._task is not None
    together._task.cancel()
    found = await asyncio.gather(*waiting)
    assert [getattr(answer, "applied", 0) for answer in found] == [None, False]
    answers.let_go.set()
    assert await together.add(4) == 8


async def test_closing_answers_all_that_waits_and_refuses_more() -> None:
    answers = Answers()
    together = Together(answers, most=1, name="test")
    waiting = [together.add(n) for n in range(3)]
    await asyncio.sleep(0)
    await together.close()
    assert [type(answer) for answer in await asyncio.gather(*waiting)] == [DatabaseClosed] * 3
    with pytest.raises(DatabaseClosed):
        together.add(1)
