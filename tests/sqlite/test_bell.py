"""What threads tell the loop is heard, in order, and the descriptor that rings for it goes with them."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb.concurrency import bell
from aiomemdb.concurrency.bell import Bell
from tests.support.killing import all_readers_of, threads_of
from tests.support.plain import plain

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "eventfd"), reason="needs Linux"),
    pytest.mark.fast_path("bell"),
]


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    loop = pytest.importorskip(request.param).new_event_loop()
    yield loop
    loop.close()
    gc.collect()


def bells() -> int:
    """How many descriptors of this kind the process has; loops have one too."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}") == "anon_inode:[eventfd]"
        except FileNotFoundError:
            pass
    return count


def in_a_thread(function: Any) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_what_is_told_is_heard_in_order_though_some_of_it_raises(loop: asyncio.AbstractEventLoop) -> None:
    heard: list[int] = []
    raised: list[Any] = []
    loop.set_exception_handler(lambda _, context: raised.append(context["exception"].args))

    def hear(number: int) -> None:
        heard.append(number)
        if number % 3 == 0:
            raise RuntimeError(number)
        if number == 10:
            loop.stop()

    one = Bell(loop)
    one.hang()
    in_a_thread(lambda: [one.tell(hear, number) for number in range(11)])
    loop.run_forever()
    one.take_down()
    assert heard == list(range(11))
    assert raised == [(0,), (3,), (6,), (9,)]


def test_a_ctrl_c_in_one_callback_loses_none_that_follows(loop: asyncio.AbstractEventLoop) -> None:
    heard: list[int] = []

    def strike() -> None:
        raise KeyboardInterrupt

    def last() -> None:
        heard.append(1)
        loop.stop()

    one = Bell(loop)
    one.hang()
    in_a_thread(lambda: (one.tell(strike), one.tell(last)))
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    loop.run_forever()
    one.take_down()
    assert heard == [1]


def test_a_ctrl_c_that_strikes_as_it_is_rung_loses_nothing(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_and_raise(descriptor: int, count: int) -> bytes:
        monkeypatch.undo()
        os.read(descriptor, count)
        raise KeyboardInterrupt

    one = Bell(loop)
    one.hang()
    monkeypatch.setattr(bell, "os", type("os", (), {**vars(os), "read": staticmethod(read_and_raise)}))
    in_a_thread(lambda: one.tell(loop.stop))
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    loop.run_forever()
    one.take_down()


def test_a_thread_that_can_not_be_started_leaves_no_descriptor(
    loop: asyncio.AbstractEventLoop, db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        with pytest.raises(RuntimeError, match="start new thread"):
            await aiomemdb.connect(db_path)

    loop.run_until_complete(asyncio.sleep(0))
    before = bells()
    monkeypatch.setattr(threading.Thread, "start", fail)
    loop.run_until_complete(main())
    assert bells() == before


def test_what_was_told_before_the_end_is_heard_before_it(loop: asyncio.AbstractEventLoop) -> None:
    heard: list[int] = []
    one = Bell(loop)
    one.hang()
    in_a_thread(lambda: one.tell(heard.append, 1))
    one.take_down()
    assert heard == [1]


def test_a_closed_loop_hears_nothing_and_its_caller_knows(loop: asyncio.AbstractEventLoop) -> None:
    one = Bell(loop)
    one.hang()
    loop.close()
    assert one.tell(print) is False
    one.take_down()
    assert one.tell(print) is False


def test_a_database_that_is_closed_leaves_no_descriptor(loop: asyncio.AbstractEventLoop, db_path: Path) -> None:
    async def main() -> None:
        async with aiomemdb.connect(db_path, readers=3) as db:
            assert bells() == before + 2
            await all_readers_of(db)  # type: ignore[arg-type]
            assert bells() == before + 4

    before = bells()
    loop.run_until_complete(main())
    assert bells() == before


def test_a_loop_that_is_closed_under_a_database_leaves_no_descriptor(
    loop: asyncio.AbstractEventLoop, db_path: Path
) -> None:
    async def main() -> Any:
        return await aiomemdb.connect(db_path)

    loop.run_until_complete(asyncio.sleep(0))
    before = bells()
    db = loop.run_until_complete(main())
    assert bells() == before + 2
    loop.close()
    db._finalizer.detach()
    for connection in threads_of(db):
        assert connection.join(60)
    assert bells() == before - bells_of(loop)


def bells_of(loop: asyncio.AbstractEventLoop) -> int:
    return 0 if isinstance(loop, asyncio.SelectorEventLoop) else 1


def test_a_thread_that_ends_just_before_its_loop_is_closed_leaves_no_descriptor(
    loop: asyncio.AbstractEventLoop,
) -> None:
    loop.run_until_complete(asyncio.sleep(0))
    Bell(loop).hang()
    before = bells()
    loop.close()  # it was never heard
    gc.collect()
    assert bells() == before - 1 - bells_of(loop)


async def test_without_such_descriptors_all_goes_on(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bell, "_HAS_EVENTFD", False)
    before = bells()
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        assert await db.write("INSERT INTO t VALUES (1)") == 1
        assert await db.read_value("SELECT count(*) FROM t") == 1
        assert bells() == before


def test_a_loop_that_watches_no_descriptors_is_told_by_its_own_way(db_path: Path) -> None:
    class Proactor(asyncio.SelectorEventLoop):
        def add_reader(self, *args: Any) -> Any:
            raise NotImplementedError

    async def main() -> None:
        async with aiomemdb.connect(db_path) as db:
            await db.write("CREATE TABLE t (x)")

    before = bells()
    with asyncio.Runner(loop_factory=Proactor) as runner:
        runner.run(main())
    assert plain(db_path, "SELECT name FROM sqlite_schema") == [("t",)]
    assert bells() == before
