"""The verbs of a memory, as operations of the conventions for generative AI."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from aiomemdb import Memory, NotFound, telemetry
from tests.telemetry.conftest import Traces


async def test_each_verb_has_the_operation_that_it_is(memory: Memory, traces: Traces) -> None:
    remembered = await memory.remember("Ada lives in London.", [("Ada", "lives in", "London")])
    await memory.retract(remembered.facts[0])
    await memory.recall("Where does Ada live?")
    await memory.forget(remembered.episode)
    of_memory = [span for span in traces.spans if "gen_ai.operation.name" in (span.attributes or {})]
    assert [span.name for span in of_memory] == ["upsert_memory", "update_memory", "search_memory", "delete_memory"]
    for span in of_memory:
        assert span.kind is SpanKind.INTERNAL and (span.attributes or {})["gen_ai.memory.store.id"] == "team"
    assert (of_memory[1].attributes or {})["gen_ai.memory.record.id"] == f"fact:{remembered.facts[0].id}"
    assert (of_memory[2].attributes or {})["gen_ai.memory.record.count"] == 1


async def test_its_queries_and_jobs_are_below_it(memory: Memory, traces: Traces) -> None:
    ada = await memory.find_or_create_entity("Ada")
    traces.exporter.clear()
    await memory.update_entity(ada, description="wrote the first program")
    [verb] = traces.named("update_memory")
    below = [
        span for span in traces.spans if span.parent and verb.context and span.parent.span_id == verb.context.span_id
    ]
    assert below


async def test_a_job_that_is_one_callers_alone_is_below_its_verb_and_named_by_what_it_does(
    memory: Memory, traces: Traces
) -> None:
    await memory.add_fact("Ada", "lives in", "London")
    [verb], [job] = traces.named("upsert_memory"), traces.named("write_fn write")
    assert job.parent is not None and verb.context is not None and job.parent.span_id == verb.context.span_id
    [commit] = traces.named("COMMIT")
    assert not verb.links and [link.context for link in job.links] == [commit.context]


async def test_calls_that_share_a_job_and_the_job_are_linked_both_ways(memory: Memory, traces: Traces) -> None:
    await asyncio.gather(*(memory.add_fact("Ada", "knows", name) for name in "BCD"))
    verbs, jobs = traces.named("upsert_memory"), traces.named("write_fn write")
    shared = [job for job in jobs if job.parent is None]
    assert len(verbs) == 3 and shared
    ids = {verb.context.span_id for verb in verbs if verb.context}
    for job in shared:
        assert len({link.context.span_id for link in job.links} & ids) > 1
    told = {link.context.span_id for verb in verbs for link in verb.links}
    assert {job.context.span_id for job in shared if job.context} <= told


async def test_no_text_name_or_question_is_recorded(memory: Memory, traces: Traces) -> None:
    await memory.remember("hunter2 is the password", [("hunter2", "is", "password")])
    await memory.recall("hunter2")
    with pytest.raises(NotFound):
        await memory.neighbors("hunter2x")
    assert traces.named("search_memory")[-1].status.status_code is StatusCode.ERROR
    assert (traces.named("search_memory")[-1].attributes or {})["error.type"] == "aiomemdb.errors.NotFound"
    assert [span.to_json() for span in traces.spans if "hunter2" in span.to_json()] == []


async def test_without_the_word_verbs_have_no_span_and_their_jobs_do(
    db_path: Path, traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental_not,database")
    async with Memory.open(db_path) as memory:
        telemetry.instrument(memory.db, tracer_provider=traces.provider)
        await memory.find_or_create_entity("Ada")
    assert traces.spans and not traces.named("upsert_memory")


def test_each_verb_is_still_a_coroutine_function_with_its_own_signature() -> None:
    assert inspect.iscoroutinefunction(Memory.recall)
    assert list(inspect.signature(Memory.recall).parameters)[:3] == ["self", "query", "limit"]
