"""Calls that wait together are answered together. Knows nothing of memory."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context
from threading import get_ident
from typing import Generic, TypeAlias, TypeVar

from ..errors import DatabaseClosed, WrongLoop
from ..observing import joining

__all__ = ["Together"]

# Seconds in which a batch that was cancelled ends, unless it shields itself from that.
_UNWINDING = 1.0

Item = TypeVar("Item")
Answer = TypeVar("Answer")

#: What is asked, its answer, and what an observer has noted of the caller.
_Call: TypeAlias = tuple[Item, "asyncio.Future[Answer | BaseException]", object]


class Together(Generic[Item, Answer]):
    """Collects items while a batch is under way; what has come by its end is the next batch.

    Args:
        answer: gets a batch and returns one answer an item, in order; an exception may be one. What it raises is the
            answer of the whole batch.
        most: how much a batch may weigh.
        weigh: an item's weight; default: each weighs 1.

    A future that is handed out resolves to the answer, exceptions too, whether a caller still awaits it or not. Where
    it is cancelled before its batch begins, its item is left out. Later, that harms no other caller: batches run in a
    task of their own, with a context of its own, as a transaction, say, is held by one caller and not by the others.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | BaseException]]],
        *,
        most: int,
        name: str,
        weigh: Callable[[Item], int] = lambda _: 1,
    ) -> None:
        self._answer = answer
        self._most = most
        self._weigh = weigh
        self._name = name
        self._loop, self._thread = asyncio.get_running_loop(), get_ident()
        self._waiting: deque[_Call[Item, Answer]] = deque()
        self._batch: list[_Call[Item, Answer]] = []
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def add(self, item: Item) -> asyncio.Future[Answer | BaseException]:
        """Raises: WrongLoop; DatabaseClosed."""
        if asyncio.get_running_loop() is not self._loop:
            raise WrongLoop.of("this memory", self._thread, "memory.remember(...)")
        if self._closed:
            raise DatabaseClosed("the memory is closed")
        future: asyncio.Future[Answer | BaseException] = self._loop.create_future()
        self._waiting.append((item, future, next((each.caller() for each in joining), None) if joining else None))
        if self._task is None:
            # It starts in the loop's next turn: all that this turn adds is in its first batch.
            self._task = self._loop.create_task(self._run(), name=self._name, context=Context())
            self._task.add_done_callback(self._ended)
        return future

    async def _run(self) -> None:
        while self._take():
            batch = self._batch
            try:
                with _joined(batch):
                    answers: Sequence[Answer | BaseException] = await self._answer([item for item, *_ in batch])
            except Exception as error:
                answers = [error] * len(batch)
            for (_, future, _), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
        self._task = None  # at once: what is added from now on needs another one

    def _take(self) -> bool:
        batch = self._batch = []
        weight, waiting = 0, self._waiting
        while waiting:
            item, future, _ = call = waiting[0]
            if not future.done():  # else its caller has left
                weight += self._weigh(item)
                if batch and weight > self._most:
                    break
                batch.append(call)
            waiting.popleft()
        return bool(batch)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._task is task:  # before all was answered
            self._task = None
            self._leave_unanswered()

    def _leave_unanswered(self) -> None:
        for unanswered, applied in ((self._batch, None), (self._waiting, False)):
            for _, future, _ in unanswered:
                if not future.done():
                    future.set_result(DatabaseClosed("the memory was closed meanwhile", applied=applied))
        self._batch = []
        self._waiting.clear()

    async def close(self, timeout: float = 0.0) -> None:
        """Takes no more, goes on answering for ``timeout`` seconds, then answers what is left with DatabaseClosed.

        Nothing is left running, except a batch that does not let itself be cancelled, which is not waited for.
        """
        self._closed = True
        if self._task is None:
            return
        if timeout > 0:
            await asyncio.wait([self._task], timeout=timeout)
        if (task := self._task) is not None:
            self._leave_unanswered()
            task.cancel()
            await asyncio.wait([task], timeout=_UNWINDING)


def _joined(batch: Sequence[tuple[object, object, object]]) -> AbstractContextManager[None]:
    for each in joining:
        return each.together([caller for *_, caller in batch])
    return nullcontext()
