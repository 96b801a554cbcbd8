"""How the writer's part of an observed database is told (observing.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic
from weakref import WeakKeyDictionary

from ...concurrency.job import SomeFuture, WriteJob
from ...observing import Begun, Checkpointed, Committed, Enqueued, Event, LockWaited, Observers

__all__ = ["Observed"]


class Observed:
    """Makes the events. What the writer's thread tells, the loop hears before it hears of the batch."""

    def __init__(self, observers: Observers, append: Callable[[WriteJob], None], deliver: Callable[..., bool]) -> None:
        self._observers = observers
        self._append = append
        self._deliver = deliver
        self._steps: WeakKeyDictionary[object, list[SomeFuture]] = WeakKeyDictionary()

    # On the loop

    def enqueue(self, job: WriteJob) -> None:
        self._append(job)
        future, operation, subject, _ = job
        if not operation.lends:  # of a transaction its writes are told
            self.enqueued(future, operation.name, subject)

    def enqueued(self, job: SomeFuture, verb: str, subject: object) -> None:
        self._observers.tell(Enqueued(job, verb, subject))

    def stepped(self, hold: object, step: SomeFuture, verb: str, subject: object) -> None:
        """A write of a transaction."""
        self._steps.setdefault(hold, []).append(step)
        self.enqueued(step, verb, subject)

    def begun(self, jobs: Iterable[WriteJob], waited: float) -> None:
        self._observers.tell(Begun(tuple(job[0] for job in jobs), waited))

    def asked(self, reading: SomeFuture, verb: str, subject: object) -> None:
        self._observers.tell_read(reading, verb, subject)

    # On the writer's thread

    def steps_of(self, hold: object) -> Iterable[SomeFuture]:
        return self._steps.pop(hold, ())

    def committed(self, jobs: Iterable[SomeFuture], tables: Iterable[str] | None, began: float) -> None:
        written = None if tables is None else frozenset(tables)
        self._tell(Committed(tuple(jobs), written, began, monotonic()))

    def lock_waited(self, seconds: float) -> None:
        self._tell(LockWaited(seconds))

    def checkpointed(self, began: float, log_bytes: int, error: str | None, *, is_whole: bool) -> None:
        self._tell(Checkpointed(monotonic() - began, is_whole, log_bytes, error))

    def _tell(self, event: Event) -> None:
        self._deliver(self._observers.tell, event)
