"""The way to a loop from threads and other loops: contexts, cancellation, what is given back."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from contextvars import ContextVar
from functools import partial
from types import SimpleNamespace

import pytest

import aiomemdb
from aiomemdb.concurrency import crossing
from aiomemdb.concurrency.crossing import Crossing
from aiomemdb.concurrency.loop_thread import LoopThread, Stay, stay

number: ContextVar[int] = ContextVar("number", default=0)


@pytest.fixture
def here() -> Iterator[Stay]:
    here = stay()
    yield here
    here.end()
    here.thread.join()


@pytest.fixture
def thread(here: Stay) -> LoopThread:
    return here.thread


async def whose() -> threading.Thread:
    return threading.current_thread()


async def add(amount: int) -> int:
    number.set(number.get() + amount)
    return number.get()


class Endless:
    """What waits for ever, and notes its end."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.ended = threading.Event()

    async def wait(self) -> None:
        try:
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            self.ended.set()


def test_a_thread_waits_for_what_runs_on_the_loop(thread: LoopThread) -> None:
    assert thread.run(whose) is thread._thread is not threading.current_thread()


async def test_a_coroutine_of_another_loop_awaits_it(thread: LoopThread) -> None:
    assert await thread.call(whose) is thread._thread
    with pytest.raises(LookupError, match="mine"):
        await thread.call(partial(fail, LookupError("mine")))


async def test_on_the_loop_itself_it_is_awaited_as_it_is() -> None:
    assert await Crossing(asyncio.get_running_loop()).call(whose) is threading.current_thread()


