"""The observer's seam: what happens in an open database, told as it happens. For rooms of this package.

An observer is a function of one event. ``database._observe(observer)`` has it told all events from then on, and returns
what ends that. It is called on the loop's thread, and everything waits for it: so it is quick. What it raises is logged
once and harms no job. Where no observer is, no event is made.

    Enqueued      a job waits for the writer, or in a transaction for its turn; in its caller's context
    Begun         the writer has taken a batch; of a transaction it is not told
    LockWaited    a batch or a transaction waited for other processes
    Committed     a transaction is committed; in commit order, before the callers of a batch hear of it
    Checkpointed  a part of the log was moved into the file, or could not be
    ReadDone      a query was answered, or failed; in its caller's context
    Closed        the database is closed; the last

``database._observed_as`` says what it is, by the names that OpenTelemetry has for that, without a password.
``on_open``, ``around_verbs``, ``around_requests`` and ``joining`` are the seam of the whole process: databases as they
are opened, the verbs of their memories, requests of the clients that a memory is served to, and calls that are answered
together.

Times are of ``time.monotonic``, durations are seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol, TypeAlias, TypeVar  # Any: databases of all engines
from weakref import WeakKeyDictionary

__all__ = [
    "Around",
    "AroundRequest",
    "AskedElsewhere",
    "Begun",
    "Checkpointed",
    "Closed",
    "Committed",
    "Counters",
    "Enqueued",
    "Event",
    "Joining",
    "LockWaited",
    "Observer",
    "Observers",
    "ReadDone",
    "Request",
    "around_requests",
    "around_verbs",
    "joining",
    "on_open",
    "opened",
]

log: logging.Logger = logging.getLogger("aiomemdb")

R = TypeVar("R")


class AskedElsewhere(Exception):
    """A query is asked once more, of another connection; of that one it is told."""


@dataclass(frozen=True, slots=True)
class Enqueued:
    """
    Attributes:
        job: its future, which is done when the job is, though perhaps not committed where it is in a transaction.
        verb: "write", "write_fn", …
        subject: its SQL, its function, or None.
        began: when it was asked, where that was before.
    """

    job: asyncio.Future[object]
    verb: str
    subject: object
    began: float | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """
    Attributes:
        jobs: the futures of its jobs, in order.
        waited: what the first of them waited at most.
    """

    jobs: tuple[asyncio.Future[object], ...]
    waited: float


@dataclass(frozen=True, slots=True)
class LockWaited:
    waited: float


@dataclass(frozen=True, slots=True)
class Committed:
    """
    Attributes:
        jobs: the futures of the jobs in it, in order; those that have failed in it among them.
        tables: those that it may have written, views among them, as the schema spells them: itself, by triggers, and by
            cascades of foreign keys, perhaps without changing a row. Of a virtual table its own name is there; the
            tables in which it keeps its rows may be. An index that is built is its table's. "sqlite_stat1": ANALYZE has
            written the planner's statistics. "sqlite_schema": it has changed the schema, so any name may mean
            another table. None: it began before it was observed, and may have written any.
        began, ended: when.
    """

    jobs: tuple[asyncio.Future[object], ...]
    tables: frozenset[str] | None
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """
    Attributes:
        took: for how long the next batch could not begin.
        is_whole: all of the log is in the file, and no reader uses it.
        log_bytes: the log's size.
        error: why it failed, or None.
    """

    took: float
    is_whole: bool
    log_bytes: int
    error: str | None


@dataclass(frozen=True, slots=True)
class ReadDone:
    """Of a stream it is told once, when it has its first rows.

    Attributes:
        verb: "read", "read_stream", …
        subject: its SQL or its function.
        began: when it was asked; in a snapshot, a stream or a transaction(): when that had its connection.
        error: what it raised, a cancellation too; None: it was answered.
    """

    verb: str
    subject: object
    began: float
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class Closed:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asks by the Model Context Protocol. Only ``method``, ``tool`` and ``resource`` are checked.

    Attributes:
        method: as "tools/call".
        tool, resource: a tool's name, a resource's URI, of those that are served; otherwise None.
        id: the client's number of it.
        version: of the protocol; None: the SDK does not say.
        session: the id of its session over HTTP.
        is_http: it came over HTTP, otherwise over a pipe.
        meta: its ``_meta``.
    """

    method: str
    tool: str | None = None
    resource: str | None = None
    id: str | int | None = None
    version: str | None = None
    session: str | None = None
    is_http: bool = False
    meta: Mapping[str, Any] | None = None


Event: TypeAlias = Enqueued | Begun | LockWaited | Committed | Checkpointed | ReadDone | Closed
Observer: TypeAlias = Callable[[Event], object]

