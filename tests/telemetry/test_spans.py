"""Spans: one a job, one a query, one a commit; and what they never hold."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanKind, StatusCode

import aiomemdb
from aiomemdb import SQLiteDatabase, blocking, telemetry
from tests.telemetry.conftest import SCHEMA, Traces

INSERT = "INSERT INTO note (name) VALUES (?)"


def links_of(span: ReadableSpan) -> set[int]:
    return {link.context.span_id for link in span.links}


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


async def test_a_write_has_a_span_named_after_what_its_sql_does(db: SQLiteDatabase, traces: Traces) -> None:
    await db.write(INSERT, ("a",))
    [span] = traces.named("INSERT note")
    assert span.kind is SpanKind.CLIENT and span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {}) == {
        "db.system.name": "sqlite",
        "db.namespace": str(db._target),
        "db.operation.name": "write",
        "db.query.summary": "INSERT note",
    }
    assert span.start_time is not None and span.end_time is not None and span.start_time <= span.end_time


async def test_a_query_has_a_span(db: SQLiteDatabase, traces: Traces) -> None:
    assert await db.read_value("SELECT count(*) FROM note") == 0
    [span] = traces.spans
    assert span.name == "SELECT note" and (span.attributes or {})["db.operation.name"] == "read_value"


async def test_a_function_has_a_span_by_its_name(db: SQLiteDatabase, traces: Traces) -> None:
    def count(raw: sqlite3.Connection) -> int:
        return len(raw.execute("SELECT * FROM note").fetchall())

    await db.read_fn(count)
    [span] = traces.spans
    assert span.name.startswith("read_fn ") and span.name.endswith("count")


async def test_spans_are_below_the_span_of_their_caller(db: SQLiteDatabase, traces: Traces) -> None:
    with traces.provider.get_tracer("program").start_as_current_span("request") as request:
        await asyncio.gather(db.write(INSERT, ("a",)), db.read("SELECT * FROM note"))
    parents = {span.name: span.parent and span.parent.span_id for span in traces.spans}
    of_request = request.get_span_context().span_id
    assert parents == {"INSERT note": of_request, "SELECT note": of_request, "COMMIT": None, "request": None}


async def test_a_commit_has_a_span_that_links_its_jobs_and_they_link_to_it(db: SQLiteDatabase, traces: Traces) -> None:
    await asyncio.gather(*(db.write(INSERT, (name,)) for name in "abcdef"))
    jobs, commits = traces.named("INSERT note"), traces.named("COMMIT")
    assert len(jobs) == 6 and commits
    assert set[int]().union(*map(links_of, commits)) == set(map(id_of, jobs))
    for commit in commits:
        mine = [job for job in jobs if id_of(job) in links_of(commit)]
        assert all(links_of(job) == {id_of(commit)} for job in mine)
        size = (commit.attributes or {}).get("db.operation.batch.size")
        assert size == (len(mine) if len(mine) > 1 else None)


async def test_a_transaction_has_a_commit_that_links_its_steps(db: SQLiteDatabase, traces: Traces) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, ("a",))
        await tx.read("SELECT * FROM note")
        await tx.write(INSERT, ("b",))
    [commit] = traces.named("COMMIT")
    assert links_of(commit) == set(map(id_of, traces.named("INSERT note")))


class _OnlyCommits(Sampler):
    def should_sample(self, parent_context: Any, trace_id: int, name: str, *args: Any, **kwargs: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_AND_SAMPLE if name == "COMMIT" else Decision.DROP)

    def get_description(self) -> str:
        return "commits alone"


async def test_jobs_that_are_not_sampled_have_no_commit(db_path: Path) -> None:
    traces = Traces(_OnlyCommits())
    async with aiomemdb.connect(db_path) as db:
        telemetry.instrument(db, tracer_provider=traces.provider)
        await db.write_script(SCHEMA)
    assert traces.spans == []
    traces.provider.shutdown()


# Errors


async def test_an_error_is_in_the_span_by_its_kind_alone(db: SQLiteDatabase, traces: Traces) -> None:
    await db.write(INSERT, ("the secret",))
    with pytest.raises(sqlite3.IntegrityError):
        await db.write(INSERT, ("the secret",))
    span = traces.named("INSERT note")[-1]
    assert span.status.status_code is StatusCode.ERROR and not span.status.description and not span.events
    assert (span.attributes or {})["error.type"] == "sqlite3.IntegrityError"
    assert (span.attributes or {})["db.response.status_code"] == "SQLITE_CONSTRAINT_UNIQUE"


async def test_no_span_has_a_parameter_nor_what_an_error_says(db: SQLiteDatabase, traces: Traces) -> None:
    secret = "hunter2"
    await db.write(INSERT, (secret,))
    await db.write_many(INSERT, [(secret + "x",)])
    await db.read("SELECT * FROM note WHERE name = ?", (secret,))
    await db.read_one(f"SELECT * FROM note WHERE name = '{secret}'")

    def fails(raw: sqlite3.Connection, value: str) -> None:
        raise RuntimeError(value)

    with pytest.raises(RuntimeError):
        await db.write_fn(fails, secret)
    with pytest.raises(sqlite3.OperationalError):
        await db.read(f"SELECT json_extract('{{\"{secret}", ())
    assert len(traces.spans) >= 6
    assert [span.to_json() for span in traces.spans if secret in span.to_json()] == []


async def test_the_text_of_a_query_is_recorded_where_that_is_asked_for(db_path: Path, traces: Traces) -> None:
    async with aiomemdb.connect(db_path) as db:
        telemetry.instrument(db, tracer_provider=traces.provider, query_text=True)
        await db.read("SELECT ? + 1", (41,))
        await db.read_fn(lambda raw: None)
    texts = [(span.attributes or {}).get("db.query.text") for span in traces.spans]
    assert texts == ["SELECT ? + 1", None]


async def test_a_cancelled_call_has_a_span_that_says_so(db: SQLiteDatabase, traces: Traces) -> None:
    job = db.submit(INSERT, ("a",))
    job.cancel()
    await db.flush()
    [span] = traces.named("INSERT note")
    assert (span.attributes or {})["error.type"] == "asyncio.exceptions.CancelledError"


async def test_an_error_that_no_caller_looks_at_is_still_reported(db: SQLiteDatabase, traces: Traces) -> None:
    """As asyncio does of a future with an exception that was never retrieved."""
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["message"]))
    db.submit("INSERT INTO missing VALUES (1)")
    await db.flush()
    gc.collect()
    assert traces.named("INSERT missing") and reported


# The span that a call belongs to


def test_a_blocking_call_is_below_the_span_of_its_thread(db_path: Path, traces: Traces) -> None:
    end = telemetry.instrument(tracer_provider=traces.provider)
    try:
        tracer = traces.provider.get_tracer("program")
        with blocking.connect(db_path) as db, tracer.start_as_current_span("request"):
            db.write_script(SCHEMA)
            db.read("SELECT * FROM note")
    finally:
        end()
    request = traces.named("request")[0]
    for name in ("CREATE note", "SELECT note"):
        [span] = traces.named(name)
        assert span.parent is not None and span.parent.span_id == id_of(request)


async def test_what_an_exporter_writes_itself_has_no_span(db: SQLiteDatabase, traces: Traces) -> None:
    token = context.attach(context.set_value(context._SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        await db.write(INSERT, ("a",))
        await db.read("SELECT * FROM note")
    finally:
        context.detach(token)
    assert {span.name for span in traces.spans} <= {"COMMIT"}
