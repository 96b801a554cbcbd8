"""Rows that come in pieces, from what is held meanwhile. Knows no SQL: an engine says what that is, and fetches."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, Self, TypeVar

from ..values import Row
from .bell import call_on_loop

__all__ = ["RowStream"]

H = TypeVar("H")


class RowStream(Generic[H]):
    """``async for row in stream``; also ``async with stream as rows``, which closes it at the end of the block.

    It holds a reader from the first row on, and returns it when it is exhausted, fails, is cancelled, closed, or
    dropped: a ``break`` drops the last reference, and what is to be done then needs no await.

    Args:
        give_back: returns what was held, on the loop, without awaiting. The stream itself may be gone by then.
        chunk: rows that are fetched at a time.
    """

    _held: H | None = None

    def __init__(self, loop: asyncio.AbstractEventLoop, give_back: Callable[[H], object], chunk: int) -> None:
        self._loop = loop
        self._give_back = give_back
        self._chunk = chunk
        self._rows: deque[Row] = deque()
        self._fetching = False
        self._closed = False

    async def _hold(self) -> H:
        """What is to be held."""
        raise NotImplementedError

    async def _fetch(self, held: H, *, is_first: bool) -> list[Row]:
        """The next rows: fewer than a chunk are the last ones."""
        raise NotImplementedError

    def __aiter__(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def __anext__(self) -> Row:
        if self._rows:
            return self._rows.popleft()
        if self._closed:
            raise StopAsyncIteration
        if self._fetching:
            raise RuntimeError("another task is reading this stream: one reader a stream")
        self._fetching = True
        try:
            is_first = self._held is None
            if self._held is None:
                self._held = await self._hold()
            if self._closed:  # meanwhile, by another task
                raise StopAsyncIteration
            rows = await self._fetch(self._held, is_first=is_first)
        except BaseException:
            self._release()
            raise
        finally:
            self._fetching = False
        if len(rows) < self._chunk:
            self._release()
        if not rows:
            raise StopAsyncIteration
        self._rows.extend(rows)
        return self._rows.popleft()

    def _release(self) -> None:
        self._closed = True
        held, self._held = self._held, None
        if held is not None:
            self._give_back(held)

    async def aclose(self) -> None:
        """Returns the reader; rows that were fetched already are dropped."""
        self._rows.clear()
        self._release()

    def __del__(self) -> None:
        # Collected on any thread, perhaps after the loop has ended: the loop itself takes the reader back.
        if self._held is not None:
            call_on_loop(self._loop, self._give_back, self._held)
