"""Spans of transactions that are begun by statements: the aiosqlite shape's and the SQLAlchemy dialect's."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

import aiomemdb
import aiomemdb.aiosqlite as aiosqlite
from aiomemdb import telemetry
from aiomemdb.aiosqlite.connection import Connection
from tests.telemetry.conftest import SCHEMA, Traces
from tests.telemetry.test_spans import id_of, links_of

INSERT = "INSERT INTO note (name) VALUES (?)"
NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000) SELECT i FROM n"


@pytest.fixture
async def shape(db_path: Path, traces: Traces) -> AsyncIterator[Connection]:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script(SCHEMA)
    end = telemetry.instrument(tracer_provider=traces.provider)
    async with aiosqlite.connect(db_path) as shape:
        yield shape
    end()


def statements(traces: Traces) -> list[tuple[str, object]]:
    return [(span.name, (span.attributes or {})["db.operation.name"]) for span in traces.spans]


async def test_each_statement_has_a_span_and_the_commit_links_those_that_write(
    shape: Connection, traces: Traces
) -> None:
    await shape.execute(INSERT, ("a",))
    await shape.execute_fetchall("SELECT * FROM note")
    await shape.executemany(INSERT, [("b",), ("c",)])
    await shape.commit()
    assert statements(traces) == [
        ("INSERT note", "write_any"),
        ("SELECT note", "read"),
        ("INSERT note", "write_many"),
        ("COMMIT", "COMMIT"),
    ]
    assert links_of(traces.spans[-1]) == set(map(id_of, traces.named("INSERT note")))


async def test_a_query_on_a_snapshot_has_one_span_too(shape: Connection, traces: Traces) -> None:
    await shape.execute("BEGIN")
    await shape.execute_fetchall("SELECT name FROM note")
    await shape.rollback()
    assert statements(traces) == [("SELECT note", "read")]


async def test_a_large_result_that_moves_to_a_snapshot_is_one_query_without_error(
    shape: Connection, traces: Traces
) -> None:
    await shape.execute("BEGIN")
    async with shape.execute(NUMBERS) as cursor:
        assert await cursor.fetchone() == (1,)
    await shape.rollback()
    assert [span.status.status_code for span in traces.spans] == [StatusCode.UNSET]


async def test_a_statement_that_fails_has_its_error_and_no_text(shape: Connection, traces: Traces) -> None:
    await shape.execute(INSERT, ("hunter2",))
    with pytest.raises(sqlite3.IntegrityError):
        await shape.execute(INSERT, ("hunter2",))
    await shape.rollback()
    failed = traces.spans[-1]
    assert failed.status.status_code is StatusCode.ERROR
    assert (failed.attributes or {})["db.response.status_code"] == "SQLITE_CONSTRAINT_UNIQUE"
    assert [span.to_json() for span in traces.spans if "hunter2" in span.to_json()] == []
    assert not traces.named("COMMIT")


async def test_a_statement_that_waits_for_the_writer_has_a_span_from_its_call_on(
    shape: Connection, db_path: Path, traces: Traces
) -> None:
    async with aiosqlite.connect(db_path) as other:
        await other.execute(INSERT, ("a",))
        traces.exporter.clear()
        waiting = asyncio.ensure_future(shape.execute(INSERT, ("b",)))
        for _ in range(50):  # turns of the loop: it has been asked by then
            await asyncio.sleep(0)
        await other.commit()
        await waiting
        await shape.commit()
    [span, commit] = traces.named("INSERT note")[-1], traces.named("COMMIT")[0]
    assert span.start_time is not None and commit.end_time is not None
    assert span.start_time < commit.end_time


async def test_spans_are_below_the_span_of_their_caller(shape: Connection, traces: Traces) -> None:
    with traces.provider.get_tracer("program").start_as_current_span("request") as request:
        await shape.execute(INSERT, ("a",))
        await shape.execute_fetchall("SELECT * FROM note")
        await shape.commit()
    below = {span.name for span in traces.spans if span.parent and span.parent.span_id == id_of_span(request)}
    assert below == {"INSERT note", "SELECT note"}


def id_of_span(span: Any) -> int:
    found: int = span.get_span_context().span_id
    return found
