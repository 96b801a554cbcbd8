"""The verbs of a memory as operations of the conventions for generative AI."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sized
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, use_span

from ..memory.values import Entity, Episode, Fact, Recall
from .observer import failed, quietly

__all__ = ["Verbs", "has_opted_in"]

_WORD = "gen_ai_latest_experimental"


def has_opted_in() -> bool:
    words = os.environ.get("OTEL_SEMCONV_STABILITY_OPT_IN", "")
    return _WORD in (word.strip() for word in words.split(","))


class Verbs:
    """See ``aiomemdb.observing.Around``."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def __call__(
        self, operation: str, namespace: str, args: tuple[object, ...]
    ) -> AbstractContextManager[Callable[[object], object]]:
        return self._around(operation, namespace, args)

    @contextmanager
    def _around(self, operation: str, namespace: str, args: tuple[object, ...]) -> Iterator[Callable[[object], object]]:
        made: list[Span] = []
        quietly(self._begin, made, operation, namespace, args)
        if not made:
            yield _nothing
            return
        [span] = made
        try:
            with use_span(span, record_exception=False, set_status_on_exception=False):
                yield partial(quietly, _note, span)
        except BaseException as error:
            quietly(_fail, span, error)
            raise
        finally:
            quietly(span.end)

    def _begin(self, made: list[Span], operation: str, namespace: str, args: tuple[object, ...]) -> None:
        attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": "aiomemdb",
            "gen_ai.memory.store.id": namespace,
        }
        if args and (of := _record(args[0])) is not None:
            attributes["gen_ai.memory.record.id"] = of
        # In this process: so it is no call to a client of something remote.
        made.append(self._tracer.start_span(operation, kind=SpanKind.INTERNAL, attributes=attributes))


def _note(span: Span, result: object) -> None:
    if isinstance(result, Recall):
        span.set_attribute("gen_ai.memory.record.count", len(result.hits))
    elif isinstance(result, Sized) and not isinstance(result, str):
        span.set_attribute("gen_ai.memory.record.count", len(result))
    elif (of := _record(result)) is not None:
        span.set_attribute("gen_ai.memory.record.id", of)


def _fail(span: Span, error: BaseException) -> None:
    span.set_status(Status(StatusCode.ERROR))
    span.set_attributes(failed(error))


def _record(thing: object) -> str | None:
    for kind, of in (("entity", Entity), ("fact", Fact), ("episode", Episode)):
        if isinstance(thing, of):
            return f"{kind}:{thing.id}"
    return None


def _nothing(result: object) -> None:
    pass
