"""What the writer has done so far, for ``statistics()``."""

from __future__ import annotations

from time import monotonic

__all__ = ["Counters"]


class Counters:
    """Counted on the loop. See ``aiomemdb.Statistics`` for what each figure means.

    Attributes:
        waiting_since: when the first of the jobs that wait now can have come, of ``time.monotonic``.
    """

    def __init__(self) -> None:
        self.writes: int = 0
        self.write_errors: int = 0
        self.batches: int = 0
        self.largest_batch: int = 0
        self.batch_splits: int = 0
        self.queue_wait: float = 0.0
        self.queue_wait_max: float = 0.0
        self.waiting_since: float = monotonic()

    @property
    def mean_batch(self) -> float:
        return (self.writes + self.write_errors) / self.batches if self.batches else 0.0

    def taken(self) -> None:
        """All that waited has been taken into a batch."""
        now = monotonic()
        self.queue_wait = now - self.waiting_since
        if self.queue_wait > self.queue_wait_max:
            self.queue_wait_max = self.queue_wait
        self.waiting_since = now

    def settled(self, done: int, errors: int, splits: int) -> None:
        """A batch has settled ``done`` jobs."""
        self.writes += done - errors
        self.write_errors += errors
        self.batches += 1
        if done > self.largest_batch:
            self.largest_batch = done
        self.batch_splits += splits

    def held(self, writes: int, errors: int) -> None:
        """A transaction that was lent is over; each of its steps is a job."""
        self.writes += writes
        self.write_errors += errors
        self.batches += 1
