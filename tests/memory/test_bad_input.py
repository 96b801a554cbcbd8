"""What can't be stored is refused with a clear error, and nothing of it is written."""

from __future__ import annotations

import asyncio
import math
import re
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb import (
    DatabaseClosed,
    EmbedderError,
    Memory,
    ModelChanged,
    Name,
    Normaliser,
    NormaliserChanged,
    NotFound,
    SchemaTooNew,
    Statement,
    WrongLoop,
)
from aiomemdb.postgres.database import PostgresDatabase
from tests.memory.conftest import Target, assert_sound
from tests.memory.support import AnsweringEmbedder, SpellingEmbedder, day
from tests.support.plain import plain


@pytest.fixture
async def memory(memory: Memory) -> AsyncIterator[Memory]:
    """One in which nothing is written by the test."""
    await memory.remember("Ann met Bob", [("Ann", "met", "Bob")], key="k")
    before = await state(memory)
    yield memory
    assert await state(memory) == before


async def state(memory: Memory) -> Any:
    schema = "aiomemdb." if isinstance(memory._core.db, PostgresDatabase) else ""
    events = await memory._core.db.read_value(f"SELECT count(*) FROM {schema}memory_event")
    return await memory.counts(), events


BAD_NAMES = {
    "": "empty",
    "  \t\n ": "empty",
    "Ann\0Smith": "NUL",
    "A" * 1_000_000: "1,000,000 characters",
    "Ann\ud800": "lone surrogate",
}
NAMERS: dict[str, Callable[[Memory, str], Awaitable[Any]]] = {
    "entity": lambda memory, bad: memory.find_or_create_entity(bad),
    "type": lambda memory, bad: memory.find_or_create_entity("ok", bad),
    "subject": lambda memory, bad: memory.add_fact(bad, "is", "b"),
    "predicate": lambda memory, bad: memory.add_fact("a", bad, "b"),
    "object": lambda memory, bad: memory.add_fact("a", "is", bad),
    "mention": lambda memory, bad: memory.add_episode("text", mentions=["ok", bad]),
    "fact of a text": lambda memory, bad: memory.remember("text", [("ok", "is", "b"), ("a", "is", bad)]),
    "typed": lambda memory, bad: memory.remember("text", [("ok", "is", Name("b", bad))]),
    "lookup": lambda memory, bad: memory.entity(bad),
}


@pytest.mark.parametrize("where", NAMERS)
async def test_a_name_that_is_none_is_refused(memory: Memory, where: str) -> None:
    for bad, message in BAD_NAMES.items():
        with pytest.raises(ValueError, match=message):
            await NAMERS[where](memory, bad)


