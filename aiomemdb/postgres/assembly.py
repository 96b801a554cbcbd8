"""Assembly: what an open database is made of; opened in order, closed from the last to the first."""

from __future__ import annotations

import asyncio
import logging
import warnings
from functools import partial
from threading import get_ident

from ..concurrency.bell import call_on_loop
from ..errors import DatabaseClosed
from ..observing import Observers
from .connecting import Connector, weak_setting
from .driver import without_password
from .granting import Granting
from .link import Link, Lost
from .options import PostgresConfig
from .outcomes import Ledger, prepare_table
from .pool import LinkPool
from .reading import Readers
from .recorder import Recorder
from .replicas import POSITION, ask_position
from .statistics import PostgresStatistics
from .writer import Writer

__all__ = ["Assembly"]

log: logging.Logger = logging.getLogger("aiomemdb")

_LONG_CLOSE = 1.0  # seconds after which it is logged what close() waits for


class Assembly:
    """The connections of one open database.

    Attributes:
        thread: in which it was opened.
        writer: None where it is opened for reading alone; and so is ``holds``.
        observers: where all that happens is reported.
        recorder: counts, and reports to them.
    """

    readers: Readers

    def __init__(self, target: str, config: PostgresConfig, loop: asyncio.AbstractEventLoop) -> None:
        self._shown = without_password(target)
        self._config = config
        self.loop: asyncio.AbstractEventLoop = loop
        self.thread: int = get_ident()
        self.writer: Writer | None = None
        self.holds: Granting | None = None
        self.observers: Observers = Observers()
        self.recorder: Recorder = Recorder(self.observers)
        self._connector = Connector(target, config, loop, primary=not config.read_only)
        self._replicas = [Connector(url, config, loop, primary=False) for url in config.replicas]
        self._connector.make_room = self._make_room
        self._table = ""

    async def open(self) -> None:
        """Opens all of it or, where that raises, nothing."""
        links: list[Link] = []
        try:
            self.readers = Readers(self._connector, self._replicas, self.recorder)
            if not self._config.read_only:
                writing = await self._connector.open("writer", writes=True)
                links.append(writing)
                self._table = await prepare_table(writing)
                if self._config.durability == "full" and (weak := await weak_setting(writing)) is not None:
                    warnings.warn(
                        f'durability="full", and the server has {weak}: an acknowledged write may not survive a crash '
                        "of the server",
                        RuntimeWarning,
                        stacklevel=2,
                    )
                ledger = Ledger(self._table, self.recorder)
                await ledger.adopt(writing, is_direct=self._connector.is_direct)
            first = await self._connector.open("reader", writes=False)
            links.append(first)
        except BaseException:
            for link in links:
                link.close()
            raise
        self.readers.primary.pool.add(first)
        if not self._config.read_only:
            self._open_writing(writing, ledger)

    def _open_writing(self, link: Link, ledger: Ledger) -> None:
        config, connector = self._config, self._connector
        pool = LinkPool(
            config.transactions,
            self.loop,
            lambda: self._open_for_transactions(again=False),
            lambda: self._open_for_transactions(again=True),
        )
        self.holds = holds = Granting(
            pool,
            self.recorder,
            reopen=self._reopen,
            settings=connector.settings,
            after=POSITION if self._replicas else None,
            on_position=self.readers.replicas.committed,
            max_hold=config.max_hold,
            is_full=config.durability == "full",
        )
        self.writer = Writer(
            link,
            ledger,
            connector,
            self.recorder,
            settings=connector.settings,
            after=POSITION if self._replicas else None,
            check_caller=holds.check_caller,
            on_position=self.readers.replicas.committed,
            on_new_server=partial(self.readers.replicas.committed, is_new_server=True),
        )
        self.observers.on_change.append(partial(self._observe, self.writer))

    def _make_room(self) -> None:
        """An idle connection is closed, of the largest pool that has one."""
        pools = [] if self.holds is None else [self.holds.pool]
        pools += [self.readers.primary.pool, self.readers.primary.held]
        any(pool.give_up_idle() for pool in sorted(pools, key=lambda pool: -len(pool.links)))

    async def _open_for_transactions(self, *, again: bool) -> Link:
        connector = self._connector
        until = self.loop.time() + self._config.reconnect
        while True:
            if again:
                link = await connector.again("transaction", writes=True, until=until)
            else:
                link = await connector.open("transaction", writes=True)
            try:
                return await self._adopted(link)
            except Lost:
                if not again or self.loop.time() >= until:
                    raise

    async def _adopted(self, link: Link) -> Link:
        assert self.holds is not None
        ledger = self.holds.spare_ledger() or Ledger(self._table, self.recorder)
        try:
            await ledger.adopt(link, is_direct=self._connector.is_direct)
        except BaseException:
            link.close()
            raise
        finally:
            self.holds.ledgers[link] = ledger
        return link

    async def _reopen(self, ledger: Ledger) -> bool:
        """Asks what came of the latest COMMIT of a transaction that lost its connection."""
        until = self.loop.time() + self._config.reconnect
        while True:
            link = await self._connector.again("transaction", writes=True, until=until)
            try:
                applied = await ledger.adopt(link, is_direct=self._connector.is_direct)
                if self._replicas:
                    self.readers.replicas.committed(await ask_position(link))
                return applied
            except Exception:
                if self.loop.time() >= until:
                    raise
                await asyncio.sleep(0.02)
            finally:
                link.close()

    def _observe(self, writer: Writer, is_observed: bool) -> None:
        """Where none observes it, a job pays nothing for that."""
        append = writer.queue.append
        writer.enqueue = partial(self.recorder.enqueue, append) if is_observed else append

    def statistics(self) -> PostgresStatistics:
        recorder, readers, writer, holds = self.recorder, self.readers, self.writer, self.holds
        open_holds = [] if holds is None else list(holds.open)
        return PostgresStatistics(
            pending=0 if writer is None else len(writer.queue),
            running=0 if writer is None else writer.running,
            transaction_holder=open_holds[0].holder if open_holds else None,
            readers=sum(len(pool.links) for pool in readers.pools),
            readers_busy=sum(pool.busy for pool in readers.pools),
            reads_pending=sum(pool.waiting for pool in readers.pools),
            writes=recorder.writes,
            write_errors=recorder.write_errors,
            batches=recorder.batches,
            largest_batch=recorder.largest_batch,
            mean_batch=recorder.mean_batch,
            batch_splits=recorder.batch_splits,
            queue_wait=recorder.queue_wait,
            queue_wait_max=recorder.queue_wait_max,
            reads=recorder.reads,
            reader_wait_max=recorder.reader_wait_max,
            transactions=len(open_holds),
            transactions_pending=0 if holds is None else holds.pool.waiting,
            reconnects=recorder.reconnects,
            outcomes_asked=recorder.outcomes_asked,
            outcomes_applied=recorder.outcomes_applied,
            outcomes_unknown=recorder.outcomes_unknown,
            commits_lost=recorder.commits_lost,
            replica_reads=recorder.replica_reads,
            replica_waits=recorder.replica_waits,
        )

    # The end

    def refuse_new(self) -> None:
        if self.writer is not None:
            self.writer.refuse_new()

    async def close(self, timeout: float, *, drain: bool) -> None:
        deadline = self.loop.time() + timeout
        late = self.loop.call_later(_LONG_CLOSE, self._log_long_close, timeout)
        # What can be stopped cleanly has most of the time.
        soon = deadline - min(0.5, timeout / 4)
        try:
            if self.writer is not None and self.holds is not None:
                await self.writer.close(soon, drain=drain)
                self.holds.pool.fail_waiters(lambda: DatabaseClosed("the database is closing or closed"))
                if self.holds.open and drain:
                    await asyncio.wait([self.holds.emptied()], timeout=max(0.0, soon - self.loop.time()))
                self.holds.expire_all(DatabaseClosed("the database was closed; the transaction is rolled back"))
                await self._forget_ledgers(deadline)
                await self.holds.pool.close(deadline)
            for pool in self.readers.pools:
                await pool.close(soon)
            if self.writer is not None:
                await self.writer.end_link(in_time=self.loop.time() < deadline)
        finally:
            late.cancel()
            self._end_at_once()
            for connector in (self._connector, *self._replicas):
                await connector.close()

    async def _forget_ledgers(self, deadline: float) -> None:
        """No outcome is open: the rows of the connections for transactions go."""
        assert self.holds is not None
        for link, ledger in list(self.holds.ledgers.items()):
            if link.lost is None and not link.is_busy and self.loop.time() < deadline:
                await asyncio.wait([link.ask([ledger.forget()])], timeout=0.5)
            link.close()

    def _log_long_close(self, timeout: float) -> None:
        """So that a program that stands still after Ctrl-C says what it stands for."""
        doing = self.writer.doing if self.writer is not None else None
        what = doing or f"{self.recorder.reads} reads, or a transaction()"
        log.warning("%s: close() waits for %s, for up to %g s in all", self._shown, what, timeout)

    def _end_at_once(self) -> None:
        for pool in self.readers.pools:
            pool.end()
        if self.holds is not None:
            self.holds.pool.end()

    def abandon(self) -> None:
        """Ends it without a caller that could wait: its handle was collected, or the interpreter exits."""

        def end() -> None:
            if self.writer is not None:
                self.writer.abandon()
            self._end_at_once()

        if not (self.loop.is_running() and call_on_loop(self.loop, end)):
            end()
        warnings.warn(
            f"{self._shown} was not closed: use `async with aiomemdb.connect(...)`, or `await db.close()`",
            ResourceWarning,
            stacklevel=2,
        )

    def leave_to_parent(self) -> None:
        """In a forked child."""
        if self.writer is not None:
            self.writer.leave_to_parent()
        if self.holds is not None:
            self.holds.pool.leave_to_parent()
        for pool in self.readers.pools:
            pool.leave_to_parent()
