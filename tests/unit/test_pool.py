"""The pool lends integers here: what it lends is nothing to it."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiomemdb.concurrency.pool import Pool


async def _waiting(pool: Pool[int], count: int) -> list[asyncio.Task[int]]:
    """Tasks that wait for a lease, in their order."""
    tasks = [asyncio.create_task(pool.acquire()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_an_idle_item_is_leased_at_once() -> None:
    pool = Pool([1, 2], max_leases=2)
    assert {await pool.acquire(), await pool.acquire()} == {1, 2}
    assert (pool.idle, pool.waiting, pool.may_lease) == (0, 0, False)


async def test_leases_are_given_in_the_order_of_arrival() -> None:
    pool = Pool([1], max_leases=1)
    item = await pool.acquire()
    tasks = await _waiting(pool, 5)
    for task in tasks:
        pool.release(item)
        assert await task == 1
        assert not any(later.done() for later in tasks[tasks.index(task) + 1 :])


async def test_a_newcomer_does_not_overtake_a_waiter() -> None:
    pool = Pool([1], max_leases=1)
    item = await pool.acquire()
    [first] = await _waiting(pool, 1)
    pool.release(item)
    # The item is free for `first` already, though it has not run yet.
    second = asyncio.create_task(pool.acquire())
    assert await first == 1
    assert not second.done()
    pool.release(1)
    assert await second == 1


async def test_a_cancelled_waiter_is_passed_over() -> None:
    pool = Pool([1], max_leases=1)
    item = await pool.acquire()
    first, second = await _waiting(pool, 2)
    first.cancel()
    await asyncio.wait([first])
    assert pool.waiting == 1
    pool.release(item)
    assert await second == 1


async def test_a_waiter_cancelled_before_it_ran_holds_nothing() -> None:
    pool = Pool([1], max_leases=1)
    task = asyncio.create_task(pool.acquire())
    task.cancel()
    await asyncio.wait([task])
    assert (pool.idle, pool.may_lease, pool.waiting) == (1, True, 0)


async def test_an_item_handed_to_a_waiter_that_is_cancelled_in_the_same_turn_goes_to_the_next() -> None:
    pool = Pool([1], max_leases=1)
    item = await pool.acquire()
    first, second = await _waiting(pool, 2)
    # giver   release()                 first runs: cancelled, passes it on
    # first             cancel()
    pool.release(item)
    first.cancel()
    assert await second == 1
    assert first.cancelled()
    pool.release(1)
    assert (pool.idle, pool.may_lease) == (1, True)


async def test_an_item_handed_to_a_waiter_that_timed_out_in_the_same_turn_comes_back() -> None:
    pool = Pool([1], max_leases=1)
    item = await pool.acquire()

    async def impatient() -> None:
        async with asyncio.timeout(None) as limit:
            limits.append(limit)
            await pool.acquire()

    limits: list[asyncio.Timeout] = []
    task = asyncio.create_task(impatient())
    await asyncio.sleep(0)
    limits[0].reschedule(asyncio.get_running_loop().time())
    pool.release(item)
    await asyncio.wait([task])
    assert pool.idle + (0 if isinstance(task.exception(), TimeoutError) else 1) == 1


async def test_no_more_than_max_leases_are_out_and_the_rest_stays_for_short_work() -> None:
    pool = Pool([1, 2, 3], max_leases=2)
    await pool.acquire()
    await pool.acquire()
    [third] = await _waiting(pool, 1)
    assert not third.done()
    taken = pool.take()
    assert taken is not None
    pool.give_back(taken)
    await asyncio.sleep(0)
    assert not third.done()
    third.cancel()
    await asyncio.wait([third])


async def test_an_item_taken_for_a_moment_is_handed_to_who_waits_when_it_comes_back() -> None:
    pool = Pool([1], max_leases=1)
    assert pool.take() == 1
    assert pool.take() is None
    [waiter] = await _waiting(pool, 1)
    assert pool.wants_item
    pool.give_back(1)
    assert not pool.wants_item
    assert pool.take() is None  # it is the waiter's
    assert await waiter == 1


async def test_the_item_that_came_back_last_is_taken_first() -> None:
    pool = Pool([1, 2], max_leases=1)
    first, second = pool.take(), pool.take()
    assert first is not None and second is not None
    pool.give_back(second)
    pool.give_back(first)
    assert pool.take() == first


async def test_short_work_that_waits_has_the_item_before_the_next_lease() -> None:
    taken: list[int | None] = []
    pool = Pool([1], max_leases=1, on_release=lambda: taken.append(pool.take()))
    item = await pool.acquire()
    [waiter] = await _waiting(pool, 1)
    pool.release(item)
    await asyncio.sleep(0)
    assert taken == [1]
    assert not waiter.done()
    pool.give_back(1)
    assert await waiter == 1  # and the lease before the next short work


async def test_short_work_hears_of_a_lease_that_was_handed_to_a_waiter_that_had_left() -> None:
    released: list[int] = []
    pool = Pool([1], max_leases=1, on_release=lambda: released.append(pool.idle))
    item = await pool.acquire()
    [waiter] = await _waiting(pool, 1)
    pool.release(item)
    waiter.cancel()
    await asyncio.wait([waiter])
    assert released == [1, 1]


async def test_waiters_can_be_failed_and_newcomers_wait_on() -> None:
    pool = Pool([1], max_leases=1)
    item = await pool.acquire()
    tasks = await _waiting(pool, 2)
    pool.fail_waiters(lambda: LookupError("none"))
    assert [type(error) for error in await asyncio.gather(*tasks, return_exceptions=True)] == [LookupError] * 2
    [later] = await _waiting(pool, 1)
    pool.release(item)
    assert await later == 1


async def test_a_lost_item_frees_its_lease() -> None:
    pool = Pool([1, 2], max_leases=1)
    await pool.acquire()
    [waiter] = await _waiting(pool, 1)
    pool.discard_lease()
    assert await waiter in (1, 2)
    assert pool.idle == 0


async def test_a_removed_item_is_not_lent_again() -> None:
    pool = Pool([1, 2], max_leases=1)
    pool.remove(1)
    assert [pool.take(), pool.take()] == [2, None]


async def test_close_fails_those_who_wait_and_all_who_come() -> None:
    pool = Pool([1], max_leases=1)
    item = await pool.acquire()
    tasks = await _waiting(pool, 2)
    tasks[0].cancel()
    pool.close(lambda: LookupError("closed"))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, LookupError]
    with pytest.raises(LookupError, match="closed"):
        await pool.acquire()
    pool.release(item)
    assert pool.idle == 1


async def test_each_who_is_failed_gets_an_error_of_its_own() -> None:
    pool = Pool([1], max_leases=1)
    await pool.acquire()
    tasks = await _waiting(pool, 2)
    pool.close(lambda: LookupError("closed"))
    first, second = await asyncio.gather(*tasks, return_exceptions=True)
    assert first is not second


async def test_its_repr_shows_what_it_holds() -> None:
    pool = Pool([1, 2, 3], max_leases=1)
    await pool.acquire()
    tasks = await _waiting(pool, 2)
    assert repr(pool) == "<Pool idle=2 leases=1/1 waiting=2>"
    pool.close(lambda: LookupError("closed"))
    await asyncio.gather(*tasks, return_exceptions=True)


STEPS = st.lists(st.sampled_from(["acquire", "cancel first", "cancel last", "release", "take", "give back", "turn"]))


@given(steps=STEPS, leases=st.integers(1, 3))
def test_whatever_happens_each_item_is_in_one_place_and_the_order_is_kept(steps: list[str], leases: int) -> None:
    async def main() -> None:
        pool = Pool(range(3), max_leases=leases)
        waiting: list[tuple[int, asyncio.Task[int]]] = []
        leased: list[int] = []
        taken: list[int] = []
        served: list[int] = []

        async def turn() -> None:
            await asyncio.sleep(0)
            for number, task in [pair for pair in waiting if pair[1].done()]:
                waiting.remove((number, task))
                if not task.cancelled():
                    leased.append(task.result())
                    served.append(number)

        for number, step in enumerate([*steps, *["turn"] * 3]):
            if step == "acquire":
                waiting.append((number, asyncio.create_task(pool.acquire())))
            elif step.startswith("cancel") and waiting:
                waiting[0 if step == "cancel first" else -1][1].cancel()
            elif step == "release" and leased:
                pool.release(leased.pop())
            elif step == "take" and (item := pool.take()) is not None:
                taken.append(item)
            elif step == "give back" and taken:
                pool.give_back(taken.pop())
            elif step == "turn":
                await turn()
        await turn()
        assert len(leased) <= leases
        idle = [pool.take() for _ in range(pool.idle)]
        assert sorted([*leased, *taken, *idle], key=str) == [0, 1, 2]
        assert served == sorted(served)
        assert pool.waiting == len(waiting)
        for _, task in waiting:
            task.cancel()
        await asyncio.gather(*[task for _, task in waiting], return_exceptions=True)

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(main())
