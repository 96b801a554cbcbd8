"""The memory on PostgreSQL beside that on SQLite; what its SQL may not use; jobs of many processes."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest

import aiomemdb
from aiomemdb import AiomemdbError, Memory, Name, SchemaTooNew
from aiomemdb.memory.stores.postgres import feed, loading, schema, store
from aiomemdb.memory.stores.postgres.ids import Ids
from aiomemdb.memory.stores.postgres.statements import rows_from, statement
from tests.memory.on_postgres import assert_sound
from tests.memory.support import SpellingEmbedder
from tests.support import postgres

_STORE = Path(schema.__file__).parent


@pytest.fixture
async def memory(url: str) -> AsyncIterator[Memory]:
    async with Memory.open(url) as memory:
        yield memory
    assert_sound(url)


# -- what makes other engines of this wire likely ----------------------------------------------------------------------


def _texts() -> Iterator[tuple[str, str]]:
    for room in sorted(_STORE.glob("*.py")):
        for node in ast.walk(ast.parse(room.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield room.name, node.value


@pytest.mark.parametrize(
    "word",
    ["extension", "trigger", "advisory", "listen", "notify", "ctid", "xmin", "xmax", "txid_", "create function"],
)
def test_the_sql_does_without(word: str) -> None:
    sql = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|WHERE|FROM)\b")
    using = [(room, text) for room, text in _texts() if sql.search(text) and re.search(rf"\b{word}", text, re.I)]
    assert using == [] or all("No extension" in text for _, text in using)


async def test_each_table_and_each_unique_key_has_the_namespace(memory: Memory, url: str) -> None:
    of_the_file = ("memory_migration", "memory_meta", "memory_namespace", "vector_model")
    tables = postgres.execute(
        url,
        "SELECT t.tablename FROM pg_tables t WHERE schemaname = 'aiomemdb' AND NOT EXISTS (SELECT 1 "
        "FROM information_schema.columns c WHERE c.table_schema = 'aiomemdb' AND c.table_name = t.tablename "
        "AND c.column_name = 'namespace')",
    )
    assert {row[0] for row in tables} == set(of_the_file)
    keys = postgres.execute(
        url, "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'aiomemdb' AND indexdef LIKE '%UNIQUE%'"
    )
    assert [key for key in keys if key[0] not in of_the_file and "namespace" not in str(key[1])] == []


# -- as on SQLite ------------------------------------------------------------------------------------------------------

_TEXTS = [
    ("Ann grows white roses in Paris", [("Ann", "grows", "roses"), ("Ann", "lives in", "Paris")]),
    ("Bob sells red roses and white lilies; his lilies are white", [("Bob", "sells", "lilies")]),
    ("The roses of Paris are whiter than white", [("Paris", "has", "roses")]),
    ("Eve was running runners' races in Rome on 3 May 2021", [("Eve", "runs in", "Rome")]),
    ("東京タワーに行った。東京は大きい", [("Ann", "saw", "東京タワー")]),
    ("version 3.12.1 of café-au-lait, don't drink", [("Café", "serves", "milk")]),
    ("roses roses roses", []),
]
_QUESTIONS = [
    "Who grows white roses?",
    "running in Rome",
    "東京",
    "京",
    "What happened on 2021-05-03?",
    "version 3.12.1",
    "cafe au lait",
    "will may roses lilies Paris Ann",
    "whiter than white",
]


async def _fill(memory: Memory) -> None:
    for number, (text, facts) in enumerate(_TEXTS):
        await memory.remember(text, facts, key=f"k{number}", session="s", source=text[:3])
    await memory.scoped(namespace="other").remember("roses elsewhere", [("Zoe", "grows", "roses")])
    [fact] = await memory.facts("Bob", "sells")
    await memory.retract(fact)
    await memory.remember("Bob sells nothing", [], key="k1", replace=True)


@pytest.mark.parametrize("strategy", ["hybrid", "expand", "ppr"])
async def test_rankings_and_scores_are_those_of_sqlite(memory: Memory, tmp_path: Path, strategy: str) -> None:
    async with Memory.open(tmp_path / "m.db") as beside:
        for each in (memory, beside):
            await _fill(each)
        for question in _QUESTIONS:
            found = []
            for each in (memory, beside):
                recalled = await each.recall(question, strategy=strategy, kinds=["fact", "episode", "entity"])  # type: ignore[arg-type]
                found.append([(hit.kind, hit.item.id, hit.score, hit.bm25, hit.via) for hit in recalled.hits])
            assert [hit[:2] for hit in found[0]] == [hit[:2] for hit in found[1]], question
            for here, there in zip(*found, strict=True):
                assert here[2] == pytest.approx(there[2], rel=1e-12), question
                assert (here[3] or 0.0) == pytest.approx(there[3] or 0.0, rel=1e-12), question
                assert here[4] == there[4], question


# -- many processes ----------------------------------------------------------------------------------------------------


async def test_one_name_is_one_entity_whichever_handle_asks(url: str) -> None:
    async with Memory.open(url) as one, Memory.open(url) as two, Memory.open(url) as three:
        names = [f"name {number % 7}" for number in range(70)]
        made = await asyncio.gather(
            *((one, two, three)[at % 3].find_or_create_entity(name) for at, name in enumerate(names))
        )
        assert len({entity.id for entity in made}) == 7
        assert (await one.counts()).entities == 7
    assert_sound(url)


async def test_handles_that_open_at_once_make_the_tables_once(url: str) -> None:
    opened = await asyncio.gather(*(Memory.open(url)._open() for _ in range(6)))
    for memory in opened:
        await memory.close()
    assert postgres.execute(url, "SELECT count(*) FROM aiomemdb.memory_migration") == [(1,)]


async def test_facts_of_one_subject_supersede_each_other_whichever_handle_states_them(url: str) -> None:
    async with Memory.open(url) as one, Memory.open(url) as two:
        await asyncio.gather(
            *((one, two)[at % 2].add_fact("Ann", "lives in", value=at, replace=True) for at in range(20))
        )
        assert len(await one.facts("Ann")) == 1
        lines = await one.history((await one.facts("Ann"))[0])
        assert lines[0].operation == "create"
    assert_sound(url)


async def test_a_job_sees_all_that_those_before_it_in_its_namespace_wrote(url: str) -> None:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with Memory.open(url) as one, Memory.open(url) as two, asyncio.timeout(60):
        await one.find_or_create_entity("Ann")
        async with one.db.transaction() as tx:
            await one.within(tx).add_fact("Ann", "lives in", value=1, replace=True)
            later = asyncio.create_task(two.add_fact("Ann", "lives in", value=2, replace=True))
            while not postgres.execute(url, waiting):  # noqa: ASYNC110 (the server reports no event)
                await asyncio.sleep(0)
            assert not later.done()
        await later
        assert [fact.value for fact in await one.facts("Ann")] == [2]
    assert_sound(url)


async def test_a_feed_over_namespaces_has_each_line_once_in_the_order_of_each(url: str) -> None:
    async with Memory.open(url) as memory:
        view = memory.scoped(also_read=["a", "b"])
        seen: list[tuple[str, int]] = []

        async def follow() -> None:
            async for change in view.changes("start"):
                if change.event.kind == "fact" and change.item is not None:
                    seen.append((change.item.namespace, change.event.id))
                if len(seen) == 60:
                    return

        async with asyncio.timeout(60):
            following = asyncio.create_task(follow())
            await asyncio.gather(
                *(
                    memory.scoped(namespace=name).add_fact(f"{name}{at}", "is", value=at)
                    for at in range(20)
                    for name in ("default", "a", "b")
                )
            )
            await following
        assert len(set(seen)) == 60
        for name in ("default", "a", "b"):
            lines = [id for of, id in seen if of == name]
            assert lines == sorted(lines) and len(lines) == 20


async def test_a_feed_misses_nothing_that_commits_after_a_later_line_of_another_namespace(url: str) -> None:
    async with Memory.open(url) as memory, Memory.open(url) as other, asyncio.timeout(30):
        a, b = memory.scoped(namespace="a"), other.scoped(namespace="b")
        await a.find_or_create_entity("Ann")
        await b.find_or_create_entity("Bob")
        changes = other.scoped(namespace="a", also_read=["b"]).changes("start", kinds=["fact"])
        async with memory.db.transaction() as tx:
            late = await a.within(tx).add_fact("Ann", "is", value=1)
            early = await b.add_fact("Bob", "is", value=2)
            first = await anext(changes)
        second = await anext(changes)
        await changes.aclose()
        assert (first.item, second.item) == (early, late)
        assert second.event.id < first.event.id
        again = [change.item async for change in _two(memory, first.position)]
        assert again == [late]


@pytest.mark.parametrize("written_since", [0, 1, 5])
async def test_behind_a_backup_that_was_put_back_a_later_position_is_refused(url: str, written_since: int) -> None:
    async with Memory.open(url) as memory:
        early = await memory.position()
        await memory.add_fact("Ada", "counts", value=0)
        at_backup = await memory.position()
    backup = postgres.create(url, urlsplit(url).path.lstrip("/"))
    async with Memory.open(url) as memory:
        await memory.add_fact("Ada", "counts", value=1)
        later, [change] = await memory.position(), [each async for each in _last(memory, at_backup)]
    try:
        async with Memory.open(backup) as memory, asyncio.timeout(60):
            for number in range(written_since):  # with the numbers of the lost lines
                await memory.add_fact("Bob", "counts", value=number)
            for lost in (later, change.position):
                with pytest.raises(ValueError, match="a backup was put in its place"):
                    await anext(memory.changes(lost))
            assert await anext(memory.changes(early))  # of the past that both have
            if written_since:
                assert await anext(memory.changes(at_backup))
    finally:
        postgres.drop(backup)


async def test_a_replica_that_has_not_come_so_far_refuses_no_position(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, behind = feed.lines_behind, [True, True, False]

    async def lines_behind(*asked: Any) -> Any:
        if behind.pop(0):  # as where the line of the place is not there yet
            raise ValueError("not of this memory")
        behind.append(False)
        return await answers(*asked)

    async with Memory.open(url) as memory, asyncio.timeout(60):
        after = await memory.position()
        fact = await memory.add_fact("Ada", "counts", value=0)
        monkeypatch.setattr(feed, "lines_behind", lines_behind)
        changes = memory.changes(after, kinds=["fact"])
        assert (await anext(changes)).item == fact
        await changes.aclose()


async def _last(memory: Memory, after: str) -> AsyncIterator[aiomemdb.Change]:
    changes = memory.changes(after)
    yield await anext(changes)
    await changes.aclose()


async def _two(memory: Memory, after: str) -> AsyncIterator[aiomemdb.Change]:
    changes = memory.scoped(namespace="a", also_read=["b"]).changes(after, kinds=["fact"])
    yield await anext(changes)
    await changes.aclose()


async def test_two_models_at_once_leave_one_in_the_file(url: str) -> None:
    one = Memory.open(url, embedder=SpellingEmbedder(model="one"))
    two = Memory.open(url, embedder=SpellingEmbedder(model="two"))
    async with one, two:
        answers = await asyncio.gather(
            one.remember("a", [("Ann", "knows", "Bob")]),
            two.scoped(namespace="n").remember("b", [("Eve", "knows", "Joe")]),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, aiomemdb.ModelChanged) for answer in answers) == 1
    assert postgres.execute(url, "SELECT count(DISTINCT model) FROM aiomemdb.vector") == [(1,)]


async def test_a_forgotten_namespace_goes_in_slices_and_its_name_is_free_at_once(memory: Memory, url: str) -> None:
    facts = [(f"name {number}", "is", f"thing {number}") for number in range(700)]
    await memory.remember("much", facts)
    gone = await memory.forget_namespace()
    assert (gone.facts, gone.entities, gone.episodes, gone.evidence) == (700, 1400, 1, 700)
    assert (await memory.find_or_create_entity("name 1")).name == "name 1"
    assert postgres.execute(url, "SELECT count(*) FROM aiomemdb.memory_namespace WHERE name IS NULL") == [(0,)]


async def test_names_and_values_longer_than_an_index_may_hold_are_kept(memory: Memory) -> None:
    name, value = "\N{GRINNING FACE}" * 1_000, "x\N{CAT}" * 50_000
    entity = await memory.find_or_create_entity(Name(name, type=name).name)
    await memory.add_fact(entity, "says", value=value)
    await memory.add_fact(entity, "says", value=value)
    assert [fact.value for fact in await memory.facts(entity)] == [value]
    assert await memory.entity(name) == entity


# -- what it refuses ---------------------------------------------------------------------------------------------------


async def test_a_later_schema_is_refused(memory: Memory, url: str) -> None:
    postgres.execute(url, "INSERT INTO aiomemdb.memory_migration VALUES (1000, 'later', 0)")
    with pytest.raises(SchemaTooNew, match="update aiomemdb"):
        await Memory.open(url)
    postgres.execute(url, "DELETE FROM aiomemdb.memory_migration WHERE version = 1000")


async def test_a_schema_of_its_name_that_is_not_its_own_is_refused(url: str) -> None:
    postgres.execute(url, "CREATE SCHEMA aiomemdb")
    with pytest.raises(ValueError, match="not the memory's"):
        await Memory.open(url)


async def test_sql_of_agents_says_that_it_is_of_sqlite(memory: Memory) -> None:
    with pytest.raises(AiomemdbError, match="SQLite's alone"):
        await memory.agent_read("SELECT 1")


async def test_a_job_has_ids_of_its_own(memory: Memory) -> None:
    from aiomemdb.memory.stores.postgres.asking import Asking

    ids = Ids()
    async with memory.db.transaction() as tx:
        one, other = await ids.take(Asking(tx)), await ids.take(Asking(tx))  # type: ignore[arg-type]
    assert other.entity >= one.entity_end and other.fact >= one.fact_end
    one.use(2, 1, 5)
    first = (one.entity, one.episode, one.fact)
    ids.give_back(other)
    ids.give_back(one)
    async with memory.db.transaction() as tx:
        again, third = await ids.take(Asking(tx)), await ids.take(Asking(tx))  # type: ignore[arg-type]
    assert third.entity == other.entity
    assert (again.entity, again.episode, again.fact) == first
    with pytest.raises(AiomemdbError, match="make several"):
        again.use(0, 0, 1 << 21)


# -- the planner's numbers ---------------------------------------------------------------------------------------------


def _analyzed(url: str) -> bool:
    analyzed = "SELECT count(*) FROM pg_stats WHERE schemaname = 'aiomemdb' AND tablename = 'fact_word'"
    [(count,)] = postgres.execute(url, analyzed)
    return bool(count)


@pytest.mark.parametrize("texts", [9, 10])
async def test_after_a_load_of_many_texts_the_planner_knows_how_large_the_tables_are(
    memory: Memory, url: str, texts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_MANY", 10)
    documents = [aiomemdb.Document(content=f"text {n}", facts=[("Ann", "wrote", f"text {n}")]) for n in range(texts)]
    await memory.remember_many(documents)
    assert _analyzed(url) is (texts == 10)


@pytest.mark.parametrize("format", ["aiomemdb", "server-memory"])
async def test_after_an_import_of_many_rows_the_planner_knows_it_too(
    memory: Memory,
    url: str,
    tmp_path: Path,
    format: Literal["aiomemdb", "server-memory"],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store, "_MANY", 10)
    file = tmp_path / "memory.jsonl"
    async with Memory.open(tmp_path / "agent.db") as other:
        await other.add_facts([(f"Ann {n}", "wrote", f"text {n}") for n in range(9)])
        await other.export(file, format=format)
    await memory.import_(file)
    assert _analyzed(url)


@pytest.mark.parametrize("asked", ["_BELIEVED", "_AND_LATER", "_ALIKE"])
async def test_before_that_a_job_reads_the_facts_of_its_subjects_and_not_all(
    memory: Memory, url: str, asked: str
) -> None:
    await memory.add_facts([(f"Ann {number}", "wrote", f"text {number}") for number in range(200)])
    source, params = rows_from("subject predicate object value since", [(1, "wrote", 2, None, 0)] * 9)
    sql, given = statement(
        f"EXPLAIN {getattr(loading, asked).format(rows=source, founded='false')}", {**params, "here": [1], "texts": []}
    )
    plan = [row[0] for row in await memory.db.read(sql, given)]
    conditions = [line for line in plan if "Index Cond" in line]
    assert conditions
    assert all("subject" in line for line in conditions), plan
