"""What happens in an open database, in one place: counted for ``statistics()``, told to those who observe it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from weakref import WeakKeyDictionary

from ...concurrency.job import SomeFuture, WriteJob
from ...observing import Begun, Checkpointed, Committed, Enqueued, Event, LockWaited, Observers

__all__ = ["Recorder"]


class Recorder:
    """See ``aiomemdb.SQLiteStatistics`` for what each counter means, and ``aiomemdb.observing`` for the events.

    Attributes:
        is_observed: there is an observer. Where not, no event is made, nor anything that only events need.
        waiting_since: when the first of the jobs that wait now can have come, of ``time.monotonic``.
        deliver: has the loop call something, from the writer's thread; the loop hears that before it hears of the
            batch.
    """

    deliver: Callable[..., bool]

    def __init__(self, observers: Observers) -> None:
        self.is_observed: bool = False
        self.writes: int = 0
        self.write_errors: int = 0
        self.batches: int = 0
        self.largest_batch: int = 0
        self.batch_splits: int = 0
        self.queue_wait: float = 0.0
        self.queue_wait_max: float = 0.0
        self.reads: int = 0
        self.checkpoints: int = 0
        self.checkpoint_failures: int = 0
        self.checkpoint_error: str | None = None
        self.waiting_since: float = monotonic()
        self._observers = observers
        self._steps: WeakKeyDictionary[object, list[SomeFuture]] = WeakKeyDictionary()
        observers.on_change.append(self._changed)

    @property
    def mean_batch(self) -> float:
        return (self.writes + self.write_errors) / self.batches if self.batches else 0.0

    def _changed(self, is_observed: bool) -> None:
        self.is_observed = is_observed

    # Writes, on the loop

    def enqueue(self, append: Callable[[WriteJob], None], job: WriteJob) -> None:
        """Of a transaction its writes are told."""
        append(job)
        future, operation, subject, _ = job
        if not operation.lends:
            self.enqueued(future, operation.name, subject)

    def enqueued(self, job: SomeFuture, verb: str, subject: object) -> None:
        self._observers.tell(Enqueued(job, verb, subject))

    def taken(self, jobs: Sequence[WriteJob]) -> None:
        """All that waited has been taken into a batch."""
        now = monotonic()
        self.queue_wait = now - self.waiting_since
        if self.queue_wait > self.queue_wait_max:
            self.queue_wait_max = self.queue_wait
        self.waiting_since = now
        if self.is_observed:
            self._observers.tell(Begun(tuple(job[0] for job in jobs), self.queue_wait))

    def settled(self, done: int, errors: int, splits: int) -> None:
        """A batch has settled ``done`` jobs."""
        self.writes += done - errors
        self.write_errors += errors
        self.batches += 1
        if done > self.largest_batch:
            self.largest_batch = done
        self.batch_splits += splits

    def stepped(self, hold: object, step: SomeFuture, verb: str, subject: object) -> None:
        """A write of a transaction that is observed."""
        self._steps.setdefault(hold, []).append(step)
        self.enqueued(step, verb, subject)

    def held(self, writes: int, errors: int) -> None:
        """A transaction is over; each of its steps is a job."""
        self.writes += writes
        self.write_errors += errors
        self.batches += 1

    # Reads, on the loop

    def asked(self, reading: SomeFuture, verb: str, subject: object) -> None:
        """A query of a snapshot, a stream or a transaction, which has its connection."""
        self.reads += 1
        if self.is_observed:
            self.tell_read(reading, verb, subject)

    def tell_read(self, reading: SomeFuture, verb: str, subject: object) -> None:
        self._observers.tell_read(reading, verb, subject)

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