@pytest.mark.parametrize("bad", [None, 7, b"Ann", ["Ann"], True])
async def test_a_name_of_another_type_is_refused(memory: Memory, bad: Any) -> None:
    with pytest.raises(TypeError):
        await memory.find_or_create_entity(bad)
    with pytest.raises(TypeError):
        await memory.add_fact(bad, "is", "b")
    with pytest.raises(TypeError):
        await memory.update_entity(bad, name="x")


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "both": ({"object": "b", "value": 1}, ValueError, "exactly one"),
    "neither": ({}, ValueError, "exactly one"),
    "a number as object": ({"object": 1}, TypeError, "never an id"),
    "confidence above 1": ({"value": 1, "confidence": 1.5}, ValueError, "0 to 1"),
    "confidence below 0": ({"value": 1, "confidence": -0.1}, ValueError, "0 to 1"),
    "confidence NaN": ({"value": 1, "confidence": math.nan}, ValueError, "0 to 1"),
    "confidence no number": ({"value": 1, "confidence": "high"}, ValueError, "0 to 1"),
    "naive": ({"value": 1, "valid_at": datetime(2020, 1, 1)}, ValueError, "time zone"),
    "naive end": ({"value": 1, "invalid_at": datetime(2020, 1, 1)}, ValueError, "time zone"),
    "before the year 1 in UTC": (
        {"value": 1, "valid_at": datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))},
        ValueError,
        "outside the years",
    ),
    "after the year 9999 in UTC": (
        {"value": 1, "invalid_at": datetime.max.replace(tzinfo=timezone(timedelta(hours=-14)))},
        ValueError,
        "outside the years",
    ),
    "a date as text": ({"value": 1, "valid_at": "2020-01-01"}, TypeError, "datetime"),
    "end before begin": ({"value": 1, "valid_at": day(1), "invalid_at": day(0)}, ValueError, "must be later"),
    "end at begin": ({"value": 1, "valid_at": day(1), "invalid_at": day(1)}, ValueError, "must be later"),
    "value NaN": ({"value": math.nan}, ValueError, "NaN"),
    "value infinite": ({"value": math.inf}, ValueError, "infinity"),
    "value a list": ({"value": [1]}, TypeError, "str, int, float or bool"),
    "value with NUL": ({"value": "a\0b"}, ValueError, "NUL"),
    "text with NUL": ({"value": 1, "text": "a\0b"}, ValueError, "NUL"),
    "quote with a surrogate": ({"value": 1, "quote": "\udfff"}, ValueError, "surrogate"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_fact_that_can_not_be_is_refused(memory: Memory, case: str) -> None:
    arguments, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        await memory.add_fact("new", "is", **arguments)
    with pytest.raises(error, match=message):
        await memory.remember("text", [("a", "is", "b"), Statement(subject="new", predicate="is", **arguments)])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"content": ""}, ValueError),
        ({"content": " \n"}, ValueError),
        ({"content": "a\0b"}, ValueError),
        ({"content": b"bytes"}, TypeError),
        ({"content": "text", "key": ""}, ValueError),
        ({"content": "text", "key": "k" * 2000}, ValueError),
        ({"content": "text", "seq": 1}, ValueError),
        ({"content": "text", "session": "s", "seq": "1"}, ValueError),
        ({"content": "text", "occurred_at": datetime(2020, 1, 1)}, ValueError),
        ({"content": "text", "metadata": {"a": object()}}, TypeError),
        ({"content": "text", "metadata": {"a": math.nan}}, ValueError),
        ({"content": "text", "metadata": {"a": "\ud800"}}, ValueError),
        ({"content": "text", "metadata": ["a"]}, TypeError),
        ({"content": "text", "mentions": "Ann"}, TypeError),
    ],
)
async def test_a_text_that_can_not_be_is_refused(memory: Memory, arguments: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        await memory.add_episode(**arguments)


@pytest.mark.parametrize("fact", [("a", "is"), "a is b", ("a", "is", "b", "c"), None])
async def test_what_is_no_statement_is_refused(memory: Memory, fact: Any) -> None:
    with pytest.raises(TypeError, match="Statement"):
        await memory.remember("text", [("ok", "is", "ok"), fact])


async def test_entities_of_another_namespace_are_refused(memory: Memory) -> None:
    ann = await memory.entity("Ann")
    assert ann is not None
    team = memory.scoped(namespace="team")
    for call in (
        team.add_fact(ann, "is", value=1),
        team.add_fact("x", "is", ann),
        team.remember("text", [("x", "is", "y")], mentions=[ann]),
        team.update_entity(ann, name="x"),
        team.add_alias(ann, "x"),
        team.remove_alias(ann, "x"),
        team.merge(ann, ann),
        team.forget(ann),
    ):
        with pytest.raises(NotFound, match=r"no entity 1 in namespace 'team'") as caught:
            await call
        assert caught.value.applied is False
    assert (await team.counts()).entities == 0
    assert await team.entity(ann.id) is None
    assert await team.history(ann) == []


async def test_thresholds_out_of_range_are_refused(memory: Memory, target: Target) -> None:
    for bad in (0, -1, 1.01, math.nan):
        with pytest.raises(ValueError, match="cosine"):
            await memory.find_or_create_entity("new", similarity=bad)
        with pytest.raises(ValueError, match="cosine"):
            Memory.open(target, near=bad)


COUNTS: dict[str, Callable[[Memory, Any], Awaitable[Any]]] = {
    "facts": lambda memory, bad: memory.facts(limit=bad),
    "entities": lambda memory, bad: memory.entities(limit=bad),
    "episodes": lambda memory, bad: memory.episodes(limit=bad),
    "episode": lambda memory, bad: memory.episode(bad),
    "neighbors": lambda memory, bad: memory.neighbors("Ann", limit=bad),
    "hops": lambda memory, bad: memory.neighbors("Ann", hops=bad),
}


@pytest.mark.parametrize("where", COUNTS)
async def test_a_count_that_is_none_is_refused(memory: Memory, where: str) -> None:
    for bad, error in ((-1, ValueError), (2**70, ValueError), ("7", TypeError), (1.5, TypeError), (True, TypeError)):
        with pytest.raises(error):
            await COUNTS[where](memory, bad)


async def test_a_handle_is_not_an_id(memory: Memory) -> None:
    for call in (memory.evidence, memory.history, memory.retract, memory.forget):
        with pytest.raises(TypeError):
            await call(1)  # type: ignore[operator]


# -- embedders ---------------------------------------------------------------------------------------------------------

BAD_VECTORS: dict[str, Callable[[list[list[float]]], Any]] = {
    "too few": lambda right: right[1:],
    "too many": lambda right: [*right, right[0]],
    "too short": lambda right: [vector[1:] for vector in right],
    "of different lengths": lambda right: [right[0][1:], *right[1:]],
    "NaN": lambda right: [[math.nan, *vector[1:]] for vector in right],
    "infinite": lambda right: [[math.inf, *vector[1:]] for vector in right],
    "words": lambda right: [["one"] * len(vector) for vector in right],
    "nothing": lambda right: None,
}


@pytest.mark.parametrize("case", BAD_VECTORS)
async def test_vectors_that_can_not_be_are_refused(db_path: Path, case: str) -> None:
    embedder = AnsweringEmbedder(BAD_VECTORS[case])
    async with Memory.open(db_path, embedder=embedder) as memory:
        for call in (memory.find_or_create_entity("Acme"), memory.remember("text", [("a", "is", "b")])):
            with pytest.raises(EmbedderError, match="the embedder returned"):
                await call
        assert (await state(memory))[1] == 0
        embedder.answer = lambda right: right
        assert (await memory.find_or_create_entity("Acme")).name == "Acme"
    assert_sound(db_path)


@pytest.mark.parametrize(
    ("attribute", "bad"),
    [("dim", 0), ("dim", -1), ("dim", 2.0), ("dim", True), ("model", ""), ("model", None), ("model", "a\0")],
)
async def test_an_embedder_that_can_not_be_is_refused(target: Target, attribute: str, bad: Any) -> None:
    embedder = SpellingEmbedder()
    setattr(embedder, attribute, bad)
    with pytest.raises((ValueError, TypeError), match="the embedder's"):
        Memory.open(target, embedder=embedder)


@pytest.mark.parametrize("numbers", [1e300, 1e-300, 5e-324])
async def test_vectors_of_huge_and_tiny_numbers_have_a_direction(target: Target, numbers: float) -> None:
    async with Memory.open(target, embedder=AnsweringEmbedder(lambda right: [[numbers] * 32] * len(right))) as memory:
        first = await memory.find_or_create_entity("Jonathan Miller")
        assert await memory.find_or_create_entity("Jonathon Miller", similarity=0.999) == first


async def test_a_vector_of_zeros_is_near_to_nothing(target: Target) -> None:
    async with Memory.open(target, embedder=AnsweringEmbedder(lambda right: [[0.0] * 32] * len(right))) as memory:
        for name in ("John Smith", "Jane Smith"):
            await memory.find_or_create_entity(name, similarity=0.1)
        counts = await memory.counts()
        assert (counts.entities, counts.similar) == (2, 0)


@pytest.mark.parametrize("other", [SpellingEmbedder(model="other"), SpellingEmbedder(dim=16)], ids=["model", "length"])
async def test_another_model_is_refused_until_all_is_embedded_anew(db_path: Path, other: SpellingEmbedder) -> None:
    async with Memory.open(db_path, embedder=SpellingEmbedder()) as memory:
        await memory.remember("Ann met Bob", [("Ann Lee", "met", "Bob Lee")])
    async with Memory.open(db_path, embedder=other) as memory:
        before = await state(memory)
        for call in (memory.find_or_create_entity("Acme"), memory.add_fact("a", "is", "b"), memory.add_episode("text")):
            with pytest.raises(ModelChanged, match=re.escape("reembed()")):
                await call
        assert await state(memory) == before
        assert (await memory.find_or_create_entity("Ann Lee")).id == 1  # what is known needs no vector
        assert await memory.reembed() == 4
        merged = await memory.find_or_create_entity("Ann Loo", similarity=0.9)
        assert merged.id == 1
    assert plain(db_path, "SELECT name, dim FROM vector_model") == [(other.model, other.dim)]
    async with Memory.open(db_path, embedder=SpellingEmbedder()) as memory:
        with pytest.raises(ModelChanged):
            await memory.find_or_create_entity("Acme")
    assert_sound(db_path)


async def test_embedding_anew_ends_though_others_write_by_the_old_model_all_the_time(target: Target) -> None:
    refused: list[ModelChanged] = []

    class Beside(SpellingEmbedder):
        """Whenever it is asked, another task has written something by then."""

        async def embed(self, texts: Any) -> Any:
            try:
                await old.add_episode(f"text {len(self.calls)}")
            except ModelChanged as error:
                refused.append(error)
            return await super().embed(texts)

    async with (
        Memory.open(target, embedder=SpellingEmbedder()) as old,
        Memory.open(target, embedder=Beside(model="new")) as new,
    ):
        await old.add_episode("text")
        count = await new.reembed()
        assert refused
        counts = await new.counts()
        assert counts.vectors == counts.episodes == count
        assert await new.reembed() == 0


# -- files and handles -------------------------------------------------------------------------------------------------


async def test_a_later_schema_is_refused(db_path: Path) -> None:
    async with Memory.open(db_path):
        pass
    async with aiomemdb.connect(db_path) as db:
        await db.write("INSERT INTO memory_migration VALUES (1000, 'from the future', 0)")
    with pytest.raises(SchemaTooNew, match="update aiomemdb"):
        await Memory.open(db_path)


async def test_a_file_that_can_only_be_read_is_refused_for_what_is_wrong_with_it(db_path: Path) -> None:
    async with Memory.open(db_path) as memory:
        fact = await memory.add_fact("Ann", "met", "Bob")
    async with aiomemdb.connect(db_path, read_only=True) as db:
        async with Memory.open(db) as memory:
            assert await memory.facts("ann") == [fact]
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                await memory.remember("text")
        with pytest.raises(NormaliserChanged):
            await Memory.open(db, normaliser=Normaliser("exact-1", lambda name: name))
    async with aiomemdb.connect(db_path) as db:
        await db.write("INSERT INTO memory_migration VALUES (1000, 'from the future', 0)")
    async with aiomemdb.connect(db_path, read_only=True) as db:
        with pytest.raises(SchemaTooNew, match="update aiomemdb"):
            await Memory.open(db)


OUR_NAMES = [
    "TABLE Entity (x)",
    "TABLE fact_words (x)",
    "VIEW vector AS SELECT 1",
    "TABLE memory_migration (x)",
    "TABLE Memory_Migration (revision TEXT)",
    "TABLE memory_migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL, at INTEGER NOT NULL)",
    "VIEW memory_migration AS SELECT 20240101 AS version, 'users' AS name, 0 AS at",
    "VIEW memory_migration AS SELECT 1 AS version, 'users' AS name, 0 AS at",
    "INDEX memory_migration ON mine (x)",
    "INDEX evidence_of_fact ON mine (x)",
    "TRIGGER entity_words_insert AFTER INSERT ON mine BEGIN SELECT 1; END",
    *(f"TABLE {table}_words_{part} (x)" for table in ("entity", "episode", "fact") for part in ("data", "idx")),
    *(f"TABLE fact_words_{part} (x)" for part in ("content", "docsize", "config")),
    "VIEW Episode_Words_Config AS SELECT 1",
    "INDEX entity_words_docsize ON mine (x)",
]


@pytest.mark.parametrize("taken", OUR_NAMES)
async def test_a_file_with_tables_of_our_names_is_refused_and_left_as_it_is(db_path: Path, taken: str) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script(f"CREATE TABLE mine (x); CREATE {taken}")
        before = await db.read("SELECT * FROM sqlite_schema")
        with pytest.raises(ValueError, match="a file of its own"):
            await Memory.open(db)
        assert await db.read("SELECT * FROM sqlite_schema") == before


@pytest.mark.parametrize("taken", OUR_NAMES[3:8])
async def test_another_programs_record_of_migrations_is_refused_in_a_file_that_can_only_be_read(
    db_path: Path, taken: str
) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script(f"CREATE {taken}")
    async with aiomemdb.connect(db_path, read_only=True) as db:
        with pytest.raises(ValueError, match="a file of its own"):
            await Memory.open(db)


async def test_a_file_may_hold_other_tables_too(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script("CREATE TABLE note (x)")
        async with Memory.open(db) as memory:
            await memory.find_or_create_entity("Acme")
        assert await db.read_value("SELECT count(*) FROM note") == 0


async def test_another_normaliser_is_refused_and_its_own_goes_on(target: Target) -> None:
    exact = Normaliser("exact-1", lambda name: name)
    async with Memory.open(target, normaliser=exact) as memory:
        one, other = [await memory.find_or_create_entity(name) for name in ("parse", "Parse")]
        assert one.id != other.id
    with pytest.raises(NormaliserChanged, match="'exact-1'"):
        await Memory.open(target)
    async with Memory.open(target, normaliser=exact) as memory:
        assert await memory.entity("Parse") == other
    with pytest.raises(NormaliserChanged, match="predicate normaliser"):
        await Memory.open(target, normaliser=exact, predicate_normaliser=exact)


async def test_a_normaliser_that_leaves_nothing_is_an_error(target: Target) -> None:
    async with Memory.open(target, normaliser=Normaliser("nothing", lambda name: "")) as memory:
        with pytest.raises(ValueError, match="nothing is left"):
            await memory.find_or_create_entity("Acme")


async def test_a_memory_that_is_not_open_says_so(target: Target) -> None:
    memory = Memory.open(target)
    with pytest.raises(DatabaseClosed, match="not open"):
        await memory.find_or_create_entity("Acme")
    async with memory:
        pass
    with pytest.raises(DatabaseClosed):
        await memory.find_or_create_entity("Acme")
    with pytest.raises(DatabaseClosed):
        await memory.remember("text")


@pytest.mark.parametrize(
    "call",
    [lambda memory: memory.find_or_create_entity("Acme"), lambda memory: memory.close()],
    ids=["find_or_create_entity", "close"],
)
async def test_another_loop_is_refused(memory: Memory, call: Callable[[Memory], Coroutine[Any, Any, object]]) -> None:
    raised: list[BaseException] = []

    def elsewhere() -> None:
        try:
            asyncio.run(call(memory))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert isinstance(raised[0], WrongLoop)
    await memory.counts()  # here it is open


async def test_a_database_that_is_handed_in_stays_open(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        async with Memory.open(db) as memory:
            await memory.find_or_create_entity("Acme")
        assert await db.read_value("SELECT count(*) FROM entity") == 1


async def test_open_can_be_awaited_and_close_repeated(target: Target) -> None:
    memory = await Memory.open(target)
    await memory.find_or_create_entity("Acme")
    await memory.close()
    await memory.close()
    with pytest.raises(aiomemdb.AiomemdbError, match="opened before"):
        await memory._open()
