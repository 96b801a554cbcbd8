"""Spans of the statements of ``sqlite+aiomemdb``."""

from __future__ import annotations

from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import text

import aiomemdb
from aiomemdb import telemetry
from aiomemdb.integrations.sqlalchemy import create_async_engine


async def test_each_statement_of_a_session_has_a_span(db_path: Path) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with aiomemdb.connect(db_path) as db:
        await db.write_script("CREATE TABLE note (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
        telemetry.instrument(db, tracer_provider=provider)
        engine = create_async_engine(db)
        async with engine.begin() as connection:
            await connection.execute(text("INSERT INTO note (name) VALUES ('a')"))
            await connection.execute(text("SELECT * FROM note"))
        await engine.dispose()
    provider.shutdown()
    spans = [span for span in exporter.get_finished_spans() if span.name != "SELECT"]
    assert [span.name for span in spans] == ["INSERT note", "SELECT note", "COMMIT"]
    assert [link.context.span_id for link in spans[-1].links] == [spans[0].get_span_context().span_id]
