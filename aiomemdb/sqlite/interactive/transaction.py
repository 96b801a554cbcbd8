"""One interactive transaction, and its rule.

It is a program's that begins it, waits for a model and goes on. Taken at the first write alone, the writer would be
given to transactions that have read an old state: increments are lost. Taken always, one that waits for a model would
stop all others, those that only read too. So:

1.  It begins with its first statement, with the writer if that can be had soon: ``patience`` seconds, counted from when
    the present holder took it, and not anew behind one that was idle. Otherwise it begins as a snapshot, on a reader.
    One that is ``Mode.IMMEDIATE``, or begins with a statement that writes, waits for the writer up to ``timeout``.
2.  One that has only read releases the writer after ``idle`` seconds without a call, and much sooner where others wait
    for it (idling.py), for a snapshot that is taken while the writer still is its own. Where a result is large, it is
    given up at once, and the result read on the snapshot.
3.  A snapshot that is to write waits for the writer. Nothing was committed since it began: it goes on. Otherwise it is
    stale, an error, to be rolled back and run again. Its own reader says which, once the writer is its own.
4.  A snapshot that is idle is let go when others need its reader (snapshots.py).

    on a snapshot ---- a write: waits for the writer, nothing was committed ----> with the writer
    on a snapshot <--- idle, or a large result, and has only read --------------- with the writer

Its calls run one after another. One that is cancelled is as if it had never been.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Coroutine
from functools import partial
from time import monotonic
from typing import TypeVar

from ...concurrency.job import SomeFuture
from ...concurrency.nesting import seen
from ...errors import AiomemdbError
from ..common.errors import read_only_error
from ..reading.readers import Readers
from ..writing.writer import Writer
from .errors import Ended, as_known, is_read_only, is_stale, locked, stale
from .granting import has_begun, take_writer
from .idling import Idling
from .rule import Mode, Rule, Work
from .savepoints import Savepoints
from .snapshots import Snapshot
from .writing import Step, TooLarge, Writing

__all__ = ["Transaction"]

R = TypeVar("R")


class Transaction:
    """One transaction, from its beginning to its end.

    Attributes:
        mode: how it began.
        foreign_keys: whether it checks them; None: as the database does.
        savepoints: what is done with them is done before the next statement.
        is_over: it takes no calls; has_begun: a call has had the writer or a snapshot.
    """

    def __init__(self, writer: Writer | None, readers: Readers, mode: Mode, rule: Rule, *, lock_timeout: float) -> None:
        self.mode: Mode = mode
        self.foreign_keys: bool | None = None
        self.savepoints: Savepoints = Savepoints()
        self.is_over: bool = False
        self.has_begun: bool = False
        self._writer = writer
        self._readers = readers
        self._rule = rule
        self._new_snapshot = partial(Snapshot, readers, timeout=rule.timeout, lock_timeout=lock_timeout)
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Lock()
        self._writing: Writing | None = None
        self._snapshot: Snapshot | None = None
        self._keeps_writer = mode is Mode.IMMEDIATE
        self._has_read = False  # on the snapshot, or before it
        self._is_stale, self._may_wait, self._called = False, 0.0, 0
        self._posted_now: SomeFuture | None = None
        self._called_at: float | None = None  # where it is observed
        self._idling = Idling(self._loop, rule.idle)
        self._tasks: set[asyncio.Task[object]] = set()

    def __repr__(self) -> str:
        on = "writer" if self._writing else "snapshot" if self._snapshot else "neither"
        return f"<Transaction {self.mode.name} on {on}>"

    @property
    def is_open(self) -> bool:
        """It can still be committed."""
        return not self.is_over and (self._writing is None or self._writing.hold.active)

    def check(self) -> None:
        """Raises why it takes no calls. That it was open for too long it says once, and is over."""
        if self.is_over:
            raise Ended("the transaction has ended")
        if self._is_stale:
            raise stale()
        if self._writing is not None and not self._writing.hold.active:
            self.is_over = True
            self._close_rest()
            raise as_known(self._writing.hold.error or Ended("the transaction has ended"))

    # Calls

    async def do(self, work: Work[R], *, locks: bool = False) -> R:
        """Does one call's work, behind those before it.

        Args:
            locks: what it reads is to stay as it is until the transaction ends (SELECT … FOR UPDATE).

        Raises:
            Ended: it ended before.
            sqlite3.OperationalError: "database is locked": the writer was not to be had in time; or it has read what
                is no longer the latest, and is to be rolled back.
            Exception: what SQLite says.
        """
        self._called += 1
        called_at = monotonic() if self._readers.recorder.is_observed else None
        async with self._turn:
            self.check()
            self._called_at = called_at
            if locks and self.mode is not Mode.READ_ONLY:
                self._keeps_writer = True
            try:
                if self._writing is not None:
                    return await self._on_writer(self._writing, work)
                if self._snapshot is not None:
                    return await self._on_snapshot(self._snapshot, work, locks=locks)
                return await self._first(work, locks=locks)
            except sqlite3.OperationalError as error:
                self._is_stale = self._is_stale or is_stale(error)
                raise

    def soon(self, work: Work[object]) -> None:
        """Does what needs no answer, where the transaction still has the writer; nothing is awaited."""
        writing = self._writing
        if writing is not None and writing.hold.active:
            writing.post(Step(work.run, [])).add_done_callback(seen)

    def interrupt(self) -> None:
        """Interrupts the statement that runs; one that writes ends the transaction, as SQLite has it."""
        if self._writing is not None and self._posted_now is not None:
            self._writing.hold.interrupt(self._posted_now)
        if self._snapshot is not None:
            self._snapshot.interrupt()

    async def begin_now(self) -> None:
        """Takes the writer, of one that is ``Mode.IMMEDIATE``."""
        async with self._turn:
            await self._take_writer(waits=True)

    async def _first(self, work: Work[R], *, locks: bool) -> R:
        if self.mode is Mode.READ_ONLY:
            return await self._first_on_snapshot(work)
        waits = work.writes or locks or self._keeps_writer
        if (writing := await self._take_writer(waits=waits, begins_now=False)) is None:
            return await self._first_on_snapshot(work)
        hold = writing.hold  # it begins in the same hop as its first statement
        hold.begin_by = monotonic() + self._may_wait
        try:
            return await self._on_writer(writing, work)
        except (asyncio.CancelledError, Exception) as error:
            if isinstance(error, asyncio.CancelledError) or (work.writes and self.may_release()):
                self._drop_writer()  # as if it had never been
                self.has_begun = False
                raise
            is_refused = isinstance(error, sqlite3.OperationalError | AiomemdbError)
            if hold.begun_at is not None or hold.active or not is_refused:
                raise
            self._drop_writer()  # the file was not to be had
            if waits:
                raise locked(self._rule.timeout, "another process") if monotonic() > hold.begin_by else error from None
            self.is_over = False
        return await self._first_on_snapshot(work)

    async def _first_on_snapshot(self, work: Work[R]) -> R:
        self._snapshot = snapshot = self._new_snapshot()  # it is opened in the same hop
        try:
            result = await self._on_snapshot(snapshot, work, locks=False)
        finally:
            self.has_begun = self.has_begun or snapshot.is_taken
            if not snapshot.is_taken:
                self._snapshot = None
        if self.is_over:  # abandoned meanwhile
            raise Ended("the transaction has ended")
        return result

    async def _on_writer(self, writing: Writing, work: Work[R]) -> R:
        try:
            return await self._posted(writing, work)
        except TooLarge:
            return await work.ask(await self._move_to_snapshot(writing))

    async def _posted(self, writing: Writing, work: Work[R]) -> R:
        hold, step = writing.hold, Step(work.run, self.savepoints.take())
        try:
            self._posted_now = posted = writing.post(step)
            writing.tell(posted, work, self._called_at)
            try:
                return await posted
            except asyncio.CancelledError:
                if work.only_reads:
                    hold.interrupt(posted)
                writing.take_back(step, posted)
                raise
        except (AiomemdbError, sqlite3.Error) as error:
            self.is_over = self.is_over or not hold.active
            if isinstance(error, AiomemdbError):
                raise as_known(error) from error.__cause__
            raise

    async def _on_snapshot(self, snapshot: Snapshot, work: Work[R], *, locks: bool) -> R:
        may_write = self.mode is not Mode.READ_ONLY
        if not (may_write and (work.writes or locks)):
            has_read = self._has_read
            self._has_read = True
            try:
                return await work.ask(snapshot)
            except sqlite3.OperationalError as error:
                if not (may_write and is_read_only(error)):
                    raise
            self._has_read = has_read  # it has not run
        return await self._on_writer(await self._upgrade(snapshot), work)

    # From the one to the other

    async def _take_writer(self, *, waits: bool, begins_now: bool = True) -> Writing | None:
        """Returns the writer, once the transaction has begun there, or None, unless it ``waits``.

        Args:
            begins_now: otherwise it begins with its first statement, and may wait for the file for ``_may_wait``.

        Raises: sqlite3.OperationalError: "database is locked".
        """
        rule, writer, loop = self._rule, self._writer, self._loop
        if writer is None:
            if waits:
                raise read_only_error()
            return None
        called_at = loop.time()
        try:
            hold = await take_writer(writer, patience=None if waits else rule.patience, timeout=rule.timeout)
        except AiomemdbError as error:
            raise as_known(error) from error.__cause__
        if hold is None:
            if waits:
                raise locked(rule.timeout, writer.transaction_holder)
            return None
        hold.foreign_keys = self.foreign_keys
        self._may_wait = max(0.0, rule.timeout - (loop.time() - called_at) if waits else rule.patience)
        if begins_now and not await has_begun(hold, self._may_wait):
            if waits:
                raise locked(rule.timeout, "another process")
            return None
        if self.is_over:  # abandoned meanwhile
            hold.leave()
            raise Ended("the transaction has ended")
        self.has_begun, self._writing = True, (writing := Writing(hold, may_move=lambda: not self._keeps_writer))
        self.savepoints.open_all()
        if not self._keeps_writer and (begins_now or not waits):
            hold.on_wanted = self._idling.wanted
            self._idling.begin(self)
        return writing

    async def _move_to_snapshot(self, writing: Writing, timeout: float | None = None) -> Snapshot:
        """The snapshot is taken while no other can commit: it is what the transaction has read so far."""
        snapshot = self._new_snapshot()
        await snapshot.open(timeout)
        if self.is_over or not writing.hold.active:
            snapshot.close()
            self.is_over = True
            raise as_known(writing.hold.error or Ended("the transaction has ended"))
        self._snapshot = snapshot
        self._drop_writer()
        self._has_read = True
        return snapshot

    async def _upgrade(self, snapshot: Snapshot) -> Writing:
        if self._has_read:
            await snapshot.check_early(patiently=True)
        writing = await self._take_writer(waits=True, begins_now=False)
        assert writing is not None
        try:
            if self._has_read:
                await snapshot.check_early(patiently=False)
            if not await has_begun(writing.hold, self._may_wait):
                raise locked(self._rule.timeout, "another process")
            if self._has_read and not await snapshot.is_latest():
                raise stale()
        except BaseException:
            self._drop_writer()
            raise
        self._close_rest()
        self._idling.begin(self)  # what is to write may fail before it runs
        return writing

    def _drop_writer(self) -> None:
        writing, self._writing = self._writing, None
        self._idling.stop()
        if writing is not None:
            writing.hold.leave()

    # Idleness

    def keep_writer(self) -> None:
        """From here on it does not give the writer up."""
        self._keeps_writer = True

    def calls(self) -> tuple[int, bool]:
        return self._called, self._turn.locked()

    def is_wanted(self) -> bool:
        return self._writer is not None and bool(self._writer.queue.jobs)

    def may_release(self) -> bool:
        writing = self._writing
        return writing is not None and not writing.has_written and not self._keeps_writer and writing.hold.active

    def release(self) -> None:
        assert self._writing is not None
        self._in_task(self._give_up(self._writing)).add_done_callback(seen)

    async def _give_up(self, writing: Writing) -> None:
        async with self._turn:
            if writing is not self._writing or not self.may_release():
                return
            try:
                if not self._idling.has_been_called():
                    writing.hold.was_idle = True
                    await self._move_to_snapshot(writing, self._rule.idle)
                    return
            except sqlite3.OperationalError:
                if self.is_over:
                    return
            writing.hold.was_idle = False
            self._idling.begin(self)  # all readers are in use, or it has been called

    def _in_task(self, coroutine: Coroutine[object, None, R]) -> asyncio.Task[R]:
        task = self._loop.create_task(coroutine, name="aiomemdb:transaction")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # The end

    async def commit(self) -> None:
        """Commits, behind the calls before it, also where its caller is cancelled.

        Raises:
            sqlite3.OperationalError: it has ended before, or is stale: it is rolled back.
            Exception: what the COMMIT refuses, a deferred foreign key for one: it is rolled back.
        """
        await self._end(commit=True)

    async def rollback(self) -> None:
        """Rolls it back, behind the calls before it, also where its caller is cancelled."""
        await self._end(commit=False)

    def commit_soon(self) -> None:
        """As ``commit``; nothing is awaited."""
        self._in_task(self._end_in_turn(commit=True)).add_done_callback(seen)

    async def _end(self, *, commit: bool) -> None:
        if self._turn.locked():
            await asyncio.shield(self._in_task(self._end_in_turn(commit=commit)))
        else:
            await self._end_in_turn(commit=commit)

    async def _end_in_turn(self, *, commit: bool) -> None:
        async with self._turn:
            if self.is_over:
                return
            self.is_over = True
            writing, self._writing = self._writing, None
            self._close_rest()
            if writing is None:
                if commit and self._is_stale:
                    raise stale()
                return
            try:
                if commit:
                    writing.hold.check()
                    if marks := self.savepoints.take():
                        writing.post(Step(lambda *_: None, marks)).add_done_callback(seen)
                await writing.hold.end(commit=commit)
            except AiomemdbError as error:
                if commit:
                    raise as_known(error) from error.__cause__

    def _close_rest(self) -> None:
        self._idling.stop()
        snapshot, self._snapshot = self._snapshot, None
        if snapshot is not None:
            snapshot.close()

    def abandon(self) -> None:
        """Rolls it back; nothing is awaited."""
        self.is_over = True
        self._drop_writer()
        self._close_rest()
