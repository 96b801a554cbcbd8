"""Requests of clients, by the conventions for the Model Context Protocol.

https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/mcp.md
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any  # Any: what a client sent

from opentelemetry import context, propagate
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer, get_current_span, set_span_in_context

from ..observing import Request
from .instruments import Instruments
from .observer import failed, is_suppressed, quietly

__all__ = ["Requests"]

_LONGEST_ID = 100  # characters; a client may choose any text


class Requests:
    """See ``aiomemdb.observing.AroundRequest``.

    Args:
        tracer, meters: None: no spans, no measurements.
    """

    def __init__(self, tracer: Tracer | None, meters: Instruments | None) -> None:
        self._tracer, self._meters = tracer, meters

    def __call__(self, request: Request) -> AbstractContextManager[Callable[[str], object]]:
        return self._around(request)

    @contextmanager
    def _around(self, request: Request) -> Iterator[Callable[[str], object]]:
        made: list[tuple[Span, context.Context]] = []
        error: dict[str, str] = {}
        began = time.monotonic()
        is_told = not is_suppressed()
        if is_told and self._tracer is not None:
            quietly(self._begin, made, request)
        try:
            with _entered(made):
                yield lambda kind: error.update(_answered(kind))
        except BaseException as raised:
            error = error or failed(raised)
            raise
        finally:
            for span, _ in made:
                quietly(_end, span, error)
            if is_told and self._meters is not None:
                labels = {**_labels(request), **error}
                quietly(partial(self._meters.requests.record, time.monotonic() - began, labels))

    def _begin(self, made: list[tuple[Span, context.Context]], request: Request) -> None:
        assert self._tracer is not None
        above = _context_of(request.meta)
        around = get_current_span().get_span_context()  # of the transport
        attributes: dict[str, str] = _labels(request)
        if request.resource is not None:
            attributes["mcp.resource.uri"] = request.resource
        if request.id is not None:
            attributes["jsonrpc.request.id"] = str(request.id)[:_LONGEST_ID]
        if request.session is not None:
            attributes["mcp.session.id"] = request.session
        span = self._tracer.start_span(
            request.method if request.tool is None else f"{request.method} {request.tool}",
            context=above,
            kind=SpanKind.SERVER,
            attributes=attributes,
            links=[Link(around)] if above is not None and around.is_valid else None,
        )
        made.append((span, set_span_in_context(span, above)))


@contextmanager
def _entered(made: list[tuple[Span, context.Context]]) -> Iterator[None]:
    """What is done within is below the span, and has the baggage that came with the request."""
    if not made:
        yield
        return
    [(_, inside)] = made
    token = context.attach(inside)
    try:
        yield
    finally:
        context.detach(token)


def _context_of(meta: Mapping[str, Any] | None) -> context.Context | None:
    """None: the client names no span."""
    carried = {key: value for key, value in (meta or {}).items() if isinstance(value, str)}
    if not carried:
        return None
    found = propagate.extract(carried)
    return found if get_current_span(found).get_span_context().is_valid else None


def _labels(request: Request) -> dict[str, str]:
    """Of few values each, whatever clients send."""
    labels = {"mcp.method.name": request.method, "network.transport": "tcp" if request.is_http else "pipe"}
    if request.is_http:
        labels["network.protocol.name"] = "http"
    if request.version is not None:
        labels["mcp.protocol.version"] = request.version
    if request.method == "tools/call":
        labels["gen_ai.operation.name"] = "execute_tool"
    if request.tool is not None:
        labels["gen_ai.tool.name"] = request.tool
    return labels


def _answered(kind: str) -> dict[str, str]:
    """An error that is an answer: a tool's, or one with a code of the protocol."""
    return {"error.type": kind} | ({} if kind == "tool_error" else {"rpc.response.status_code": kind})


def _end(span: Span, error: Mapping[str, str]) -> None:
    if error:
        span.set_status(Status(StatusCode.ERROR))
        span.set_attributes(error)
    span.end()
