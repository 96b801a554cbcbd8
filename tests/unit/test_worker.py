"""A worker keeps an integer here: what it keeps is nothing to it."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import aiomemdb
from aiomemdb.concurrency import bell
from aiomemdb.concurrency import worker as room
from aiomemdb.concurrency.worker import Worker, end_workers
from tests.support.gates import Gate
from tests.support.whole import eventually


class Counting(Worker[int]):
    """Stops what it works on by ``stop_now``, and closes by counting."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name, loop)
        self.raw = 7
        self.interrupted = 0
        self.closed: list[threading.Thread] = []
        self.stop_now = threading.Event()

    def _stop_work(self) -> None:
        self.interrupted += 1
        self.stop_now.set()

    def _end(self) -> None:
        self.closed.append(threading.current_thread())


@pytest.fixture
async def worker() -> AsyncIterator[Counting]:
    worker = Counting("a worker", asyncio.get_running_loop())
    worker.start()
    yield worker
    await end_workers([worker])
    assert worker.closed == [worker.thread]


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.AbstractEventLoop]:
    monkeypatch.setattr(room, "_LOOK_FOR_CLOSED_LOOP", 3600.0)
    loop = pytest.importorskip(request.param).new_event_loop()
    yield loop
    loop.close()


async def started(kind: type[Worker[Any]] = Counting) -> Any:
    worker = kind("a worker", asyncio.get_running_loop())
    worker.start()
    return worker


# -- post, submit, deliver -----------------------------------------------------------------------------------


async def test_what_is_submitted_runs_on_its_thread_with_what_it_keeps(worker: Counting) -> None:
    assert await worker.submit(lambda raw, more: raw + more, 1) == 8
    assert await worker.run(lambda _: threading.current_thread()) is worker.thread
    assert worker.thread.name == "a worker"
    assert worker.thread.daemon


async def test_calls_run_in_the_order_in_which_they_were_posted(worker: Counting) -> None:
    ran: list[int] = []
    for number in range(100):
        worker.post(lambda number=number: ran.append(number))  # type: ignore[misc]
    await worker.run(lambda _: None)
    assert ran == list(range(100))


async def test_an_error_goes_to_who_submitted_and_the_next_call_runs(worker: Counting) -> None:
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda raw: raw // 0)
    assert await worker.run(lambda raw: raw) == 7


async def test_what_is_cancelled_before_it_starts_runs_unless_it_was_wanted_only(worker: Counting) -> None:
    ran: list[str] = []
    with Gate() as gate:
        worker.post(gate.block)
        await gate.wait_entered()
        left = [
            worker.submit(lambda _: ran.append("all the same")),
            worker.submit(lambda _: ran.append("wanted only"), wanted_only=True),
        ]
        for future in left:
            future.cancel()
    await worker.run(lambda _: None)
    assert ran == ["all the same"]


async def test_what_the_thread_delivers_runs_on_the_loop(worker: Counting) -> None:
    heard: asyncio.Future[threading.Thread] = asyncio.get_running_loop().create_future()
    worker.post(lambda: worker.deliver(lambda: heard.set_result(threading.current_thread())) or None)
    assert await heard is threading.current_thread()


async def test_an_alarm_rings_once_while_the_thread_is_idle(worker: Counting) -> None:
    rung = threading.Event()

    def set_alarm(_: int) -> None:
        worker.alarm = (0.0, rung.set)

    await worker.run(set_alarm)
    await asyncio.to_thread(rung.wait, 60)
    assert rung.is_set()
    assert await worker.run(lambda _: worker.alarm) is None


async def test_an_alarm_that_is_not_due_keeps_no_call_waiting(worker: Counting) -> None:
    def set_alarm(raw: int) -> int:
        worker.alarm = (float("inf") if raw < 0 else 1e9, lambda: None)
        return raw

    assert [await worker.run(set_alarm) for _ in range(3)] == [7, 7, 7]
    worker.alarm = None


# -- interrupt -----------------------------------------------------------------------------------------------


async def test_an_interrupt_stops_what_the_thread_works_on(worker: Counting) -> None:
    working = worker.submit(lambda _: worker.stop_now.wait(60))
    await eventually(lambda: worker.working_on is working)
    assert worker.interrupt(working)
    assert await working
    assert worker.interrupted >= 1


async def test_an_interrupt_of_what_is_over_stops_nothing(worker: Counting) -> None:
    over = worker.submit(lambda raw: raw)
    await over
    assert not worker.interrupt(over)
    assert worker.interrupted == 0


async def test_an_interrupt_is_repeated_until_the_thread_has_left_the_work(worker: Counting) -> None:
    enough = threading.Event()

    def swallow(_: int) -> None:
        while not enough.is_set():
            worker.stop_now.wait(60)
            worker.stop_now.clear()
            if worker.interrupted >= 3:
                enough.set()

    working = worker.submit(swallow)
    await eventually(lambda: worker.working_on is working)
    worker.interrupt(working)
    async with asyncio.timeout(60):
        await working
    assert worker.interrupted >= 3


# -- ends ----------------------------------------------------------------------------------------------------


async def test_a_worker_ends_after_what_was_posted_before() -> None:
    worker = await started()
    last = worker.submit(lambda raw: raw)
    worker.stop()
    refused = worker.submit(lambda raw: raw)
    assert await last == 7
    with pytest.raises(aiomemdb.DatabaseClosed):
        await refused
    await worker.stopped
    assert worker.join(60)


