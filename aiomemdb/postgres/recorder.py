"""What happens in an open database, counted for ``statistics()``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import monotonic

from ..concurrency.job import SomeFuture, WriteJob
from ..observing import Committed, Counters, Observers

__all__ = ["Recorder"]


class Recorder(Counters):
    """See ``aiomemdb.PostgresStatistics`` for what each counter means, and ``aiomemdb.observing`` for the events."""

    def __init__(self, observers: Observers) -> None:
        super().__init__(observers)
        self.reader_wait_max: float = 0.0
        self.reconnects: int = 0
        self.outcomes_asked: int = 0
        self.outcomes_applied: int = 0
        self.outcomes_unknown: int = 0
        self.commits_lost: int = 0
        self.replica_reads: int = 0
        self.replica_waits: int = 0

    def enqueue(self, append: Callable[[WriteJob], None], job: WriteJob) -> None:
        append(job)
        self.enqueued(job[0], job[1].name, _text(job[2]))

    def stepped(self, step: SomeFuture, verb: str, work: object) -> None:
        """A write of a transaction."""
        if self.is_observed:
            self.enqueued(step, verb, _text(work))

    def committed(self, jobs: Iterable[SomeFuture], began: float) -> None:
        """Which tables were written the server does not say."""
        if self.is_observed:
            self._observers.tell(Committed(tuple(jobs), None, began, monotonic()))

    def tell_read(self, reading: SomeFuture, verb: str, work: object, began: float | None = None) -> None:
        self._observers.tell_read(reading, verb, _text(work), began)


def _text(work: object) -> object:
    """The SQL of a job's statements."""
    if isinstance(work, Sequence) and work and not isinstance(work, str):
        return "; ".join(dict.fromkeys(made.sql for made, _ in work))
    return work if isinstance(work, str) else None
