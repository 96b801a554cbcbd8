"""A write job, and how it settles. Knows no SQLite."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from ..errors import WriteTimeout

__all__ = [
    "Failure",
    "JobFuture",
    "Operation",
    "SomeFuture",
    "WriteJob",
    "copy_error",
    "fail",
    "settle",
    "settle_one",
    "timed_out",
    "timed_step",
]


#: A caller's; what it resolves to is its operation's affair.
SomeFuture: TypeAlias = asyncio.Future[Any]

R = TypeVar("R", covariant=True)
S = TypeVar("S")


class Operation(Generic[R]):
    """What a job does, which results in an ``R``; compared by identity.

    Attributes:
        name: the verb, for logs and ``repr``.
        single: it is one statement; SQLite itself undoes most of those where they fail (sqlite/common/codes.py,
            ``is_undone``); any other runs inside a savepoint.
        alone: it is never batched: a transaction, maintenance, ``once=True``.
        outside: it runs outside of any transaction: maintenance (its ``run`` gets the session and the arguments).
        lends: its future resolves when it has begun, not when it has ended.
    """

    __slots__ = ("alone", "lends", "name", "outside", "run", "single")

    def __init__(
        self,
        name: str,
        run: Callable[..., R],
        *,
        single: bool = False,
        alone: bool = False,
        outside: bool = False,
        lends: bool = False,
    ) -> None:
        self.name: str = name
        self.run: Callable[..., R] = run
        self.single: bool = single
        self.alone: bool = alone or outside or lends
        self.outside: bool = outside
        self.lends: bool = lends

    def __repr__(self) -> str:
        return f"<Operation {self.name}>"


#: A job is (future, operation, subject, arguments): the subject is the SQL or the function.
#: A plain tuple: it takes 0.03 us to make, an instance with slots 0.25 us, of 2 us for a whole write.
WriteJob: TypeAlias = tuple[SomeFuture, Operation[Any], Any, Any]


class JobFuture(asyncio.Future[Any]):
    """The future of a job that is not an ordinary one: durable, timed or run alone.

    Attributes:
        durable: its batch is forced to stable storage.
        started: it was taken into a batch.
    """

    durable = False
    started = False


class Failure:
    """The outcome of a job that failed; any other object is a result."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error: BaseException = error


def copy_error(error: BaseException) -> BaseException:
    """An error of its own for each caller: shared ones grow a traceback with each raise."""
    try:
        copy = type(error)(*error.args)
    except Exception:  # a class with a constructor of its own
        return error
    for name, value in vars(error).items():
        # sqlite_errorcode and sqlite_errorname, __notes__, applied
        setattr(copy, name, list(value) if isinstance(value, list) else value)
    copy.__cause__ = error.__cause__
    return copy


def settle(jobs: Sequence[tuple[Any, ...]], outcomes: Sequence[Any], *, failed: bool) -> None:
    """Resolves each job's future, its first item, by its outcome; one that is done (its caller left) is passed over.

    Where none failed, the loop runs in C: map and deque take a third off a settled job's time.
    """
    if jobs and not failed:
        # Of the class at hand: asyncio.Future may have become another since (nest_asyncio).
        settling = map(type(jobs[0][0]).set_result, [job[0] for job in jobs], outcomes)
        while True:
            try:
                deque(settling, maxlen=0)
                return
            except asyncio.InvalidStateError:
                continue  # that one was cancelled; map goes on behind it
            except (TypeError, AttributeError):
                break  # futures of several classes: one by one, those that are settled are passed over
    for (future, *_), outcome in zip(jobs, outcomes, strict=True):
        settle_one(future, outcome)


def settle_one(future: asyncio.Future[Any], outcome: Any) -> None:
    """Resolves one future, also where its loop is closed: then no callback runs, but the future has its outcome."""
    if future.done():
        return
    failed = isinstance(outcome, Failure)
    try:
        if failed:
            future.set_exception(_raisable(outcome.error))
        else:
            future.set_result(outcome)
    except RuntimeError:
        pass  # "Event loop is closed", raised after the state was set
    if failed and future.get_loop().is_closed():
        # No task can await it any more; asyncio would print a traceback for each job as the interpreter ends.
        future._log_traceback = False


def fail(jobs: Iterable[WriteJob], make_error: Callable[[], BaseException]) -> None:
    """Resolves each job's future with an error of its own."""
    for future, *_ in jobs:
        settle_one(future, Failure(make_error()))


def _raisable(error: BaseException) -> BaseException:
    if isinstance(error, StopIteration):  # asyncio refuses it: it would end the awaiting coroutine silently
        raised = RuntimeError(f"the function raised {error!r}")
        raised.__cause__ = error
        return raised
    return error


def timed_out(verb: str, timeout: float, *, started: bool) -> WriteTimeout:
    """The error of a caller after its ``timeout=`` has run out."""
    state = "was running, and runs to its end" if started else "was still waiting, and never runs"
    return WriteTimeout(
        f"{verb} took longer than timeout={timeout} s: it {state}", started=started, applied=None if started else False
    )


async def timed_step(step: asyncio.Future[S], verb: str, timeout: float, expire: Callable[[WriteTimeout], None]) -> S:
    """Await a step of a transaction; the time over, ``expire`` ends the transaction and the step with it."""
    try:
        done, _ = await asyncio.wait([step], timeout=timeout)
    except asyncio.CancelledError:
        step.cancel()  # as awaiting it would
        raise
    if not done:
        why = f"{verb} took longer than timeout={timeout} s; the transaction was rolled back"
        expire(WriteTimeout(why, started=True, applied=False))
    return await step