async def test_what_is_submitted_to_a_thread_that_dies_is_failed_and_so_is_what_comes_later() -> None:
    worker = await started()
    lost: list[BaseException | None] = []
    worker.on_lost = lost.append

    def die() -> None:
        raise KeyError("of the thread")

    with Gate() as gate:
        worker.post(gate.block)
        await gate.wait_entered()
        worker.post(die)
        waiting = worker.submit(lambda raw: raw)
    for future in (waiting, worker.submit(lambda raw: raw)):
        with pytest.raises(aiomemdb.WriterCrashed):
            await future
    await worker.stopped
    with pytest.raises(aiomemdb.WriterCrashed):
        await worker.run(lambda raw: raw)
    assert [type(error) for error in lost] == [KeyError]
    assert worker.closed == [worker.thread]


async def test_a_thread_that_can_not_be_started_is_an_error_and_leaves_no_bell() -> None:
    worker = Counting("a worker", asyncio.get_running_loop())

    class Unstartable(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    with pytest.raises(RuntimeError, match="new thread"):
        worker.start(lambda run: Unstartable(target=run))
    assert worker._bell._descriptor == -1


async def test_a_worker_without_a_thread_has_ended_when_it_is_stopped() -> None:
    worker = Counting("a worker", asyncio.get_running_loop())  # a Ctrl-C may strike before it is started
    worker.stop()
    async with asyncio.timeout(60):
        await worker.stopped
    worker.stop()
    await end_workers([worker])


async def test_end_workers_does_not_wait_longer_than_it_may_for_a_thread_that_hangs() -> None:
    worker = await started()
    with Gate() as gate:
        worker.post(gate.block)
        await gate.wait_entered()
        async with asyncio.timeout(60):
            await end_workers([worker], timeout=0.1)
        assert not worker.stopped.done()
    await worker.stopped


async def test_nothing_keeps_a_worker_that_has_ended() -> None:
    worker = await started()
    await worker.run(lambda raw: raw)
    await end_workers([worker])
    gone = weakref.ref(worker)
    del worker
    gc.collect()
    await asyncio.sleep(0)
    gc.collect()
    assert gone() is None


# -- its loop is closed --------------------------------------------------------------------------------------


@pytest.mark.fast_path("bell")
def test_an_idle_thread_hears_that_its_loop_is_closed(loop: asyncio.AbstractEventLoop) -> None:
    workers = [loop.run_until_complete(started()) for _ in range(3)]
    lost: list[BaseException | None] = []
    for worker in workers:
        worker.on_lost = lost.append
    loop.close()
    assert all(worker.join(60) for worker in workers)
    assert [worker.closed for worker in workers] == [[worker.thread] for worker in workers]
    assert lost == [None] * 3


def test_a_thread_that_is_at_work_when_its_loop_is_closed_ends_after_it(loop: asyncio.AbstractEventLoop) -> None:
    async def main(gate: Gate) -> tuple[Counting, list[asyncio.Future[int]]]:
        worker = await started()
        worker.post(gate.block)
        await gate.wait_entered()
        return worker, [worker.submit(lambda raw, more: raw + more, number) for number in range(3)]

    with Gate() as gate:
        worker, working = loop.run_until_complete(main(gate))
        loop.close()
    assert worker.join(60)
    assert [future.result() for future in working] == [7, 8, 9]


@pytest.mark.fast_path("bell")
def test_a_thread_with_an_alarm_hears_that_its_loop_is_closed(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> Counting:
        worker: Counting = await started()

        def set_alarm(_: int) -> None:
            worker.alarm = (1e9, lambda: None)

        await worker.run(set_alarm)
        return worker

    worker = loop.run_until_complete(main())
    loop.close()
    assert worker.join(60)


def test_a_loop_that_lets_go_of_the_bell_and_goes_on_has_a_thread_that_looks_for_itself(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> Counting:
        worker: Counting = await started()
        loop.remove_reader(worker._bell._descriptor)  # by a part of the program that takes it for its own
        await asyncio.to_thread(lambda: None)
        return worker

    monkeypatch.setattr(room, "_LOOK_FOR_CLOSED_LOOP", 0.05)
    worker = loop.run_until_complete(main())
    assert not worker.join(0.2)
    loop.close()
    assert worker.join(60)


def test_a_thread_that_its_loop_can_not_tell_looks_whether_that_is_closed(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bell, "_HAS_EVENTFD", False)
    monkeypatch.setattr(room, "_LOOK_FOR_CLOSED_LOOP", 0.05)
    worker = loop.run_until_complete(started())
    assert loop.run_until_complete(worker.run(lambda raw: raw)) == 7
    loop.close()
    assert worker.join(60)


def test_what_was_posted_to_such_a_thread_before_the_loop_was_closed_runs(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(gate: Gate) -> tuple[Counting, asyncio.Future[int]]:
        worker = await started()
        worker.post(gate.block)
        await gate.wait_entered()
        return worker, worker.submit(lambda raw: raw)

    monkeypatch.setattr(bell, "_HAS_EVENTFD", False)
    with Gate() as gate:
        worker, working = loop.run_until_complete(main(gate))
        loop.close()
    assert worker.join(60)
    assert working.result() == 7
