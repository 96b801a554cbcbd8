"""What a database's events become: spans and measurements. See ``aiomemdb.observing``."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any  # Any: databases of all engines
from weakref import WeakKeyDictionary

from opentelemetry import context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer

from ..observing import Begun, Checkpointed, Closed, Committed, Enqueued, Event, LockWaited, ReadDone
from .instruments import Instruments, Labels
from .joined import callers
from .summaries import summary

__all__ = ["DatabaseObserver", "failed", "is_suppressed", "quietly"]

log: logging.Logger = logging.getLogger("aiomemdb")

_OF_ERROR = "error.type"
_OF_ENGINE = "db.response.status_code"

_logged: set[type[BaseException]] = set()


def quietly(call: Callable[..., object], *args: object) -> None:
    """Telemetry that fails harms no call: each kind of error is logged once."""
    try:
        call(*args)
    except Exception as error:
        if type(error) not in _logged:
            _logged.add(type(error))
            log.exception("telemetry failed, further errors of this kind are not logged")


def failed(error: BaseException) -> dict[str, str]:
    """What is said of an error: not its text, which may hold values."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    code = getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None)
    return {_OF_ERROR: name} | ({_OF_ENGINE: code} if isinstance(code, str) else {})


class DatabaseObserver:
    """Told on the database's loop alone.

    Args:
        tracer, meters: None: no spans, no measurements.
    """

    def __init__(self, database: Any, tracer: Tracer | None, meters: Instruments | None, *, query_text: bool) -> None:
        self._labels: Labels = database._observed_as
        self._tracer = tracer
        self._meters = meters
        self._query_text = query_text
        self._spans: WeakKeyDictionary[asyncio.Future[object], Span] = WeakKeyDictionary()
        self._key = id(database)
        if meters is not None:
            meters.watch(database, self._labels)

    def end(self) -> None:
        if self._meters is not None:
            self._meters.leave(self._key)

    def told(self, event: Event) -> None:
        match event:
            case Enqueued():
                self._enqueued(event)
            case ReadDone():
                self._read(event)
            case Committed():
                self._committed(event)
            case Begun():
                if self._meters is not None:
                    self._meters.queue_wait.record(event.waited, self._labels)
                    self._meters.batch_size.record(len(event.jobs), self._labels)
            case LockWaited():
                if self._meters is not None:
                    self._meters.lock_wait.record(event.waited, self._labels)
            case Closed():
                self.end()
            case Checkpointed():
                pass

    # Jobs and queries

    def _enqueued(self, event: Enqueued) -> None:
        if is_suppressed():
            return
        now = time.monotonic()
        began = now if event.began is None else event.began
        span = self._begin(event.verb, event.subject, time.time_ns() - int((now - began) * 1e9))
        if span is not None:
            self._spans[event.job] = span
        event.job.add_done_callback(partial(quietly, self._done, span, event.verb, began))

    def _done(self, span: Span | None, verb: str, began: float, job: asyncio.Future[object]) -> None:
        # Not job.exception(): asyncio would no longer report an error that its caller never looks at.
        error = asyncio.CancelledError() if job.cancelled() else job._exception
        self._end(span, verb, time.monotonic() - began, error)

    def _read(self, event: ReadDone) -> None:
        if is_suppressed():
            return
        took = time.monotonic() - event.began
        span = self._begin(event.verb, event.subject, time.time_ns() - int(took * 1e9))
        self._end(span, event.verb, took, event.error)

    def _begin(self, verb: str, subject: object, started: int) -> Span | None:
        if self._tracer is None:
            return None
        what = summary(verb, subject)
        attributes = {**self._labels, "db.operation.name": verb, "db.query.summary": what}
        if self._query_text and isinstance(subject, str):
            attributes["db.query.text"] = subject
        above = callers()
        links = [Link(each.get_span_context()) for each in above]
        span = self._tracer.start_span(
            what, kind=SpanKind.CLIENT, attributes=attributes, links=links, start_time=started
        )
        for each in above:
            if each.is_recording():
                each.add_link(span.get_span_context())
        return span

    def _end(self, span: Span | None, verb: str, took: float, error: BaseException | None) -> None:
        of_error = {} if error is None else failed(error)
        if span is not None:
            if error is not None:
                span.set_status(Status(StatusCode.ERROR))
                span.set_attributes(of_error)
            span.end()
        if self._meters is not None:
            self._meters.duration.record(took, {**self._labels, "db.operation.name": verb, **of_error})

    # Commits

    def _committed(self, event: Committed) -> None:
        if self._tracer is None:
            return
        spans = [span for job in event.jobs if (span := self._spans.get(job)) is not None]
        links = [Link(of) for span in spans if (of := span.get_span_context()).trace_flags.sampled]
        if spans and not links:
            return  # none of its jobs is recorded
        attributes: dict[str, str | int] = {**self._labels, "db.operation.name": "COMMIT"}
        if len(event.jobs) > 1:
            attributes["db.operation.batch.size"] = len(event.jobs)
        since = time.time_ns() - int(time.monotonic() * 1e9)
        commit = self._tracer.start_span(
            "COMMIT",
            context=context.Context(),  # it is of all its jobs, and so below none of them
            kind=SpanKind.CLIENT,
            attributes=attributes,
            links=links,
            start_time=since + int(event.began * 1e9),
        )
        for span in spans:
            if span.is_recording():  # those of a transaction have ended
                span.add_link(commit.get_span_context())
        commit.end(since + int(event.ended * 1e9))


def is_suppressed() -> bool:
    """An exporter is at work: what it writes itself is not to be exported."""
    return bool(context.get_value(context._SUPPRESS_INSTRUMENTATION_KEY))
