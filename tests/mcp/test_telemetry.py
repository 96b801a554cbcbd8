"""What a server reports to OpenTelemetry of the requests that it answers."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from opentelemetry import context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, get_current_span, set_span_in_context

from aiomemdb import Memory, telemetry
from aiomemdb.mcp.serving import MemoryService, Options
from aiomemdb.observing import Request, around_requests
from tests.mcp.clients import URI, Server
from tests.mcp.test_http import Served
from tests.telemetry.test_instrumenting import _Fails, _FailsLate

TRACE, ABOVE = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
META = {"traceparent": f"00-{TRACE}-{ABOVE}-01", "tracestate": "rojo=1", "baggage": "user=ada"}
ADA = {"name": "Ada", "entityType": "person", "observations": ["likes tea"]}

# A program that writes its spans as lines of a file.
PROGRAM = """
import json, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

_, out, *more = sys.argv
sys.argv = ["aiomemdb", "mcp", *more]

class Lines(SpanExporter):
    def export(self, spans):
        with open(out, "a") as file:
            for span in spans:
                file.write(span.to_json(indent=None) + "\\n")
        return SpanExportResult.SUCCESS

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(Lines()))
trace.set_tracer_provider(provider)
from aiomemdb.cli.main import main
main()
"""


@pytest.fixture
def spans() -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider, exporter
    provider.shutdown()


class Watched:
    """A service with observed requests, and what was exported."""

    def __init__(self, service: MemoryService, exporter: InMemorySpanExporter, reader: InMemoryMetricReader) -> None:
        self.service, self._exporter, self._reader = service, exporter, reader

    def around(self, method: str, **more: Any) -> AbstractContextManager[Any]:
        return self.service.observed(Request(method=method, **more))

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    @property
    def requests(self) -> list[ReadableSpan]:
        return [span for span in self.spans if span.kind is SpanKind.SERVER]

    @property
    def points(self) -> list[Any]:
        data = self._reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == "mcp.server.operation.duration"
            for point in metric.data.data_points
        ]


@pytest_asyncio.fixture
async def watched(tmp_path: Path, spans: tuple[TracerProvider, InMemorySpanExporter]) -> AsyncIterator[Watched]:
    provider, exporter = spans
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    async with Memory.open(tmp_path / "memory.db") as memory:
        end = telemetry.instrument(memory.db, tracer_provider=provider, meter_provider=meters)
        yield Watched(MemoryService(memory, Options()), exporter, reader)
        end()
        assert memory.db not in around_requests
    meters.shutdown()


# Whatever the transport


async def test_a_call_is_below_the_span_that_its_client_names(watched: Watched) -> None:
    with watched.around("tools/call", tool="read_graph", id=7, meta=META, version="2025-06-18"):
        assert get_current_span().get_span_context().trace_id == int(TRACE, 16)
        await watched.service.call("read_graph", {}, _NoClient())
    [span] = watched.requests
    assert span.name == "tools/call read_graph" and span.kind is SpanKind.SERVER and not span.links
    assert span.parent is not None and span.parent.span_id == int(ABOVE, 16) and span.parent.is_remote
    assert dict(span.attributes or {}) == {
        "mcp.method.name": "tools/call",
        "mcp.protocol.version": "2025-06-18",
        "network.transport": "pipe",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "read_graph",
        "jsonrpc.request.id": "7",
    }
    assert span.context is not None
    below = [each for each in watched.spans if each.parent and each.parent.span_id == span.context.span_id]
    assert below and {each.context.trace_id for each in below if each.context} == {int(TRACE, 16)}


async def test_over_http_the_span_around_is_linked_and_its_session_is_named(
    watched: Watched, spans: tuple[TracerProvider, InMemorySpanExporter]
) -> None:
    with spans[0].get_tracer("transport").start_as_current_span("POST /mcp") as around:
        with watched.around("resources/read", resource=URI, meta=META, is_http=True, session="abc"):
            pass
        with watched.around("tools/list", is_http=True):
            pass
    linked, below = watched.requests
    assert [link.context.span_id for link in linked.links] == [around.get_span_context().span_id]
    attributes = dict(linked.attributes or {})
    assert attributes["network.transport"] == "tcp" and attributes["network.protocol.name"] == "http"
    assert attributes["mcp.resource.uri"] == URI and attributes["mcp.session.id"] == "abc"
    assert below.parent is not None and below.parent.span_id == around.get_span_context().span_id and not below.links


async def test_an_error_is_named_by_its_kind_alone(watched: Watched) -> None:
    with watched.around("tools/call", tool="read_graph") as failed:
        failed("tool_error")
    with watched.around("resources/read", resource="x") as failed:
        failed("-32602")
    with pytest.raises(RuntimeError), watched.around("tools/call", tool="read_graph"):
        raise RuntimeError("the secret")
    assert [(span.attributes or {})["error.type"] for span in watched.requests] == [
        "tool_error",
        "-32602",
        "RuntimeError",
    ]
    assert (watched.requests[1].attributes or {})["rpc.response.status_code"] == "-32602"
    for span in watched.requests:
        assert span.status.status_code is StatusCode.ERROR and not span.status.description and not span.events


async def test_nothing_that_a_client_can_choose_freely_is_recorded(watched: Watched) -> None:
    secret = "hunter2"
    meta = {"traceparent": secret, "tracestate": secret, "baggage": f"k={secret}", secret: secret, "n": [1], "o": {}}
    with watched.around("tools/call", tool=secret, meta=meta, id="x" * 100_000):
        await watched.service.call(secret, {secret: secret}, _NoClient())
    with watched.around("resources/read", resource=f"memory://{secret}"):
        pass
    assert [span.name for span in watched.requests] == ["tools/call", "resources/read"]
    assert [span.to_json() for span in watched.spans if secret in span.to_json()] == []
    assert len(str((watched.requests[0].attributes or {})["jsonrpc.request.id"])) == 100


async def test_how_long_it_took_is_measured(watched: Watched) -> None:
    with watched.around("tools/call", tool="read_graph", id=1, meta=META):
        pass
    [point] = watched.points
    assert point.count == 1
    assert dict(point.attributes) == {
        "mcp.method.name": "tools/call",
        "network.transport": "pipe",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "read_graph",
    }


async def test_what_an_exporter_asks_itself_has_no_span(watched: Watched) -> None:
    token = context.attach(context.set_value(context._SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        with watched.around("tools/list"):
            pass
    finally:
        context.detach(token)
    assert watched.requests == [] and watched.points == []


async def test_a_subscription_that_goes_on_is_no_part_of_the_request_that_began_it(
    watched: Watched, spans: tuple[TracerProvider, InMemorySpanExporter]
) -> None:
    with watched.around("resources/subscribe", resource=URI, meta=META):
        await watched.service.watching()
    await watched.service.close()
    of_the_trace = [span for span in watched.spans if span.context and span.context.trace_id == int(TRACE, 16)]
    assert [span.name for span in of_the_trace] == ["resources/subscribe"] and len(watched.spans) > 1


async def test_without_an_observer_nothing_is_around_a_request(tmp_path: Path) -> None:
    async with Memory.open(tmp_path / "memory.db") as memory:
        service = MemoryService(memory, Options())
        with service.observed(Request(method="tools/list", meta=META)):
            assert set_span_in_context(get_current_span()) and not get_current_span().get_span_context().is_valid


@pytest.mark.parametrize(
    "processor", [_Fails(), _FailsLate(), SimpleSpanProcessor(_Fails())], ids=["start", "end", "export"]
)
async def test_an_exporter_that_fails_harms_no_request(
    processor: SpanProcessor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    provider, meters = TracerProvider(shutdown_on_exit=False), MeterProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    histogram = type(meters.get_meter("x").create_histogram("x"))
    monkeypatch.setattr(histogram, "record", lambda *_: 1 // 0)
    async with Memory.open(tmp_path / "memory.db") as memory:
        telemetry.instrument(memory.db, tracer_provider=provider, meter_provider=meters)
        service = MemoryService(memory, Options())
        with service.observed(Request(method="tools/call", tool="create_entities", id=1, meta=META)) as failed:
            await service.call("create_entities", {"entities": [ADA]}, _NoClient())
            failed("tool_error")
        with service.observed(Request(method="tools/call", tool="read_graph", meta=META)):
            assert "likes tea" in str(await service.call("read_graph", {}, _NoClient()))
    assert caplog.records  # it is not silent
    meters.shutdown()


class _NoClient:
    name = None
    connection = 0

    async def ask(self, question: str) -> bool | None:
        return None

    async def updated(self, uri: str) -> None:
        pass


# With the SDK that is installed


def exported(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_server_has_a_span_for_each_request_with_its_verbs_and_queries_below(tmp_path: Path) -> None:
    out = tmp_path / "spans"
    command = (sys.executable, "-c", PROGRAM, str(out), "--file", str(tmp_path / "memory.db"))
    with Server(command=command) as server:
        server.request("tools/list")
        asked = {"name": "create_entities", "arguments": {"entities": [ADA]}, "_meta": {**META, "progressToken": 3}}
        server.request("tools/call", asked)
        server.call("nope")
        server.request("resources/read", {"uri": URI})
        assert "error" in server.answer(server.ask("resources/read", {"uri": "memory://nope"}))
    spans = exported(out)
    requests = [span for span in spans if span["kind"] == "SpanKind.SERVER"]
    assert [span["name"] for span in requests] == [
        "tools/list",
        "tools/call create_entities",
        "tools/call",
        "resources/read",
        "resources/read",
    ]
    listed, created, failed, read, missing = requests
    assert listed["parent_id"] is None and created["parent_id"] == f"0x{ABOVE}"
    assert created["attributes"] == {
        "mcp.method.name": "tools/call",
        "mcp.protocol.version": "2025-06-18",
        "network.transport": "pipe",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "create_entities",
        "jsonrpc.request.id": "3",
    }
    assert failed["attributes"]["error.type"] == "tool_error" and read["attributes"]["mcp.resource.uri"] == URI
    assert missing["attributes"]["rpc.response.status_code"] == "-32602"
    below = [span for span in spans if span["parent_id"] == created["context"]["span_id"]]
    assert below and {span["context"]["trace_id"] for span in below} == {f"0x{TRACE}"}


def test_a_server_with_an_exporter_that_fails_answers(tmp_path: Path) -> None:
    failing = PROGRAM.replace("def export(self, spans):", "def export(self, spans):\n        1 // 0")
    command = (sys.executable, "-c", failing, str(tmp_path / "spans"), "--file", str(tmp_path / "memory.db"))
    with Server(command=command) as server:
        server.call("create_entities", entities=[ADA])
        assert "likes tea" in str(server.call("read_graph"))


def test_over_http_too(tmp_path: Path) -> None:
    out = tmp_path / "spans"
    served = Served(tmp_path / "memory.db", command=(sys.executable, "-c", PROGRAM, str(out)))
    try:
        served.begin().request("tools/call", {"name": "read_graph", "arguments": {}, "_meta": META})
    finally:
        served.close()
    [request] = [span for span in exported(out) if span["kind"] == "SpanKind.SERVER"]
    assert request["parent_id"] == f"0x{ABOVE}" and request["attributes"]["network.transport"] == "tcp"
    assert request["attributes"]["mcp.session.id"] == served.session
