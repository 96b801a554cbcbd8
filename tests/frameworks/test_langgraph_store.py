"""LangGraph's store on an aiomemdb database."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from langgraph.store.base import GetOp, InvalidNamespaceError, ListNamespacesOp, MatchCondition, PutOp, SearchOp

import aiomemdb
from aiomemdb.errors import EmbedderError
from aiomemdb.integrations.langgraph import AiomemdbStore, scores
from tests.frameworks.langgraph_values import Letters
from tests.support.cancelling import Way, cancelled_at, suspension_points
from tests.support.gates import Gate
from tests.support.plain import assert_healthy, plain
from tests.support.whole import assert_whole, eventually

INDEX: Any = {"dims": 8, "embed": Letters(), "fields": ["text"]}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[AiomemdbStore]:
    async with AiomemdbStore.from_conn_string(str(tmp_path / "a.db")) as store:
        yield store


@pytest.fixture
async def indexed(tmp_path: Path) -> AsyncIterator[AiomemdbStore]:
    async with AiomemdbStore.from_conn_string(str(tmp_path / "a.db"), index=INDEX) as store:
        yield store


async def keys(store: AiomemdbStore, *args: Any, **kwargs: Any) -> list[str]:
    return [item.key for item in await store.asearch(*args, **kwargs)]


async def test_a_batch_is_one_job_in_the_order_given(store: AiomemdbStore) -> None:
    await store.setup()
    before = store.db.statistics().writes
    results: Any = await store.abatch(
        [
            PutOp(("a",), "k", {"n": 1}),
            GetOp(("a",), "k"),
            PutOp(("a",), "k", {"n": 2}),
            SearchOp(("a",)),
            PutOp(("a",), "k", None),
            GetOp(("a",), "k"),
            PutOp(("b", "c"), "k", {"n": 3}),
            ListNamespacesOp(),
        ]
    )
    assert store.db.statistics().writes == before + 1
    assert [results[0], results[2], results[4], results[5], results[6]] == [None] * 5
    assert results[1].value == {"n": 1} and [item.value for item in results[3]] == [{"n": 2}]
    assert results[7] == [("b", "c")]


async def test_a_batch_that_only_reads_is_no_job_of_the_writer(store: AiomemdbStore) -> None:
    await store.aput(("a",), "k", {"n": 1})
    before = store.db.statistics().writes
    results: Any = await store.abatch([GetOp(("a",), "k"), SearchOp(()), ListNamespacesOp()])
    assert results[0].value == {"n": 1} and len(results[1]) == 1 and results[2] == [("a",)]
    assert store.db.statistics().writes == before


async def test_a_batch_with_one_bad_operation_applies_none(store: AiomemdbStore) -> None:
    for bad in (PutOp(("a",), "k", {"n": 2**70}), PutOp(("a.b",), "k", {}), SearchOp((), filter={"n": {"$in": []}})):
        with pytest.raises((TypeError, ValueError)):
            await store.abatch([PutOp(("a",), "good", {"n": 1}), bad])
    assert await store.asearch(()) == []


async def test_a_callers_bad_operation_fails_for_that_caller_alone(store: AiomemdbStore) -> None:
    good, bad = await asyncio.gather(
        store.aput(("a",), "k", {"n": 1}), store.abatch([PutOp(("a.b",), "k", {})]), return_exceptions=True
    )
    assert good is None and isinstance(bad, InvalidNamespaceError)
    assert await store.aget(("a",), "k") is not None


async def test_creation_stays_and_an_update_is_later(store: AiomemdbStore) -> None:
    await store.aput(("a",), "k", {"n": 1})
    first = await store.aget(("a",), "k")
    await store.aput(("a",), "k", {"n": 2})
    second = await store.aget(("a",), "k")
    assert first is not None and second is not None
    assert second.created_at == first.created_at and second.updated_at > first.updated_at
    assert abs(datetime.now(UTC) - second.updated_at) < timedelta(minutes=5)


async def test_the_characters_of_patterns_are_letters_in_a_namespace(store: AiomemdbStore) -> None:
    odd = [("a_b",), ("axb",), ("a%",), ("a", "b"), ("ab",), ("A",), ("a*",), ("a[b]",), ("a/",), ("a",), ("ä", "%")]
    for namespace in odd:
        await store.aput(namespace, "k", {})
    assert await store.alist_namespaces() == sorted(odd)
    for namespace in odd:
        below = sorted(one for one in odd if one[: len(namespace)] == namespace)
        assert sorted(item.namespace for item in await store.asearch(namespace, limit=20)) == below
        assert await store.alist_namespaces(prefix=namespace) == below


async def test_namespaces_are_listed_by_prefix_suffix_depth_and_page(store: AiomemdbStore) -> None:
    for namespace in [("a", "b", "c"), ("a", "b", "d", "e"), ("a", "c", "f"), ("b",), ("x", "b", "c")]:
        await store.aput(namespace, "k", {})
    assert await store.alist_namespaces(prefix=("a", "*", "c")) == [("a", "b", "c")]
    assert await store.alist_namespaces(suffix=("b", "c")) == [("a", "b", "c"), ("x", "b", "c")]
    assert await store.alist_namespaces(suffix=("*", "c")) == [("a", "b", "c"), ("x", "b", "c")]
    assert await store.alist_namespaces(prefix=("a",), max_depth=2) == [("a", "b"), ("a", "c")]
    assert await store.alist_namespaces(limit=2, offset=1) == [("a", "b", "d", "e"), ("a", "c", "f")]
    conditions = (MatchCondition("prefix", ("a",)), MatchCondition("suffix", ("f",)))
    assert (await store.abatch([ListNamespacesOp(conditions)]))[0] == [("a", "c", "f")]


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ({"n": 3}, "c"),
        ({"n": 3.0}, "c"),
        ({"n": {"$gt": 2}}, "cd"),
        ({"n": {"$gte": 2, "$lt": 3.5}}, "bc"),
        ({"n": {"$lte": 2}}, "ab"),
        ({"n": {"$ne": 2}}, "acdef"),
        ({"n": {"$eq": 2}}, "b"),
        ({"n": {"$gt": "a"}}, "e"),
        ({"n": None}, "f"),
        ({"tags": ["x", "y"]}, "a"),
        ({"tags": ["y", "x"]}, ""),
        ({"nested": {"b": 2}}, "b"),
        ({"nested": {"b": 3}}, ""),
        ({"a.b": 1}, "c"),
        ({'quo"te': 1}, "d"),
        ({"n": {"$gt": 1}, "tags": ["z"]}, "b"),
        ({"flag": True}, "e"),
    ],
)
async def test_a_filter_finds_what_its_operators_say(store: AiomemdbStore, filter: Any, found: str) -> None:
    values: dict[str, Any] = {
        "a": {"n": 1, "tags": ["x", "y"]},
        "b": {"n": 2, "tags": ["z"], "nested": {"a": 1, "b": 2}},
        "c": {"n": 3, "a.b": 1},
        "d": {"n": 3.5, 'quo"te': 1, "a": {"b": 1}},
        "e": {"n": "text", "flag": True},
        "f": {"n": None},
    }
    for key, value in values.items():
        await store.aput(("a",), key, value)
    assert sorted(await keys(store, ("a",), filter=filter)) == sorted(found)
    assert len(await keys(store, ("a",), filter=filter, limit=1)) == min(1, len(found))


async def test_a_page_of_a_filtered_search_is_of_what_matches(store: AiomemdbStore) -> None:
    for number in range(30):
        await store.aput(("a",), f"{number:02}", {"n": number % 3})
    every = [f"{number:02}" for number in range(29, -1, -1) if number % 3 == 1]
    pages = [await keys(store, (), filter={"n": 1}, limit=4, offset=offset) for offset in range(0, 12, 4)]
    assert pages == [every[:4], every[4:8], every[8:]]


async def test_without_an_index_a_query_ranks_by_words_and_leaves_nothing_out(store: AiomemdbStore) -> None:
    texts = {"a": "Ada likes tea", "b": "Bob likes coffee, coffee and coffee", "c": "nothing", "d": "TEA and coffee"}
    for key, text in texts.items():
        await store.aput(("a",), key, {"deep": [{"text": text}], "n": 1})
    found = await store.asearch(("a",), query="who drinks tea?")
    assert {item.key for item in found[:2]} == {"a", "d"} and all(item.score for item in found[:2])
    assert [(item.key, item.score) for item in found[2:]] == [("c", None), ("b", None)]
    assert await keys(store, ("a",), query='"coffee" OR (-', limit=1) == ["b"]
    assert await keys(store, ("a",), query="tea", limit=1, offset=1, filter={"n": 1}) in (["a"], ["d"])


@pytest.mark.parametrize("numpy", [True, False])
async def test_with_an_index_the_nearest_comes_first(
    indexed: AiomemdbStore, numpy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores, "find_spec", lambda name: numpy or None)
    for key, text in {"ab": "ab", "abc": "abc", "h": "h", "none": ""}.items():
        await indexed.aput(("a",), key, {"text": text, "size": len(text)})
    await indexed.aput(("a",), "unindexed", {"text": "ab"}, index=False)
    await indexed.aput(("b",), "elsewhere", {"text": "ab"})
    found = await indexed.asearch(("a",), query="ab")
    assert [item.key for item in found[:2]] == ["ab", "abc"]
    assert {item.key for item in found[2:]} == {"h", "none"}
    assert found[0].score == pytest.approx(1) and found[1].score == pytest.approx((2 / 3) ** 0.5)
    assert await keys(indexed, ("a",), query="ab", filter={"size": {"$gt": 2}}) == ["abc"]
    assert await keys(indexed, ("a",), query="ab", limit=1, offset=1) == ["abc"]


@pytest.mark.parametrize(
    ("distance", "order"), [("cosine", ["a", "aaa", "ab"]), ("l2", ["a", "ab", "aaa"]), ("inner_product", ["aaa"])]
)
@pytest.mark.parametrize("numpy", [True, False])
async def test_each_distance_has_its_order(
    tmp_path: Path, distance: str, order: list[str], numpy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores, "find_spec", lambda name: numpy or None)
    index: Any = {**INDEX, "distance_type": distance}
    async with AiomemdbStore.from_conn_string(str(tmp_path / "a.db"), index=index) as store:
        for text in ("ab", "aaa", "a"):
            await store.aput(("a",), text, {"text": text})
        found = await keys(store, ("a",), query="a")
        if distance == "cosine":
            assert {*found[:2]} == {"a", "aaa"} and found[2] == "ab"
        else:
            assert found[: len(order)] == order


async def test_the_best_of_an_item_s_texts_counts_and_the_fields_of_a_put_are_its_own(tmp_path: Path) -> None:
    index: Any = {"dims": 8, "embed": Letters(), "fields": ["title", "parts[*].text"]}
    async with AiomemdbStore.from_conn_string(str(tmp_path / "a.db"), index=index) as store:
        await store.aput(("a",), "many", {"title": "h", "parts": [{"text": "a"}, {"text": "b"}]})
        await store.aput(("a",), "own", {"title": "a", "note": "g"}, index=["note"])
        assert plain(tmp_path / "a.db", "SELECT key, field_name FROM store_vectors ORDER BY 1, 2") == [
            ("many", "parts[*].text.0"),
            ("many", "parts[*].text.1"),
            ("many", "title"),
            ("own", "note"),
        ]
        found = await store.asearch(("a",), query="b")
        assert [item.key for item in found] == ["many", "own"] and found[0].score == pytest.approx(1)


async def test_what_is_put_again_or_deleted_is_no_more_found_by_what_it_was(indexed: AiomemdbStore) -> None:
    await indexed.aput(("a",), "k", {"text": "a"})
    await indexed.aput(("a",), "k", {"text": "a"}, index=False)
    assert await indexed.asearch(("a",), query="a") == []
    await indexed.aput(("a",), "k", {"text": "a"})
    await indexed.adelete(("a",), "k")
    await indexed.aput(("a",), "k", {"n": 1})
    assert await indexed.asearch(("a",), query="a") == []


async def test_texts_are_embedded_while_no_job_runs(tmp_path: Path) -> None:
    entered, let_go = asyncio.Event(), asyncio.Event()

    async def embed(texts: list[str]) -> list[list[float]]:
        entered.set()
        await let_go.wait()
        return Letters().embed_documents(texts)

    index: Any = {**INDEX, "embed": embed}
    async with AiomemdbStore.from_conn_string(str(tmp_path / "a.db"), index=index) as store:
        putting = asyncio.create_task(store.aput(("a",), "k", {"text": "a"}))
        await entered.wait()
        await store.aput(("a",), "other", {"n": 1})  # no text: it is written meanwhile
        assert await store.aget(("a",), "other") is not None and await store.aget(("a",), "k") is None
        let_go.set()
        await putting


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([], "0 vectors for 1 text"),
        ([[1.0] * 7], "7 numbers; the index has 8"),
        ([[1.0] * 7 + [float("nan")]], "NaN"),
    ],
)
async def test_vectors_that_are_none_are_an_error_and_nothing_is_written(
    tmp_path: Path, vectors: list[list[float]], message: str
) -> None:
    async def embed(texts: list[str]) -> list[list[float]]:
        return vectors

    index: Any = {**INDEX, "embed": embed}
    async with AiomemdbStore.from_conn_string(str(tmp_path / "a.db"), index=index) as store:
        with pytest.raises(EmbedderError, match=message):
            await store.abatch([PutOp(("a",), "first", {"n": 1}), PutOp(("a",), "k", {"text": "a"})])
        assert await store.asearch(()) == []


# -- what expires ---------------------------------------------------------------------------------------------------


async def expiry(store: AiomemdbStore, key: str) -> datetime:
    text = await store.db.read_value("SELECT expires_at FROM store WHERE key = ?", (key,))
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def shorten(store: AiomemdbStore, key: str, minutes: float) -> None:
    """As if the time until now were later by so much."""
    await store.db.write(
        "UPDATE store SET expires_at = strftime('%Y-%m-%d %H:%M:%f', expires_at, ? || ' minutes') WHERE key = ?",
        (-minutes, key),
    )


async def test_a_ttl_is_in_minutes(tmp_path: Path) -> None:
    async with AiomemdbStore.from_conn_string(str(tmp_path / "a.db"), ttl={"default_ttl": 10}) as store:
        await store.aput(("a",), "default", {})
        await store.aput(("a",), "own", {}, ttl=0.5)
        await store.aput(("a",), "never", {}, ttl=None)
        now = datetime.now(UTC)
        assert timedelta(minutes=9) < await expiry(store, "default") - now <= timedelta(minutes=10)
        assert timedelta(0) < await expiry(store, "own") - now <= timedelta(seconds=30)
        assert await store.db.read_value("SELECT expires_at FROM store WHERE key = 'never'") is None


async def test_a_read_refreshes_in_one_job_whatever_it_found(tmp_path: Path) -> None:
    async with AiomemdbStore.from_conn_string(str(tmp_path / "a.db"), ttl={"default_ttl": 10}) as store:
        for key in "abc":
            await store.aput(("a",), key, {})
            await shorten(store, key, 5)
        soon = datetime.now(UTC) + timedelta(minutes=9)
        before = store.db.statistics().writes
        assert len(await store.asearch(("a",))) == 3
        assert store.db.statistics().writes == before + 1
        assert all([await expiry(store, key) > soon for key in "abc"])


@pytest.mark.parametrize(("ttl", "refresh"), [({"default_ttl": 10, "refresh_on_read": False}, None), ({}, False)])
async def test_a_read_that_is_to_refresh_nothing_does_not(tmp_path: Path, ttl: Any, refresh: bool | None) -> None:
    async with AiomemdbStore.from_conn_string(str(tmp_path / "a.db"), ttl=ttl) as store:
        await store.aput(("a",), "k", {}, ttl=10)
        await shorten(store, "k", 5)
        before = await expiry(store, "k")
        await store.aget(("a",), "k", refresh_ttl=refresh)
        await store.asearch(("a",), refresh_ttl=refresh)
        assert await expiry(store, "k") == before


async def test_a_sweep_deletes_what_has_expired_in_slices(tmp_path: Path) -> None:
    async with AiomemdbStore.from_conn_string(str(tmp_path / "a.db"), index=INDEX, ttl={}) as store:
        await store.abatch([PutOp(("a",), f"{n}", {"text": "a"}, index=False, ttl=1) for n in range(1500)])
        await store.aput(("a",), "indexed", {"text": "a"}, ttl=1)
        await store.aput(("a",), "lives", {}, ttl=100)
        await store.aput(("a",), "stays", {})
        await store.db.write("UPDATE store SET expires_at = '2001-01-01 00:00:00' WHERE ttl_minutes = 1")
        assert await store.sweep_ttl() == 1501
        assert sorted(await keys(store, ())) == ["lives", "stays"]
        assert await store.db.read("SELECT * FROM store_vectors") == []
        assert await store.sweep_ttl() == 0


async def test_what_has_expired_is_omitted_where_that_is_asked_for(tmp_path: Path) -> None:
    async with AiomemdbStore.from_conn_string(str(tmp_path / "a.db"), index=INDEX, ttl={"omit_expired": True}) as store:
        await store.aput(("a",), "k", {"text": "a"}, ttl=1)
        assert await store.aget(("a",), "k") is not None
        await shorten(store, "k", 2)
        assert await store.aget(("a",), "k") is None
        assert await store.asearch(("a",)) == await store.asearch(("a",), query="a") == []
        assert await store.alist_namespaces() == []


async def test_the_sweeper_sweeps_until_the_store_is_left(tmp_path: Path) -> None:
    async with AiomemdbStore.from_conn_string(str(tmp_path / "a.db"), ttl={}) as store:
        await store.aput(("a",), "k", {}, ttl=1)
        await shorten(store, "k", 2)
        task = await store.start_ttl_sweeper(sweep_interval_minutes=0.0001)
        assert await store.start_ttl_sweeper() is task
        swept = store.db.statistics().writes
        await eventually(lambda: store.db.statistics().writes > swept)
        assert await store.aget(("a",), "k") is None
    assert task.done() and await store.stop_ttl_sweeper()


async def test_a_file_that_is_read_only_is_read_and_nothing_is_refreshed(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    async with AiomemdbStore.from_conn_string(path, ttl={"default_ttl": 10}) as store:
        await store.aput(("a",), "k", {"n": 1})
    async with AiomemdbStore.from_conn_string(path, ttl={"default_ttl": 10}, read_only=True) as store:
        found = await store.aget(("a",), "k")
        assert found is not None and found.value == {"n": 1}
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await store.aput(("a",), "k", {"n": 2})


async def test_the_sweeper_of_a_closed_database_ends(tmp_path: Path) -> None:
    db = await aiomemdb.connect(tmp_path / "a.db")
    sweeper = await AiomemdbStore(db, ttl={}).start_ttl_sweeper(0.00001)
    await db.close()
    await sweeper


async def test_a_sweep_that_fails_is_logged_and_the_next_one_comes(
    store: AiomemdbStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = asyncio.Event()
    swept = asyncio.Event()

    async def sweep() -> int:
        (swept if failed.is_set() else failed).set()
        if not swept.is_set():
            raise sqlite3.OperationalError("disk I/O error")
        return 0

    monkeypatch.setattr(store, "sweep_ttl", sweep)
    store.ttl_config = {}
    await store.start_ttl_sweeper(0.0001)
    await swept.wait()
    assert await store.stop_ttl_sweeper()
    assert "disk I/O error" in caplog.text


# -- threads, cancellation, bad input ---------------------------------------------------------------------------------


async def test_synchronous_methods_work_from_another_thread_and_raise_on_the_loop_s_own(store: AiomemdbStore) -> None:
    def use() -> list[Any]:
        store.put(("a",), "k", {"n": 1})
        found = store.get(("a",), "k")
        listed = [found and found.value, len(store.search(("a",))), store.list_namespaces()]
        store.delete(("a",), "k")
        return [*listed, store.batch([GetOp(("a",), "k")])]

    assert await asyncio.to_thread(use) == [{"n": 1}, 1, [("a",)], [None]]
    for method in (lambda: store.get(("a",), "k"), lambda: store.put(("a",), "k", {}), lambda: store.search(())):
        with pytest.raises(asyncio.InvalidStateError):
            method()


@pytest.mark.parametrize("way", Way)
async def test_a_cancelled_batch_is_whole_or_not_there(tmp_path: Path, way: Way) -> None:
    async with AiomemdbStore.from_conn_string(str(tmp_path / "a.db"), index=INDEX) as store:
        for k in suspension_points():
            ops = [PutOp((f"n{k}",), key, {"text": key}) for key in "abc"]
            is_cancelled = await cancelled_at(k, way, store.abatch(ops))
            await store.db.flush()
            found = await keys(store, (f"n{k}",), query="a")
            assert found in ([], ["a", "b", "c"], ["a", "c", "b"])
            if not is_cancelled:
                assert found
                break
        await assert_whole(store.db)
    assert_healthy(tmp_path / "a.db")


async def test_a_batch_that_waits_is_taken_back_when_it_is_cancelled(store: AiomemdbStore) -> None:
    await store.setup()
    with Gate() as gate:
        held = asyncio.create_task(store.db.write_fn(gate.block))
        await gate.wait_entered()
        putting = asyncio.create_task(store.aput(("a",), "k", {}))
        await eventually(lambda: store.db.statistics().pending == 1)
        putting.cancel()
        await asyncio.wait([putting])
        gate.open()
        await held
    assert await store.aget(("a",), "k") is None


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: s.aput((), "k", {}), InvalidNamespaceError, "empty"),
        (lambda s: s.abatch([PutOp((), "k", {})]), InvalidNamespaceError, "empty"),
        (lambda s: s.aput(("a", ""), "k", {}), InvalidNamespaceError, "empty"),
        (lambda s: s.aget(("a", ""), "k"), InvalidNamespaceError, "empty"),
        (lambda s: s.asearch(("",)), InvalidNamespaceError, "empty"),
        (lambda s: s.alist_namespaces(prefix=("a", "")), InvalidNamespaceError, "empty"),
        (lambda s: s.aput(("a.b",), "k", {}), InvalidNamespaceError, "period"),
        (lambda s: s.aput(("a\0",), "k", {}), InvalidNamespaceError, "NUL"),
        (lambda s: s.aput(("\ud800",), "k", {}), ValueError, "label.*surrogate"),
        (lambda s: s.asearch(("\ud800",)), ValueError, "label.*surrogate"),
        (lambda s: s.aput("ab", "k", {}), TypeError, "namespace='ab'"),
        (lambda s: s.asearch("ab"), TypeError, "namespace='ab'"),
        (lambda s: s.alist_namespaces(prefix="ab"), TypeError, "namespace='ab'"),
        (lambda s: s.abatch([PutOp(("a",), None, {})]), ValueError, "key is missing"),
        (lambda s: s.asearch((), filter="abc"), TypeError, "filter='abc'"),
        (lambda s: s.aput(("a",), "k\0", {}), ValueError, "key.*NUL"),
        (lambda s: s.aget(("a",), "\ud800"), ValueError, "key.*surrogate"),
        (lambda s: s.aput(("a",), "k", {"x": "\ud800"}), TypeError, "surrogate"),
        (lambda s: s.aput(("a",), "k", {"x": object()}), TypeError, "object"),
        (lambda s: s.abatch([PutOp(("a",), "k", [1])]), TypeError, "'k' is a list"),
        (lambda s: s.aput(("a",), "k", {"x": "x" * 2_000_000}), sqlite3.DataError, "too big"),
        (lambda s: s.aput(("a",), "k", {}, ttl=-1), ValueError, "ttl=-1"),
        (lambda s: s.aput(("a",), "k", {}, ttl=float("nan")), ValueError, "ttl=nan"),
        (lambda s: s.aput(("a",), "k", {}, ttl=float("inf")), ValueError, "ttl=inf"),
        (lambda s: s.asearch((), limit=-1), ValueError, "limit=-1"),
        (lambda s: s.asearch((), offset=-1), ValueError, "offset=-1"),
        (lambda s: s.asearch((), limit="1"), TypeError, "limit='1'"),
        (lambda s: s.asearch((), limit=2**64), ValueError, "limit=18446744073709551616"),
        (lambda s: s.alist_namespaces(limit=-1), ValueError, "limit=-1"),
        (lambda s: s.alist_namespaces(max_depth=-1), ValueError, "max_depth=-1"),
        (lambda s: s.asearch((), filter={"n": {"$regex": "x"}}), ValueError, r"\$regex"),
        (lambda s: s.asearch((), filter={"n": {"$gt": 1, "m": 2}}), ValueError, "'m'"),
        (lambda s: s.asearch((), filter={1: 2}), TypeError, "filter"),
        (lambda s: s.abatch(["get"]), TypeError, "'get' is not an operation"),
    ],
)
async def test_bad_input_is_an_error_at_the_call_and_nothing_is_written(
    tmp_path: Path, call: Any, error: type[Exception], message: str
) -> None:
    path = tmp_path / "a.db"
    async with AiomemdbStore.from_conn_string(str(path), max_value_bytes=1_000_000) as store:
        await store.setup()
        with pytest.raises(error) as caught:
            await call(store)
        caught.match(message)
    assert plain(path, "SELECT count(*) FROM store") == [(0,)]


@pytest.mark.parametrize(
    "index", [{**INDEX, "distance_type": "manhattan"}, {**INDEX, "dims": "8"}, {"embed": Letters()}]
)
async def test_an_index_that_is_none_is_an_error_at_once(tmp_path: Path, index: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="index"):
        AiomemdbStore(aiomemdb.connect(tmp_path / "a.db"), index=index)


async def test_a_file_with_other_tables_of_the_names_is_an_error_that_names_the_column(tmp_path: Path) -> None:
    async with aiomemdb.connect(tmp_path / "a.db") as db:
        await db.write_script("CREATE TABLE store (prefix TEXT, key TEXT, worth TEXT, PRIMARY KEY (prefix, key))")
        with pytest.raises(ValueError, match=r"'store' that is none of LangGraph's.*created_at.*value"):
            await AiomemdbStore(db).aput(("a",), "k", {})
