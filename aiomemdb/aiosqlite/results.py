"""What the verbs return: to be awaited, or entered with ``async with``."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, TypeVar  # Any: what a coroutine is sent

__all__ = ["Result"]

T = TypeVar("T")


class Result(Coroutine[Any, Any, T], Generic[T]):
    """``await`` it, or ``async with`` it: the end of the block closes what it gave."""

    __slots__ = ("_coroutine", "_given")

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._given: T | None = None

    def __await__(self) -> Generator[Any, None, T]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        return self._coroutine.send(value)

    def throw(self, kind: Any, value: Any = None, traceback: TracebackType | None = None) -> Any:
        return self._coroutine.throw(kind if value is None else value)

    def close(self) -> None:
        self._coroutine.close()

    async def __aenter__(self) -> T:
        self._given = given = await self._coroutine
        return given

    async def __aexit__(self, *exc_info: object) -> None:
        given = self._given
        close = getattr(given, "close", None)
        if close is not None:
            await close()
