"""Calls that a memory answers together: where the spans of its queries and jobs belong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from opentelemetry import context
from opentelemetry.trace import Span, get_current_span

__all__ = ["Joined", "callers"]

_KEY = context.create_key("aiomemdb-callers")


def callers() -> Sequence[Span]:
    """The spans of the callers that the current context works for, where there are several."""
    found = context.get_value(_KEY)
    return found if isinstance(found, tuple) else ()


class Joined:
    """See ``aiomemdb.observing.Joining``."""

    def caller(self) -> object:
        return context.get_current()

    def together(self, callers: Sequence[object]) -> AbstractContextManager[None]:
        return self._together([each for each in callers if isinstance(each, context.Context)])

    @contextmanager
    def _together(self, contexts: Sequence[context.Context]) -> Iterator[None]:
        spans = {span.get_span_context().span_id: span for each in contexts if (span := get_current_span(each))}
        spans.pop(0, None)  # no span
        if len(contexts) > 0 and len(spans) < 2:
            inside = next((each for each in contexts if get_current_span(each) in spans.values()), contexts[0])
        else:
            inside = context.set_value(_KEY, tuple(spans.values()))
        token = context.attach(inside)
        try:
            yield
        finally:
            context.detach(token)