async def fail(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("error", [LookupError("mine"), KeyboardInterrupt(), SystemExit(3), StopAsyncIteration()])
def test_whatever_is_raised_there_is_raised_here_and_the_loop_goes_on(thread: LoopThread, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        thread.run(partial(fail, error))
    assert caught.value is error
    assert thread.run(partial(add, 1)) == 1
    number.set(0)


def test_an_error_that_was_raised_is_not_kept(thread: LoopThread) -> None:
    class Mine(Exception):
        pass

    async def fails() -> None:
        raise Mine

    def raised() -> weakref.ref[Mine]:
        try:
            thread.run(fails)
        except Mine as error:
            return weakref.ref(error)
        raise AssertionError

    gc.collect()
    gc.disable()
    try:
        kept = raised()
        thread.run(whose)
        assert kept() is None
    finally:
        gc.enable()


def test_a_call_has_its_callers_context_and_its_caller_what_it_has_set(thread: LoopThread) -> None:
    number.set(40)
    assert thread.run(partial(add, 2)) == 42
    assert number.get() == 42
    number.set(0)


async def test_so_has_one_from_another_loop(thread: LoopThread) -> None:
    number.set(40)
    assert await thread.call(partial(add, 2)) == 42
    assert number.get() == 42


def test_a_thread_of_the_worlds_own_does_not_see_what_another_has_set(thread: LoopThread) -> None:
    thread.run(partial(add, 1))
    seen: list[int] = []
    other = threading.Thread(target=lambda: seen.append(thread.run(partial(add, 10))))
    other.start()
    other.join()
    assert seen == [10]
    number.set(0)


async def test_a_cancellation_reaches_the_task_there_and_is_waited_for(thread: LoopThread) -> None:
    endless = Endless()
    waiting = asyncio.create_task(thread.call(endless.wait))
    await asyncio.to_thread(endless.begun.wait)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert endless.ended.is_set()


async def test_a_cancellation_before_the_first_step_there_is_one_too(thread: LoopThread) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def stand_still() -> None:
        begun.set()
        go_on.wait(60)

    thread.loop.call_soon_threadsafe(stand_still)
    await asyncio.to_thread(begun.wait)
    endless = Endless()
    waiting = asyncio.create_task(thread.call(endless.wait))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)  # the start and the cancellation are both sent
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not endless.begun.is_set()


async def test_what_outlasts_its_cancellation_returns_as_it_would_here(thread: LoopThread) -> None:
    begun = threading.Event()

    async def outlast() -> str:
        try:
            begun.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "committed"
        raise AssertionError

    waiting = asyncio.create_task(thread.call(outlast))
    await asyncio.to_thread(begun.wait)
    waiting.cancel()
    assert await waiting == "committed"


async def test_a_cancellation_that_comes_as_the_call_ends_is_not_swallowed_and_restores(thread: LoopThread) -> None:
    ended, given_back = threading.Event(), threading.Event()

    async def get() -> str:
        ended.set()
        return "a reader"

    async def give_back(what: str) -> None:
        assert what == "a reader"
        given_back.set()

    waiting = asyncio.create_task(thread.call(get, give_back))
    await asyncio.sleep(0)  # it is sent
    ended.wait()  # and this loop stands still, until it has ended there
    thread.loop.call_soon_threadsafe(ended.set)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await asyncio.to_thread(given_back.wait, 60)


class Interrupted:
    """A lock with a wait that ends by Ctrl-C once it is released."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.release = self.lock.release

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if timeout < 0:
            return self.lock.acquire(blocking)
        self.lock.acquire()
        raise KeyboardInterrupt


def test_what_a_call_has_got_as_ctrl_c_comes_is_given_back(thread: LoopThread, monkeypatch: pytest.MonkeyPatch) -> None:
    given_back = threading.Event()

    async def get() -> str:
        return "a reader"

    async def give_back(what: str) -> None:
        given_back.set()

    with monkeypatch.context() as patched:
        patched.setattr(crossing, "threading", SimpleNamespace(Lock=Interrupted))
        with pytest.raises(KeyboardInterrupt):
            thread.run(get, give_back)
    assert given_back.wait(60)


async def test_a_coroutine_that_is_dropped_with_its_loop_ends_the_call_there(thread: LoopThread) -> None:
    endless = Endless()

    def run_and_drop() -> None:
        loop = asyncio.new_event_loop()
        waiting = loop.create_task(thread.call(endless.wait))
        loop.run_until_complete(asyncio.sleep(0))
        endless.begun.wait(60)
        waiting.get_coro().close()  # type: ignore[union-attr]
        waiting._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.close()

    await asyncio.to_thread(run_and_drop)
    assert await asyncio.to_thread(endless.ended.wait, 60)


def test_a_loop_that_is_closed_while_a_thread_waits_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossing, "_LOOK", 0.01)
    loop, endless = asyncio.new_event_loop(), Endless()
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            Crossing(loop).run(endless.wait)
        except BaseException as error:
            errors.append(error)

    async def until_it_waits() -> None:
        waiter.start()
        await asyncio.to_thread(endless.begun.wait)

    waiter = threading.Thread(target=wait)
    loop.run_until_complete(until_it_waits())
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    waiter.join(60)
    assert [type(error) for error in errors] == [aiomemdb.DatabaseClosed]
    assert errors[0].applied is None  # type: ignore[attr-defined]
    gc.collect()


def test_a_loop_that_does_not_run_and_one_that_is_closed_are_errors_at_once() -> None:
    loop = asyncio.new_event_loop()
    with pytest.raises(aiomemdb.WrongLoop, match="does not run"):
        Crossing(loop).run(whose)
    loop.close()
    with pytest.raises(aiomemdb.DatabaseClosed) as caught:
        Crossing(loop).run(whose)
    assert caught.value.applied is False


def test_the_end_of_the_last_stay_lets_calls_end(here: Stay) -> None:
    thread, endless = here.thread, Endless()
    again = here.again()
    go_on = asyncio.Event()
    results: list[str] = []

    async def wait() -> str:
        endless.begun.set()
        await go_on.wait()
        return "done"

    waiter = threading.Thread(target=lambda: results.append(thread.run(wait)))
    waiter.start()
    assert endless.begun.wait(60)
    again.end()
    here.end(wait=False)
    thread.loop.call_soon_threadsafe(go_on.set)
    waiter.join(60)
    thread.join(60)
    assert results == ["done"] and thread.loop.is_closed()
    with pytest.raises(aiomemdb.DatabaseClosed):
        here.again()


async def test_the_last_stay_ends_without_a_wait_where_a_loop_runs() -> None:
    here = stay()
    here.end()
    here.end()
    await asyncio.to_thread(here.thread.join)


def test_at_exit_a_busy_loop_knows_that_its_last_user_has_left_and_lets_what_goes_on_end() -> None:
    here = stay()
    going_on, ended = threading.Event(), threading.Event()

    async def close() -> None:
        going_on.set()
        await asyncio.sleep(1)
        ended.set()

    future = asyncio.run_coroutine_threadsafe(close(), here.thread.loop)
    assert going_on.wait(60)
    free = threading.Event()
    here.thread.loop.call_soon_threadsafe(free.wait, 60)
    here.end(wait=False)
    threading.Timer(0.1, free.set).start()
    here.thread.end_at_exit()
    assert ended.is_set() and not future.cancelled()
