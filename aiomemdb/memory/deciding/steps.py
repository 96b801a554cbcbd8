"""Theory of operation: how a rule asks a store for rows, and leaves rows to be written.

1. A rule is a generator. It yields a ``Request``, is sent the answer, goes on, and returns what its caller gets. It
   knows no connection, nor whether it is awaited: ``follow`` runs it on a thread, and ``follow_async`` awaits each
   answer. Both look a request's type up in a table of the store's: what answers it, from what the store has read.
2. One state answers all of a rule's requests: that of a job (nothing of it is seen before all is written); or a
   snapshot, for a rule that only reads.
3. A rule writes at its end, by one request: ``Changes``. Before that it may raise, and then nothing is written.
   What is to be deleted is named before that, by ``Hide``.
4. A row is one object, however often a rule asks for it: what the rule has changed in it stays.
5. A rule may run again from its start: so it changes nothing but rows that it was given.
6. Requests are set-wise. A store answers each in a few statements, whatever its size, and ``Changes`` by a few a table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Generic, TypeAlias, TypeVar

__all__ = ["UNTIMED", "Request", "Steps", "follow", "follow_async"]

R = TypeVar("R")
S = TypeVar("S")

#: Stands around the run of a rule that is not timed.
UNTIMED: Final[AbstractContextManager[object]] = nullcontext()


class Request(Generic[R]):
    """What a rule wants of a store; the answer is an ``R``: ``answer = yield from Names(...)``."""

    __slots__ = ()

    def __iter__(self) -> Steps[R]:
        answer: R = yield self
        return answer


Steps: TypeAlias = Generator[Request[Any], Any, R]


def follow(steps: Steps[R], answers: Mapping[type[Request[Any]], Callable[[S, Any], Any]], state: S) -> R:
    """Run a rule to its end, and return what it returns.

    Args:
        answers: by type of request, what answers it of ``state``.
    """
    try:
        request = next(steps)
        while True:
            request = steps.send(answers[type(request)](state, request))
    except StopIteration as end:
        result: R = end.value
        return result


async def follow_async(
    steps: Steps[R], answers: Mapping[type[Request[Any]], Callable[[S, Any], Awaitable[Any]]], state: S
) -> R:
    """As ``follow``; each answer is awaited, one after another."""
    try:
        request = next(steps)
        while True:
            request = steps.send(await answers[type(request)](state, request))
    except StopIteration as end:
        result: R = end.value
        return result