#: Called with an operation, as "search_memory", a namespace, and the verb's arguments; returns what is entered before
#: the verb begins, which returns what is called with the verb's result.
Around: TypeAlias = Callable[[str, str, tuple[object, ...]], AbstractContextManager[Callable[[object], object]]]

#: By database: what goes around the verbs of its memory.
around_verbs: WeakKeyDictionary[Any, Around] = WeakKeyDictionary()

#: Called with a request; returns what is entered before it is served, which returns what is called with the kind of an
#: error that is answered.
AroundRequest: TypeAlias = Callable[[Request], AbstractContextManager[Callable[[str], object]]]

#: By database: what goes around the requests that its memory is asked.
around_requests: WeakKeyDictionary[Any, AroundRequest] = WeakKeyDictionary()


class Joining(Protocol):
    """Calls that are answered together, in a context that is none of theirs."""

    def caller(self) -> object:
        """Called in the context of one that joins the others."""
        ...

    def together(self, callers: Sequence[object]) -> AbstractContextManager[None]:
        """Entered before they are answered, with what ``caller`` returned for each."""
        ...


#: One at most, which hears of all databases.
joining: list[Joining] = []

#: Each is called with each database of this process as soon as it is open, on its loop. What it raises is logged.
on_open: list[Callable[[Any], object]] = []


def opened(database: Any) -> None:
    """A database is open: for the engine that opened it."""
    for tell in tuple(on_open):
        try:
            tell(database)
        except Exception:
            log.exception("an observer of opened databases failed")


class Observers:
    """Those of one database.

    Attributes:
        on_change: called where the first one comes (True) and where the last one has gone (False).
    """

    def __init__(self) -> None:
        self.on_change: list[Callable[[bool], None]] = []
        self._observers: tuple[Observer, ...] = ()
        self._logged: set[Observer] = set()

    def __bool__(self) -> bool:
        return bool(self._observers)

    def add(self, observer: Observer) -> Callable[[], None]:
        """Has it told what happens from now on, the COMMIT of a transaction that is open among it; returns what ends
        that.
        """
        told = lambda event: observer(event)  # noqa: E731  the same one may be added twice
        self._set((*self._observers, told))
        return lambda: self._set(tuple(each for each in self._observers if each is not told))

    def _set(self, observers: tuple[Observer, ...]) -> None:
        had, self._observers = bool(self._observers), observers
        if bool(observers) is not had:
            for change in self.on_change:
                change(bool(observers))

    def tell(self, event: Event) -> None:
        for observer in self._observers:
            try:
                observer(event)
            except (Exception, asyncio.CancelledError):
                if observer not in self._logged:
                    self._logged.add(observer)
                    log.exception("an observer failed, further errors of it are not logged: %r", type(event).__name__)

    def tell_read(self, reading: asyncio.Future[R], verb: str, subject: object, began: float | None = None) -> None:
        """A query was asked, now or when it ``began``; its future is done when the query is."""
        asked = monotonic() if began is None else began

        def done(reading: asyncio.Future[R]) -> None:
            error = asyncio.CancelledError() if reading.cancelled() else reading.exception()
            if not isinstance(error, AskedElsewhere):
                self.tell(ReadDone(verb, subject, asked, error))

        reading.add_done_callback(done)


class Counters:
    """What every engine counts of the jobs of its writer, and reports to observers; an engine's recorder adds its own.

    Attributes:
        is_observed: there is an observer. Where not, no event is made, nor anything that only events need.
        waiting_since: when the first of the jobs that wait now can have come, of ``time.monotonic``.
    """

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
        self.waiting_since: float = monotonic()
        self._observers = observers
        observers.on_change.append(self._changed)

    @property
    def mean_batch(self) -> float:
        return (self.writes + self.write_errors) / self.batches if self.batches else 0.0

    def _changed(self, is_observed: bool) -> None:
        self.is_observed = is_observed

    def enqueued(self, job: asyncio.Future[Any], verb: str, subject: object, began: float | None = None) -> None:
        """A job waits, which is observed."""
        self._observers.tell(Enqueued(job, verb, subject, began))

    def taken(self, jobs: Sequence[tuple[asyncio.Future[Any], Any, Any, Any]]) -> None:
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

    def held(self, writes: int, errors: int) -> None:
        """A transaction is over; each of its steps is a job."""
        self.writes += writes
        self.write_errors += errors
        self.batches += 1

    def asked(self, reading: asyncio.Future[Any], verb: str, subject: object) -> None:
        """A query of a snapshot, a stream or a transaction, which has its connection."""
        self.reads += 1
        if self.is_observed:
            self.tell_read(reading, verb, subject)

    def tell_read(self, reading: asyncio.Future[Any], verb: str, subject: object, began: float | None = None) -> None:
        self._observers.tell_read(reading, verb, subject, began)
