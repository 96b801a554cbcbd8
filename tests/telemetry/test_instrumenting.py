"""Which databases are observed, what it costs where none is, and what becomes of telemetry that fails."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

import aiomemdb
from aiomemdb import Memory, SQLiteDatabase, observing, telemetry
from tests.telemetry.conftest import SCHEMA, Measures, Traces


async def test_databases_that_are_opened_from_then_on_are_observed_until_it_is_ended(
    tmp_path: Path, traces: Traces
) -> None:
    async with aiomemdb.connect(tmp_path / "before.db") as before:
        end = telemetry.instrument(tracer_provider=traces.provider)
        async with aiomemdb.connect(tmp_path / "after.db") as after:
            await asyncio.gather(before.read("SELECT 1 FROM sqlite_schema"), after.read("SELECT 2"))
            assert [span.name for span in traces.spans] == ["SELECT"]
            end()
            end()
            await after.read("SELECT 3")
            async with aiomemdb.connect(tmp_path / "late.db") as late:
                await late.read("SELECT 4")
    assert len(traces.spans) == 1 and observing.on_open == []


async def test_a_database_is_observed_once_however_often_it_is_asked_for(db: SQLiteDatabase, traces: Traces) -> None:
    end = telemetry.instrument(db, tracer_provider=traces.provider)
    await db.read("SELECT 1")
    end()  # it began nothing
    await db.read("SELECT 2")
    assert len(traces.spans) == 2


async def test_where_no_provider_is_set_a_database_has_no_observer(db_path: Path) -> None:
    end = telemetry.instrument()
    try:
        async with aiomemdb.connect(db_path) as db:
            assert db._assembly is not None and not db._assembly.observers
            telemetry.instrument(db)
            assert not db._assembly.observers and db not in observing.around_verbs
    finally:
        end()


async def test_a_closed_database_leaves_nothing_behind(db_path: Path, measures: Measures, traces: Traces) -> None:
    async with aiomemdb.connect(db_path) as db:
        telemetry.instrument(db, tracer_provider=traces.provider, meter_provider=measures.provider)
        assert len(measures.points("aiomemdb.wal.size")) == 1
    assert measures.points("aiomemdb.wal.size") == []


async def test_wrong_arguments_are_errors_at_the_call(db: SQLiteDatabase) -> None:
    for wrong in (None, "a.db", Memory.open(db)):
        with pytest.raises(TypeError, match=r"a database by aiomemdb.connect"):
            telemetry.instrument(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"tracer_provider=3: a TracerProvider"):
        telemetry.instrument(tracer_provider=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"meter_provider='x': a MeterProvider"):
        telemetry.instrument(meter_provider="x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"query_text=1: True or False"):
        telemetry.instrument(query_text=1)  # type: ignore[arg-type]
    assert observing.on_open == []


async def test_a_database_that_is_not_open_is_an_error(db_path: Path, traces: Traces) -> None:
    with pytest.raises(aiomemdb.DatabaseClosed):
        telemetry.instrument(aiomemdb.connect(db_path), tracer_provider=traces.provider)


def test_what_is_said_of_a_server_is_its_name_without_user_and_password() -> None:
    said = aiomemdb.connect("postgresql://ada:hunter2@db.example:5433/notes?password=hunter2")._observed_as
    assert said == {
        "db.system.name": "postgresql",
        "db.namespace": "notes",
        "server.address": "db.example",
    }


PROGRAM = """
import asyncio, sys
{block}
import aiomemdb
from aiomemdb import Memory, telemetry
async def main():
    async with Memory.open(sys.argv[1]) as memory:
        await memory.remember("Ada lives in London.", [("Ada", "lives in", "London")])
asyncio.run(main())
{then}
"""


def run(path: Path, block: str, then: str) -> str:
    program = PROGRAM.format(block=block, then=then)
    ran = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_without_the_api_all_works_and_one_error_names_the_extra(db_path: Path) -> None:
    block = (
        "import importlib.util as util\nfind = util.find_spec\n"
        "util.find_spec = lambda name, *a: None if name == 'opentelemetry' else find(name, *a)\n"
        "sys.modules['opentelemetry'] = None"
    )
    then = "try:\n    telemetry.instrument()\nexcept ModuleNotFoundError as error:\n    print(error, error.name)"
    said = run(db_path, block, then)
    assert said == "telemetry needs opentelemetry-api: pip install 'aiomemdb[otel]' opentelemetry"


def test_the_api_is_not_imported_before_it_is_asked_for(db_path: Path) -> None:
    assert run(db_path, "", "print('opentelemetry' in sys.modules)") == "False"


# Telemetry that fails


class _Fails(SpanProcessor, SpanExporter):
    def on_start(self, span: Span, parent_context: Any = None) -> None:
        raise RuntimeError("at the start")

    def on_end(self, span: ReadableSpan) -> None:
        raise RuntimeError("at the end")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise RuntimeError("while it exports")


class _FailsLate(_Fails):
    def on_start(self, span: Span, parent_context: Any = None) -> None:
        pass


@pytest.mark.parametrize(
    "processor", [_Fails(), _FailsLate(), SimpleSpanProcessor(_Fails())], ids=["start", "end", "export"]
)
async def test_an_exporter_that_fails_harms_no_call(
    processor: SpanProcessor, db_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental")
    unhandled: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    traces = Traces()
    traces.provider.add_span_processor(processor)
    async with Memory.open(db_path) as memory:
        db = memory.db
        telemetry.instrument(db, tracer_provider=traces.provider)
        await db.write_script(SCHEMA)
        ids = await asyncio.gather(*(db.write("INSERT INTO note (name) VALUES (?)", (n,)) for n in range(20)))
        assert len(set(ids)) == 20
        async with db.transaction() as tx:
            await tx.write("INSERT INTO note (name) VALUES ('x')")
        assert await db.read_value("SELECT count(*) FROM note") == 21
        await memory.remember("Ada lives in London.", [("Ada", "lives in", "London")])
        assert (await memory.recall("Where does Ada live?")).hits
    assert unhandled == []
    assert caplog.records  # it is not silent
