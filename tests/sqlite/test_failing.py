"""Failing many futures: in slices, in order, each with an error of its own; or the rest at once."""

from __future__ import annotations

import asyncio
from typing import Any

from aiomemdb import DatabaseClosed
from aiomemdb.concurrency import failing
from aiomemdb.concurrency.failing import Failing

MANY = 3 * failing._SLICE + 1


def futures(loop: asyncio.AbstractEventLoop) -> list[asyncio.Future[Any]]:
    return [loop.create_future() for _ in range(MANY)]


def done(waiting: list[asyncio.Future[Any]]) -> int:
    return sum(future.done() for future in waiting)


async def test_a_slice_fails_at_once_and_each_other_one_in_an_iteration_of_its_own() -> None:
    loop = asyncio.get_running_loop()
    waiting = futures(loop)
    Failing(loop).add(waiting, DatabaseClosed("closed"))
    seen = [done(waiting)]
    while seen[-1] < MANY:
        await asyncio.sleep(0)
        seen.append(done(waiting))
        assert done(waiting[: seen[-1]]) == seen[-1]  # in order
    assert seen == [*range(failing._SLICE, MANY, failing._SLICE), MANY]
    assert len({id(future.exception()) for future in waiting}) == MANY


async def test_jobs_added_meanwhile_fail_after_the_others_each_with_its_own_error() -> None:
    loop = asyncio.get_running_loop()
    first, second = futures(loop), futures(loop)
    many = Failing(loop)
    many.add(first, DatabaseClosed("first"))
    many.add(second, DatabaseClosed("second"))
    assert done(second) == 0
    await many.finished()
    assert {str(future.exception()) for future in first} == {"first"}
    assert {str(future.exception()) for future in second} == {"second"}


async def test_what_is_done_already_is_left_as_it_is() -> None:
    loop = asyncio.get_running_loop()
    waiting = futures(loop)
    waiting[0].set_result("done")
    waiting[-1].cancel()
    many = Failing(loop)
    many.add(waiting, DatabaseClosed("closed"))
    await many.finished()
    assert (waiting[0].result(), waiting[-1].cancelled()) == ("done", True)
    assert all(future.exception() for future in waiting[1:-1])


async def test_the_rest_fails_at_once_where_there_is_no_time_left() -> None:
    loop = asyncio.get_running_loop()
    waiting = futures(loop)
    many = Failing(loop)
    many.add(waiting, DatabaseClosed("closed"))
    many.finish()
    assert {str(future.exception()) for future in waiting} == {"closed"}
    await asyncio.sleep(0)  # the slice that was to come finds nothing
    assert many.finished().done()


def test_where_the_loop_is_closed_all_fail_at_once() -> None:
    loop = asyncio.new_event_loop()
    waiting = futures(loop)
    loop.close()
    Failing(loop).add(waiting, DatabaseClosed("closed"))
    assert done(waiting) == MANY
