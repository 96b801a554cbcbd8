"""Rows that come in pieces: what is held meanwhile is returned, once, whatever ends the stream."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from aiomemdb.concurrency.row_stream import RowStream


class Numbers(RowStream[str]):
    """Holds "it", and fetches 0, 1, 2, … as its rows. ``held`` and ``fetched`` are awaited first.

    Attributes:
        is_first: of each fetch.
    """

    def __init__(self, count: int, give_back: Callable[[str], object]) -> None:
        super().__init__(asyncio.get_running_loop(), give_back, chunk=2)
        self.left = list(range(count))
        self.is_first: list[bool] = []
        self.held: asyncio.Future[None] | None = None
        self.fetched: asyncio.Future[None] | None = None

    async def _hold(self) -> str:
        if self.held is not None:
            await self.held
        return "it"

    async def _fetch(self, held: str, *, is_first: bool) -> list[Any]:
        assert held == "it"
        self.is_first.append(is_first)
        if self.fetched is not None:
            await self.fetched
        rows, self.left = self.left[: self._chunk], self.left[self._chunk :]
        return rows


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
async def test_all_rows_come_in_order_and_what_was_held_is_returned_with_the_last_piece(count: int) -> None:
    back: list[str] = []
    stream = Numbers(count, back.append)
    assert [row async for row in stream] == list(range(count))
    assert back == ["it"]
    assert stream.is_first == [True, *[False] * (len(stream.is_first) - 1)]


async def test_nothing_is_held_before_the_first_row() -> None:
    back: list[str] = []
    async with Numbers(9, back.append):
        pass
    assert back == []


async def test_the_end_of_its_block_returns_what_is_held_and_drops_the_rest() -> None:
    back: list[str] = []
    async with Numbers(9, back.append) as stream:
        await anext(stream)
    assert back == ["it"]
    assert [row async for row in stream] == []


async def test_closed_while_it_waits_for_what_it_is_to_hold_it_returns_that() -> None:
    back: list[str] = []
    stream = Numbers(9, back.append)
    stream.held = asyncio.get_running_loop().create_future()
    reading = asyncio.ensure_future(anext(stream, None))
    await asyncio.sleep(0)
    await stream.aclose()
    assert back == []
    stream.held.set_result(None)
    assert await reading is None
    assert back == ["it"]
    assert stream.is_first == []


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
async def test_an_error_ends_it_and_returns_what_is_held(error: type[BaseException]) -> None:
    back: list[str] = []
    stream = Numbers(9, back.append)
    stream.fetched = asyncio.get_running_loop().create_future()
    stream.fetched.set_exception(error())
    with pytest.raises(error):
        await anext(stream)
    assert back == ["it"]
    assert [row async for row in stream] == []


async def test_a_second_reader_is_refused_and_the_first_goes_on() -> None:
    back: list[str] = []
    stream = Numbers(3, back.append)
    stream.fetched = asyncio.get_running_loop().create_future()
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="another task is reading this stream"):
        await anext(stream)
    stream.fetched.set_result(None)
    assert [await first, *[row async for row in stream]] == [0, 1, 2]


async def test_dropped_in_another_thread_it_returns_what_is_held_on_the_loop() -> None:
    threads: list[int] = []
    streams = [Numbers(9, lambda held: threads.append(threading.get_ident()))]
    await anext(streams[0])
    thread = threading.Thread(target=streams.clear)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert threads == [threading.get_ident()]
