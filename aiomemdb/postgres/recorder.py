"""What happens in an open database, counted for ``statistics()``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import monotonic

from ..concurrency.job import SomeFuture, WriteJob
from ..observing import Begun, Committed, Enqueued, Observers

__all__ = ["Recorder"]


class Recorder:
    """See ``aiomemdb.PostgresStatistics`` for what each counter means, and ``aiomemdb.observing`` for the events."""

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
        self.reader_wait_max: float = 0.0
        self.reconnects: int = 0
        self.outcomes_asked: int = 0
        self.outcomes_applied: int = 0
        self.outcomes_unknown: int = 0
        self.replica_reads: int = 0
        self.replica_waits: int = 0
        self.waiting_since: float = monotonic()
        self._observers = observers
        observers.on_change.append(self._changed)

    @property
    def mean_batch(self) -> float:
        return (self.writes + self.write_errors) / self.batches if self.batches else 0.0

    def _changed(self, is_observed: bool) -> None:
        self.is_observed = is_observed

    def enqueue(self, append: Callable[[WriteJob], None], job: WriteJob) -> None:
        append(job)
        self.enqueued(job[0], job[1].name, _text(job[2]))

    def enqueued(self, job: SomeFuture, verb: str, subject: object) -> None:
        if self.is_observed:
            self._observers.tell(Enqueued(job, verb, subject))

    def stepped(self, step: SomeFuture, verb: str, work: object) -> None:
        """A write of a transaction."""
        if self.is_observed:
            self.enqueued(step, verb, _text(work))

    def taken(self, jobs: Sequence[WriteJob]) -> None:
        """All that waited has been taken into a batch."""
        now = monotonic()
        self.queue_wait = now - self.waiting_since
        self.queue_wait_max = max(self.queue_wait_max, self.queue_wait)
        self.waiting_since = now
        if self.is_observed:
            self._observers.tell(Begun(tuple(job[0] for job in jobs), self.queue_wait))

    def committed(self, jobs: Iterable[SomeFuture], began: float) -> None:
        """Which tables were written the server does not say."""
        if self.is_observed:
            self._observers.tell(Committed(tuple(jobs), None, began, monotonic()))

    def settled(self, done: int, errors: int, splits: int) -> None:
        self.writes += done - errors
        self.write_errors += errors
        self.batches += 1
        self.largest_batch = max(self.largest_batch, done)
        self.batch_splits += splits

    def held(self, writes: int, errors: int) -> None:
        """A transaction is over; each of its steps is a job."""
        self.writes += writes
        self.write_errors += errors
        self.batches += 1

    def tell_read(self, reading: SomeFuture, verb: str, work: object) -> None:
        self._observers.tell_read(reading, verb, _text(work))


def _text(work: object) -> object:
    """The SQL of a job's statements."""
    if isinstance(work, Sequence) and work and not isinstance(work, str):
        return "; ".join(dict.fromkeys(made.sql for made, _ in work))
    return work if isinstance(work, str) else None
