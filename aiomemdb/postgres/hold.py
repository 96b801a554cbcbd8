"""Hold: a transaction on a connection of its own, which takes one step after another.

Each step is one request, behind a savepoint of its own: one that fails is taken back, and the transaction goes on, as
on every engine. BEGIN goes with the first. A step is no task's work: where its caller leaves, it is stopped on the
server and taken back. COMMIT runs to its end, and where the connection is lost meanwhile, a new one is asked what came
of it (outcomes.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Literal, TypeVar

from ..concurrency.detached import detached
from ..concurrency.job import Failure, copy_error, settle_one
from ..concurrency.nesting import seen
from ..errors import (
    AiomemdbError,
    CommitOutcomeUnknown,
    LockTimeout,
    TransactionConflict,
    TransactionLost,
    TransactionTimeout,
)
from .batch import DURABLE
from .codes import is_conflict, is_lock_timeout, is_stale
from .driver import NOTHING, psycopg
from .link import FLUSH, Answer, Command, Link, Lost
from .operations import Work, annotate, commands_of
from .outcomes import COMMIT, Ledger, first_error
from .pool import LinkPool
from .reading import BACK, RELEASE, SAVE, culprit, taken_back
from .recorder import Recorder

__all__ = ["ISOLATIONS", "Hold", "Holds", "Isolation", "held_holds"]

Isolation = Literal["read committed", "repeatable read", "serializable"]
ISOLATIONS: dict[str, Command] = {
    name: (f"BEGIN ISOLATION LEVEL {name.upper()} READ WRITE".encode(), NOTHING)
    for name in ("read committed", "repeatable read", "serializable")
}
_READ_ONLY: Command = (b"SET TRANSACTION READ ONLY", NOTHING)
ROLLBACK: Command = (b"ROLLBACK", NOTHING)

R = TypeVar("R")

#: What the present task, and those that it descends from, hold.
held_holds: ContextVar[tuple[Hold, ...]] = ContextVar("held_holds", default=())


class Holds:
    """What the transactions of a database share."""

    def __init__(
        self,
        pool: LinkPool,
        recorder: Recorder,
        *,
        reopen: Callable[[Ledger], Any],
        settings: Sequence[Command],
        after: Command | None,
        on_position: Callable[[Any], None],
        max_hold: float,
        is_full: bool,
    ) -> None:
        self.pool: LinkPool = pool
        self.recorder: Recorder = recorder
        self.ledgers: dict[Link, Ledger] = {}
        self.reopen = reopen
        self.after: Command | None = after
        self.on_position: Callable[[Any], None] = on_position
        self.max_hold: float = max_hold
        self.is_full: bool = is_full
        self.open: set[Hold] = set()
        self._emptied: asyncio.Future[None] | None = None
        # A client that is gone without a word holds nothing for longer.
        limit = max(1, int(max_hold * 1000))
        self.settings: list[Command] = [
            *settings,
            (f"SELECT set_config('idle_in_transaction_session_timeout', '{limit}', true)".encode(), NOTHING),
        ]

    def spare_ledger(self) -> Ledger | None:
        """That of a connection which is gone: the next one finds out whether the server has lost what it knows."""
        spare = next((link for link in self.ledgers if link not in self.pool.links), None)
        return None if spare is None else self.ledgers.pop(spare)

    def look_whether_empty(self) -> None:
        if self._emptied is not None and not self._emptied.done() and not self.open:
            self._emptied.set_result(None)


class Hold:
    """
    Attributes:
        holder: the name of the task that began it.
        error: why it ended early, or None.
        over: it has ended, and its connection is given back.
        durable: it is to be on stable storage.
    """

    def __init__(self, holds: Holds, link: Link, isolation: str, *, durable: bool) -> None:
        self.holds: Holds = holds
        self.loop: asyncio.AbstractEventLoop = link.loop
        task = asyncio.current_task()
        self.holder: str = "a task" if task is None else task.get_name()
        self.error: BaseException | None = None
        self.over: bool = False
        self.ending: bool = False
        self.durable: bool = durable
        self.writes: int = 0
        self.write_errors: int = 0
        self._link = link
        self._isolation = isolation
        self._begun = False
        self._line: deque[tuple[asyncio.Future[Any], Callable[[], Any]]] = deque()
        self._goes_on = False
        self._request: asyncio.Future[list[Answer]] | None = None
        self._stopping: asyncio.Future[None] | None = None
        self._timer = self.loop.call_later(holds.max_hold, self._too_long)
        holds.open.add(self)

    @property
    def active(self) -> bool:
        return self.error is None and not self.over and not self.ending

    def check(self) -> None:
        if self.error is not None:
            if isinstance(self.error, TransactionConflict | psycopg.Error):
                lost = TransactionLost("an earlier step of this transaction has lost it: nothing of it was applied")
                lost.__cause__ = self.error
                raise lost
            raise copy_error(self.error)

    # Steps

    def step(
        self,
        work: Work,
        answer: Callable[[Any, Any], R],
        *,
        reads: bool = False,
        looks: bool = False,
        is_savepoint: bool = False,
    ) -> asyncio.Future[R]:
        """One request, behind those before it; ``answer`` makes of its results what the caller gets. Where that may
        fail, it ``looks`` before the step is kept.
        """
        return self._put(lambda: self._step(work, answer, reads=reads, looks=looks, is_savepoint=is_savepoint))

    def _put(self, run: Callable[[], Any]) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self.loop.create_future()
        self._line.append((future, run))
        if not self._goes_on:
            self._goes_on = True
            detached(self._run_line(), self.loop)
        return future

    async def _run_line(self) -> None:
        while self._line:
            future, run = self._line.popleft()
            if future.done():  # its caller has left
                continue
            if self.error is not None:
                settle_one(future, Failure(self._gone()))
                continue
            future.add_done_callback(self._left)
            try:
                result = await run()
            except BaseException as error:
                settle_one(future, Failure(error))
            else:
                settle_one(future, result)
            future.remove_done_callback(self._left)
        self._goes_on = False

    def _gone(self) -> BaseException:
        try:
            self.check()
        except BaseException as error:
            return error
        return TransactionLost("this transaction is lost")

    def _left(self, future: asyncio.Future[Any]) -> None:
        """The caller of what runs now has left: the server stops it."""
        running = self._request
        if future.cancelled() and running is not None and not running.done() and not self.ending:
            self._stopping = detached(self._link.stop(), self.loop)

    async def _step(
        self, work: Work, answer: Callable[[Any, Any], R], *, reads: bool, looks: bool, is_savepoint: bool
    ) -> R:
        begin = [] if self._begun else self._begin()
        self._begun = True
        save = [] if is_savepoint else [SAVE, _READ_ONLY] if reads else [SAVE]
        behind = [] if is_savepoint else [BACK, RELEASE] if reads else [] if looks else [RELEASE]
        try:
            results = await self._asked(begin, save, work, behind)
            error = culprit(work, results)
            if error is not None and is_stale(error):
                await self._take_back()
                self._link.forget_statements()
                results = await self._asked([], save, work, behind)
                error = culprit(work, results)
            if error is not None:
                await self._take_back()
                if not reads:
                    self.write_errors += 1
                raise self._of(error, work)
            try:
                result = answer(results, self._link.loader)
            except BaseException:
                if looks:
                    await self._take_back()
                raise
            if looks:
                await self._link.ask([RELEASE])
        except Lost as lost:
            self._lose(lost.cause)
            raise self._gone() from None
        if not reads and not is_savepoint:
            self.writes += 1
        return result

    async def _asked(
        self, begin: list[Command], save: list[Command], work: Work, behind: list[Command]
    ) -> Sequence[Answer]:
        """The answers to the work alone."""
        first = len(begin) + len(save)
        self._request = self._link.ask([*begin, *save, *commands_of(work), *behind])
        try:
            answers = await self._request
        finally:
            self._request = None
        if self._stopping is not None:  # before anything else is sent, which the word to stop must not strike
            await self._stopping
            self._stopping = None
        error = first_error(answers[:first])
        if error is not None:
            self._lose(error)
        if self.error is not None:  # or it has ended early, and what ran was stopped
            raise self._gone()
        return answers[first : len(answers) - len(behind)]

    async def _take_back(self) -> None:
        error = await taken_back(self._link)
        if error is not None:
            self._lose(error)

    def _of(self, error: psycopg.Error, work: Work) -> BaseException:
        """What the caller of a step gets."""
        if is_conflict(error):
            conflict = TransactionConflict(
                f"another transaction was in the way, and this one gave way: {error}; run the block again"
            )
            conflict.__cause__ = error
            self._lose(conflict)
            return conflict
        if is_lock_timeout(error):
            timeout = LockTimeout(
                "another transaction held what this step needs for longer than lock_timeout; it was not applied"
            )
            timeout.__cause__ = error
            return annotate(timeout, work[0][0])
        return error

    def _begin(self) -> list[Command]:
        return [ISOLATIONS[self._isolation], *self.holds.settings]

    # Its end

    def _too_long(self) -> None:
        self.expire(
            TransactionTimeout(
                f"the transaction of {self.holder!r} was held for longer than max_hold={self.holds.max_hold:g} s, and "
                "was rolled back"
            )
        )

    def expire(self, error: BaseException) -> None:
        """Ends it early: the server rolls it back."""
        if self.over or self.ending or self.error is not None:
            return
        self._lose(error)

    def _lose(self, error: BaseException) -> None:
        if self.error is not None:  # it has ended early, and this is what came of that
            return
        if not isinstance(error, AiomemdbError):
            lost = TransactionLost(f"this transaction is lost, nothing of it was applied: {error}")
            lost.__cause__ = error
            error = lost
        self.error = error
        self._finish(committed=False)

    def _finish(self, *, committed: bool) -> None:
        """Its connection goes back, or is closed where it is in doubt."""
        if self.over:
            return
        self.over = True
        self._timer.cancel()
        holds, link = self.holds, self._link
        holds.open.discard(self)
        holds.recorder.held(self.writes if committed else 0, self.write_errors)
        if link.lost is None and self.error is None:
            holds.pool.release(link)
        else:
            holds.pool.discard(link)
        holds.look_whether_empty()

    def stepped(self, step: asyncio.Future[Any], verb: str, work: Work) -> None:
        """Reports it to observers."""
        self.holds.recorder.stepped(step, verb, work)

    def asked(self, reading: asyncio.Future[Any], verb: str, work: Work) -> None:
        self.holds.recorder.reads += 1
        if self.holds.recorder.is_observed:
            self.holds.recorder.tell_read(reading, verb, work)

    def commit(self) -> asyncio.Future[None]:
        return self._put(self._commit)

    async def _commit(self) -> None:
        self.ending = True
        if not self._begun:
            self._finish(committed=True)
            return
        holds, link = self.holds, self._link
        ledger = holds.ledgers[link]
        after = [] if holds.after is None else [holds.after]
        durable = [DURABLE] if self.durable else []
        try:
            answers = await link.ask([*durable, ledger.next(), FLUSH, COMMIT, *after])
        except Lost as lost:
            await self._ask_outcome(ledger, lost)
            self._finish(committed=True)
            return
        error = first_error(answers[: len(answers) - len(after)])
        if error is None:
            ledger.committed()
            if after and not isinstance(answers[-1], psycopg.Error):
                holds.on_position(link.loader.rows(answers[-1], tuple)[0][0])  # type: ignore[arg-type]
            self._finish(committed=True)
            return
        try:
            await link.ask([ROLLBACK])
        except Lost:
            pass
        if is_conflict(error):
            self.error = TransactionConflict(
                f"another transaction was in the way, and this one gave way: {error}; run the block again"
            )
            self.error.__cause__ = error
        self._finish(committed=False)
        raise self.error or annotate(error, None)

    async def _ask_outcome(self, ledger: Ledger, lost: Lost) -> None:
        """The connection was lost during COMMIT. Returns if that came through."""
        holds = self.holds
        holds.recorder.outcomes_asked += 1
        self._timer.cancel()
        try:
            applied = await holds.reopen(ledger)
        except (psycopg.Error, Lost) as error:
            holds.recorder.outcomes_unknown += 1
            unknown = CommitOutcomeUnknown(
                f"the connection was lost during COMMIT, and no server could be asked in time: {error}"
            )
            unknown.__cause__ = error
            self._lose(unknown)
            raise unknown from None
        holds.recorder.outcomes_applied += applied
        if not applied:
            self._lose(lost.cause)
            raise self._gone()

    def rollback(self) -> asyncio.Future[None]:
        return self._put(self._rollback)

    async def _rollback(self) -> None:
        self.ending = True
        if self._begun:
            try:
                await self._link.ask([ROLLBACK])
            except Lost:
                pass
        self._finish(committed=False)

    def leave(self) -> None:
        """Nothing will end it: it is rolled back."""
        if not self.over and not self.ending:
            self.rollback().add_done_callback(seen)
