"""LangGraph's cache on an aiomemdb database."""

from __future__ import annotations

import asyncio
import math
import pickle
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb.integrations.langgraph import AiomemdbCache
from tests.support.cancelling import Way, cancelled_at, suspension_points
from tests.support.plain import assert_healthy
from tests.support.whole import assert_whole


@pytest.fixture
async def cache(tmp_path: Path) -> AsyncIterator[AiomemdbCache[Any]]:
    async with AiomemdbCache[Any].from_conn_string(str(tmp_path / "a.db")) as cache:
        yield cache


async def test_what_is_set_is_found_in_one_job_and_one_read(cache: AiomemdbCache[Any]) -> None:
    await cache.setup()
    before = cache.db.statistics().writes
    await cache.aset({(("a",), f"{n}"): ({"n": n}, None) for n in range(50)})
    assert cache.db.statistics().writes == before + 1
    assert await cache.aget([(("a",), "3"), (("a",), "49"), (("b",), "3")]) == {
        (("a",), "3"): {"n": 3},
        (("a",), "49"): {"n": 49},
    }
    assert await cache.aget([]) == {}
    await cache.aset({})


async def test_a_namespace_is_data(cache: AiomemdbCache[Any]) -> None:
    namespaces = [("a", "b"), ("a,b",), ('a","b',), ("ab",), ("a", "b", ""), ("ü",), ()]
    await cache.aset({(namespace, "k"): (str(namespace), None) for namespace in namespaces})
    found = await cache.aget([(namespace, "k") for namespace in namespaces])
    assert found == {(namespace, "k"): str(namespace) for namespace in namespaces}
    await cache.aclear([("a", "b")])
    assert set(await cache.aget([(namespace, "k") for namespace in namespaces])) == {
        (namespace, "k") for namespace in namespaces[1:]
    }
    await cache.aclear()
    assert await cache.aget([(namespace, "k") for namespace in namespaces]) == {}


async def test_a_ttl_is_in_seconds_and_what_has_expired_is_not_found_and_forgotten(cache: AiomemdbCache[Any]) -> None:
    await cache.aset({(("a",), "short"): (1, 60), (("a",), "long"): (2, 3600), (("a",), "never"): (3, None)})
    await cache.db.write("UPDATE cache SET expiry = expiry - 61")
    assert await cache.aget([(("a",), key) for key in ("short", "long", "never")]) == {
        (("a",), "long"): 2,
        (("a",), "never"): 3,
    }
    await cache.aset({(("a",), "more"): (4, None)})
    assert await cache.db.read_value("SELECT count(*) FROM cache") == 3


async def test_synchronous_methods_work_from_another_thread_and_raise_on_the_loop_s_own(
    cache: AiomemdbCache[Any],
) -> None:
    def use() -> list[Any]:
        cache.set({(("a",), "k"): (1, None)})
        found = [cache.get([(("a",), "k")])]
        cache.clear([("a",)])
        return [*found, cache.get([(("a",), "k")])]

    assert await asyncio.to_thread(use) == [{(("a",), "k"): 1}, {}]
    for method in (lambda: cache.get([(("a",), "k")]), lambda: cache.set({}), cache.clear):
        with pytest.raises(asyncio.InvalidStateError):
            method()


@pytest.mark.parametrize("way", Way)
async def test_a_cancelled_set_is_whole_or_not_there(tmp_path: Path, way: Way) -> None:
    async with AiomemdbCache[Any].from_conn_string(str(tmp_path / "a.db")) as cache:
        for k in suspension_points():
            keys = [((f"n{k}",), key) for key in "abc"]
            is_cancelled = await cancelled_at(k, way, cache.aset({key: (1, None) for key in keys}))
            await cache.db.flush()
            assert len(await cache.aget(keys)) in ((0, 3) if is_cancelled else (3,))
            if not is_cancelled:
                break
        await assert_whole(cache.db)
    assert_healthy(tmp_path / "a.db")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: c.aset({(("a\0",), "k"): (1, None)}), ValueError, "label.*NUL"),
        (lambda c: c.aset({(("a",), "k"): (1, None), (("a",), "\ud800"): (1, None)}), ValueError, "key.*surrogate"),
        (lambda c: c.aget([("ab", "k")]), TypeError, "namespace='ab'"),
        (lambda c: c.aset({(("a",), "k"): (object(), None)}), TypeError, "serializable"),
        (lambda c: c.aclear(["ab"]), TypeError, "namespace='ab'"),
        (lambda c: c.aset({(("a",), None): (1, None)}), ValueError, "key is missing"),
        (lambda c: c.aset({(("a",), "k"): (1, "5")}), TypeError, "ttl='5' of 'k'"),
        (lambda c: c.aset({(("a",), "k"): (1, math.nan)}), ValueError, "ttl=nan of 'k'"),
    ],
)
async def test_bad_input_is_an_error_at_the_call_and_nothing_is_written(
    cache: AiomemdbCache[Any], call: Any, error: type[Exception], message: str
) -> None:
    await cache.setup()
    with pytest.raises(error, match=message):
        await call(cache)
    assert await cache.db.read("SELECT * FROM cache") == []


async def test_what_is_kept_is_never_unpickled(cache: AiomemdbCache[Any]) -> None:
    await cache.aset({(("a",), "k"): (1, None)})
    await cache.db.write("UPDATE cache SET encoding = 'pickle', val = ?", (pickle.dumps(1),))
    with pytest.raises(NotImplementedError):
        await cache.aget([(("a",), "k")])


async def test_a_file_with_another_table_of_the_name_is_an_error_that_names_the_column(tmp_path: Path) -> None:
    async with aiomemdb.connect(tmp_path / "a.db") as db:
        await db.write_script("CREATE TABLE cache (ns TEXT, key TEXT, val BLOB, PRIMARY KEY (ns, key))")
        with pytest.raises(ValueError, match=r"'cache' that is none of LangGraph's.*encoding, expiry"):
            await AiomemdbCache[Any](db).aget([(("a",), "k")])
