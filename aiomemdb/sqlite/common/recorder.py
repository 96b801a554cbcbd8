"""What happens in an open database, in one place: counted for ``statistics()``, told to those who observe it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic
from weakref import WeakKeyDictionary

from ...concurrency.job import SomeFuture, WriteJob
from ...observing import Checkpointed, Committed, Counters, Event, LockWaited, Observers

__all__ = ["Recorder"]


class Recorder(Counters):
    """See ``aiomemdb.SQLiteStatistics`` for what each counter means, and ``aiomemdb.observing`` for the events.

    Attributes:
        deliver: has the loop call something, from the writer's thread; the loop hears that before it hears of the
            batch.
    """

    deliver: Callable[..., bool]

    def __init__(self, observers: Observers) -> None:
        super().__init__(observers)
        self.checkpoints: int = 0
        self.checkpoint_failures: int = 0
        self.checkpoint_error: str | None = None
        self._steps: WeakKeyDictionary[object, list[SomeFuture]] = WeakKeyDictionary()

    # Writes, on the loop

    def enqueue(self, append: Callable[[WriteJob], None], job: WriteJob) -> None:
        """Of a transaction its writes are told."""
        append(job)
        future, operation, subject, _ = job
        if not operation.lends:
            self.enqueued(future, operation.name, subject)

    def stepped(self, hold: object, step: SomeFuture, verb: str, subject: object, began: float | None = None) -> None:
        """A write of a transaction that is observed."""
        self._steps.setdefault(hold, []).append(step)
        self.enqueued(step, verb, subject, began)

    # On the writer's thread

    def lock_waited(self, seconds: float) -> None:
        if self.is_observed:
            self._tell(LockWaited(seconds))

    def held_committed(self, hold: object, tables: Iterable[str] | None, began: float | None) -> None:
        """A transaction has been committed; where it is observed, what it was told of."""
        if began is not None:
            self.committed(self._steps.pop(hold, ()), tables, began)

    def committed(self, jobs: Iterable[SomeFuture], tables: Iterable[str] | None, began: float) -> None:
        written = None if tables is None else frozenset(tables)
        self._tell(Committed(tuple(jobs), written, began, monotonic()))

    def checkpoint_failed(self, error: str) -> None:
        self.checkpoint_failures += 1
        self.checkpoint_error = error

    def checkpointed(self, began: float, log_bytes: int, error: str | None, *, is_whole: bool) -> None:
        if self.is_observed:
            self._tell(Checkpointed(monotonic() - began, is_whole, log_bytes, error))

    def _tell(self, event: Event) -> None:
        self.deliver(self._observers.tell, event)
