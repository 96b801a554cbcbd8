"""An adapter's synchronous methods work from other threads, and raise where they would wait for themselves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from aiomemdb.errors import LockTimeout, ReentrancyError, WrongLoop
from aiomemdb.integrations._threads import Synchronously


class Adapter:
    def __init__(self) -> None:
        self.synchronously = Synchronously("Adapter")

    async def athread(self) -> int:
        return threading.get_ident()

    async def afail(self, error: BaseException) -> None:
        raise error

    async def acount(self, end: int) -> AsyncIterator[int]:
        for number in range(end):
            yield number


async def test_a_method_runs_on_the_loop_for_another_thread() -> None:
    adapter = Adapter()
    ran_in = await asyncio.to_thread(adapter.synchronously.run, adapter.athread)
    assert ran_in == threading.get_ident()


async def test_an_iterator_is_iterated_from_another_thread() -> None:
    adapter = Adapter()
    assert await asyncio.to_thread(lambda: list(adapter.synchronously.iterate(adapter.acount, 3))) == [0, 1, 2]


@pytest.mark.parametrize("error", [KeyError("a"), LockTimeout("its own")])
async def test_the_error_of_a_method_reaches_the_thread(error: Exception) -> None:
    adapter = Adapter()
    with pytest.raises(type(error)) as caught:
        await asyncio.to_thread(adapter.synchronously.run, adapter.afail, error)
    assert caught.value is error


@pytest.mark.parametrize("kind", [ReentrancyError, asyncio.InvalidStateError])
async def test_on_the_thread_of_its_loop_a_method_raises(kind: type[Exception]) -> None:
    adapter = Adapter()
    with pytest.raises(kind, match=r"await athread\(") as caught:
        adapter.synchronously.run(adapter.athread)
    assert isinstance(caught.value, ReentrancyError) and caught.value.applied is False


def test_a_method_of_an_adapter_that_knows_no_loop_raises() -> None:
    adapter = Adapter()
    with pytest.raises(WrongLoop, match="Adapter knows no loop"):
        adapter.synchronously.run(adapter.athread)


def test_a_method_raises_once_the_loop_has_stopped() -> None:
    async def make() -> Adapter:
        return Adapter()

    adapter = asyncio.run(make())
    with pytest.raises(WrongLoop):
        adapter.synchronously.run(adapter.athread)


def test_a_thread_that_waits_is_told_when_the_loop_stops() -> None:
    loop = asyncio.new_event_loop()
    entered = asyncio.Event()
    caught: list[BaseException] = []

    async def never() -> None:
        entered.set()
        await asyncio.Event().wait()

    def wait(adapter: Adapter) -> None:
        try:
            adapter.synchronously.run(never)
        except BaseException as error:
            caught.append(error)

    async def main() -> threading.Thread:
        thread = threading.Thread(target=wait, args=[Adapter()])
        thread.start()
        await entered.wait()
        return thread

    thread = loop.run_until_complete(main())
    thread.join(60)
    assert [type(error) for error in caught] == [WrongLoop]
    loop.run_until_complete(asyncio.sleep(0))  # its task, which the thread has cancelled
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


async def test_an_adapter_made_where_no_loop_runs_takes_that_which_awaits_it() -> None:
    adapter = await asyncio.to_thread(Adapter)
    adapter.synchronously.note_loop()
    assert await asyncio.to_thread(adapter.synchronously.run, adapter.athread) == threading.get_ident()


async def test_a_call_on_another_loop_does_not_take_the_adapter_there() -> None:
    adapter = Adapter()

    async def call() -> None:
        adapter.synchronously.note_loop()

    await asyncio.to_thread(asyncio.run, call())
    assert await asyncio.to_thread(adapter.synchronously.run, adapter.athread) == threading.get_ident()


async def test_an_iterator_raises_at_the_call() -> None:
    adapter = Adapter()
    with pytest.raises(ReentrancyError):
        adapter.synchronously.iterate(adapter.acount, 3)
