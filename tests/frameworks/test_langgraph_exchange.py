"""A file goes from langgraph-checkpoint-sqlite's classes to ours and back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlite_vec
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.store.sqlite.aio import AsyncSqliteStore

from aiomemdb.integrations.langgraph import AiomemdbSaver, AiomemdbStore
from tests.frameworks.langgraph_values import Letters, at, checkpoint, known
from tests.support.plain import assert_healthy, plain

WAYS = [(AsyncSqliteSaver, AiomemdbSaver), (AiomemdbSaver, AsyncSqliteSaver)]


async def fill(saver: Any, name: str) -> None:
    config = await saver.aput(at("t", run_id=name), checkpoint(f"{name} 1", {"a": [1, "ü"]}), {"step": 1}, {})
    await saver.aput_writes(config, [("a", name), ("b", b"\0")], "task", "path")
    await saver.aput(config, checkpoint(f"{name} 2"), {"step": 2, "parents": {"": "x"}}, {})
    await saver.aput(at("t", f"child:{name}"), checkpoint("3"), {}, {})


async def seen(saver: Any) -> list[Any]:
    everything = [known(found) async for found in saver.alist(None)]
    filtered = [known(found) async for found in saver.alist(at("t"), filter={"step": 2})]
    history = await saver.aget_delta_channel_history(config=at("t"), channels=["a", "b"])
    return [sorted(everything, key=str), filtered, known(await saver.aget_tuple(at("t"))), history]


@pytest.mark.parametrize(("first", "second"), WAYS)
async def test_checkpoints_go_from_one_saver_to_the_other_and_back(tmp_path: Path, first: Any, second: Any) -> None:
    path = str(tmp_path / "a.db")
    made = []
    for saver_class, name in ((first, "one"), (second, "two"), (first, "three"), (second, "four")):
        async with saver_class.from_conn_string(path) as saver:
            await fill(saver, name)
            made.append(await seen(saver))
        other = second if saver_class is first else first
        async with other.from_conn_string(path) as saver:
            assert await seen(saver) == made[-1]
    assert [len(everything) for everything, *_ in made] == [3, 6, 9, 12]
    assert_healthy(path)


@pytest.mark.parametrize(("first", "second"), WAYS)
async def test_a_thread_goes_on_where_the_other_left_it(tmp_path: Path, first: Any, second: Any) -> None:
    path = str(tmp_path / "a.db")
    version = None
    versions = []
    for number, saver_class in enumerate((first, second, first, second)):
        async with saver_class.from_conn_string(path) as saver:
            latest = await saver.aget_tuple(at("t"))
            version = saver.get_next_version(version, None)
            await saver.aput(latest.config if latest else at("t"), checkpoint(f"{number}"), {}, {})
        versions.append(version)
    assert versions == sorted(versions)
    async with AiomemdbSaver.from_conn_string(path) as saver:
        chain = [found.parent_config async for found in saver.alist(at("t"))]
        assert [one and one["configurable"]["checkpoint_id"] for one in chain] == ["2", "1", "0", None]


async def test_a_file_of_an_earlier_release_gets_the_column_that_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        await fill(saver, "one")
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("ALTER TABLE writes DROP COLUMN task_path")
    async with AiomemdbSaver.from_conn_string(str(path)) as saver:
        found = await saver.aget_tuple(at("t", checkpoint_id="one 1"))
        assert found is not None and found.pending_writes == [("task", "a", "one"), ("task", "b", b"\0")]


@pytest.mark.parametrize("order", [(AsyncSqliteStore, AiomemdbStore), (AiomemdbStore, AsyncSqliteStore)])
async def test_items_go_from_one_store_to_the_other_and_back(tmp_path: Path, order: Any) -> None:
    path = str(tmp_path / "a.db")
    expected: dict[str, Any] = {}
    for number, store_class in enumerate(order * 2):
        async with store_class.from_conn_string(path, ttl={"default_ttl": 10}) as store:
            await store.setup()
            for key in (f"new {number}", "old"):
                await store.aput(("a", "b"), key, {"n": number, "text": "ü"})
            await store.aput(("gone",), "k", {})
            await store.adelete(("gone",), "k")
            expected.update({f"new {number}": number, "old": number})
        for reader in order:
            async with reader.from_conn_string(path, ttl={"default_ttl": 10}) as store:
                await store.setup()
                found = await store.asearch(("a",), limit=100)
                assert {item.key: item.value["n"] for item in found} == expected
                assert found[0].value["text"] == "ü" and found[0].namespace == ("a", "b")
                zeros = {item.key for item in await store.asearch((), filter={"n": 0})}
                assert zeros == {key for key, value in expected.items() if value == 0}
                old = await store.aget(("a", "b"), "old")
                assert old is not None and old.value["n"] == number
                assert await store.alist_namespaces() == [("a", "b")]
    assert plain(path, "SELECT max(v) FROM store_migrations") == [(4,)]
    assert_healthy(path)


async def test_a_store_of_an_earlier_release_gets_the_columns_that_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript(
            f"CREATE TABLE store_migrations (v INTEGER PRIMARY KEY); {''.join(AsyncSqliteStore.MIGRATIONS[:2])}"
            "INSERT INTO store_migrations VALUES (0), (1);"
            """INSERT INTO store (prefix, key, value) VALUES ('a.b', 'k', '{"n": 1}')"""
        )
    async with AiomemdbStore.from_conn_string(str(path)) as store:
        await store.aput(("a", "b"), "new", {"n": 2}, ttl=5)
        assert [item.value for item in await store.asearch(("a",), filter={"n": {"$gte": 1}})] == [{"n": 2}, {"n": 1}]
    async with AsyncSqliteStore.from_conn_string(str(path)) as store:
        await store.setup()
        assert len(await store.asearch(("a",))) == 2


async def test_what_either_store_expires_the_other_sweeps(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    for writer, sweeper in ((AsyncSqliteStore, AiomemdbStore), (AiomemdbStore, AsyncSqliteStore)):
        async with writer.from_conn_string(path, ttl={"default_ttl": 10}) as store:
            await store.setup()
            await store.aput(("a",), "expired", {}, ttl=0)
            await store.aput(("a",), "lives", {})
        with closing(sqlite3.connect(path)) as conn, conn:
            conn.execute("UPDATE store SET expires_at = replace(expires_at, '20', '19') WHERE key = 'expired'")
        async with sweeper.from_conn_string(path, ttl={}) as store:
            await store.setup()
            assert await store.sweep_ttl() == 1
            assert [item.key for item in await store.asearch(("a",))] == ["lives"]


async def test_a_vector_is_kept_as_sqlite_vec_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    index: Any = {"dims": 8, "embed": Letters(), "fields": ["text"]}
    async with AiomemdbStore.from_conn_string(str(path), index=index) as store:
        await store.aput(("a",), "k", {"text": "abba"})
    vector = Letters().embed_query("abba")
    assert plain(path, "SELECT prefix, key, field_name, embedding FROM store_vectors") == [
        ("a", "k", "text", sqlite_vec.serialize_float32(vector))
    ]
    assert plain(path, "SELECT v FROM vector_migrations") == [(0,)]
