"""How jobs end that the writer does not run to their end, or that end unheard by the loop.

Each way says whether the job was applied: it had not started, its COMMIT was under way, or it is not known.
"""

from __future__ import annotations

import asyncio

from ...concurrency.failing import Failing
from ...concurrency.job import JobFuture, SomeFuture, copy_error, fail, settle, timed_out
from ...concurrency.queue import JobQueue
from ...errors import AiomemdbError, DatabaseClosed
from ..common.recorder import Recorder
from ..connection.connection import Connection
from .batch import Batch
from .hold import Hold

__all__ = ["Unfinished", "not_started"]


def not_started(why: str) -> DatabaseClosed:
    return DatabaseClosed(f"{why}; this job had not started")


def _rolled_back(why: str) -> DatabaseClosed:
    return DatabaseClosed(f"{why}; the transaction is rolled back")


class Unfinished:
    """Of one writer's jobs, in the queue and on the thread."""

    def __init__(self, connection: Connection, queue: JobQueue, recorder: Recorder) -> None:
        self._connection = connection
        self._queue = queue
        self._recorder = recorder
        self._failing = Failing(connection.loop)

    # Those that wait

    def fail_waiting(self, error: BaseException, count: int | None = None) -> None:
        """The first ``count`` jobs that wait fail, or all; a few at once, the loop goes on between them."""
        dropped = self._queue.drop(count)
        self._recorder.write_errors += len(dropped)
        if dropped:
            self._failing.add(dropped, error)

    def finished(self) -> asyncio.Future[None]:
        """Resolves when all of them have their outcome."""
        return self._failing.finished()

    def fail_rest_now(self) -> None:
        self._failing.finish()

    # Those that run

    def roll_back(self, running: Batch | None, why: str) -> None:
        """A transaction that is held is not waited for."""
        if isinstance(running, Hold):
            running.expire(_rolled_back(why))

    def fail_running(self, running: Batch | None, why: str) -> None:
        """There is no time to wait for what the thread does."""
        if isinstance(running, Hold):
            running.give_up(_rolled_back(why))
        elif running is not None:
            # One step: a batch begins by switch(), which takes the same lock, and leaves out who has left until then.
            with self._connection.switching:
                if self._connection.working_on is running:
                    fail(running.jobs, lambda: DatabaseClosed(f"{why} while this job was running", applied=None))
                else:
                    running.has_left = True
                    fail(running.jobs, lambda: not_started(why))

    def tell_unheard(self, running: Batch | None, error: AiomemdbError) -> None:
        """The thread or the loop is gone: reports what was committed, and fails the rest."""
        if isinstance(running, Hold):
            running.lose(error)
        if running is not None:
            done = len(running.outcomes)
            settle(running.jobs[:done], running.outcomes, failed=True)
            rest = copy_error(error)
            rest.applied = None if running.committing else False  # type: ignore[attr-defined]
            fail(running.jobs[done:], lambda: copy_error(rest))

    def time_out(self, running: Batch | None, future: JobFuture, verb: str, timeout: float) -> None:
        """A caller's own ``timeout=`` has run out."""
        if future.done():
            return
        with self._connection.switching:  # one step, as in fail_running
            started = future.started
            if running is not None and self._connection.working_on is not running:
                started, running.has_left = False, True
            future.set_exception(timed_out(verb, timeout, started=started))

    def fail_if_waiting(self, running: Batch | None, future: SomeFuture, error: BaseException) -> bool:
        """Fails one that is in the queue, or waits for its turn; returns whether it did."""
        with self._connection.switching:
            if running is not None and any(job[0] is future for job in running.jobs):
                if self._connection.working_on is running:
                    return False
                running.has_left = True
            if not future.done():
                future.set_exception(error)
                return True
            return False
