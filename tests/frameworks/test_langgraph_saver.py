"""LangGraph's checkpointer on an aiomemdb database."""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import ERROR, BaseCheckpointSaver

import aiomemdb
from aiomemdb.integrations.langgraph import AiomemdbSaver
from tests.frameworks.langgraph_values import at, checkpoint, known
from tests.support.cancelling import Way, cancelled_at, suspension_points
from tests.support.plain import assert_healthy, plain
from tests.support.whole import assert_whole


@pytest.fixture
async def saver(tmp_path: Path) -> AsyncIterator[AiomemdbSaver]:
    async with AiomemdbSaver.from_conn_string(str(tmp_path / "a.db")) as saver:
        yield saver


async def ids(saver: AiomemdbSaver, *args: Any, **kwargs: Any) -> list[str]:
    return [found.config["configurable"]["checkpoint_id"] async for found in saver.alist(*args, **kwargs)]


async def test_a_checkpoint_is_one_write_and_so_are_all_writes_of_a_task(saver: AiomemdbSaver) -> None:
    await saver.setup()
    before = saver.db.statistics().writes
    config = await saver.aput(at("t"), checkpoint("1", {"a": 1}), {"step": 1}, {})
    await saver.aput_writes(config, [("a", number) for number in range(9)], "task")
    assert saver.db.statistics().writes == before + 2
    found = await saver.aget_tuple(at("t"))
    assert found is not None
    assert found.checkpoint["channel_values"] == {"a": 1} and found.metadata == {"step": 1}
    assert found.pending_writes == [("task", "a", number) for number in range(9)]


async def test_a_put_inside_a_listing_goes_through(saver: AiomemdbSaver) -> None:
    for number in range(5):
        await saver.aput(at("t"), checkpoint(f"{number}"), {}, {})
    seen = []
    async for found in saver.alist(at("t")):
        seen.append(found.checkpoint["id"])
        await saver.aput(at("t"), checkpoint(f"later {len(seen)}"), {}, {})
    assert seen == ["4", "3", "2", "1", "0"]


async def test_a_listing_goes_over_many_pages_in_order_and_holds_nothing_while_it_yields(saver: AiomemdbSaver) -> None:
    names = [f"{number:04}" for number in range(300)]
    for number, name in enumerate(names):
        await saver.aput(at(f"t{number % 3}", f"ns{number % 2}"), checkpoint(name), {"step": number % 5}, {})
    assert await ids(saver, None) == names[::-1]
    assert await ids(saver, None, filter={"step": 2}) == names[2::5][::-1]
    assert await ids(saver, at("t1", "ns1")) == names[1::6][::-1]
    assert await ids(saver, None, limit=70, before=at("t", checkpoint_id="0200")) == names[130:200][::-1]
    async for _ in saver.alist(None):
        assert saver.db.statistics().readers_busy == 0
        break
    await assert_whole(saver.db)


async def test_checkpoints_of_one_id_in_many_threads_are_all_listed(saver: AiomemdbSaver) -> None:
    for number in range(100):
        await saver.aput(at(number), checkpoint("same"), {}, {})
    found = [one.config["configurable"]["thread_id"] async for one in saver.alist(None)]
    assert sorted(found, key=int) == [str(number) for number in range(100)]


@pytest.mark.parametrize(
    "filter",
    [
        {"score": 1},
        {"score": None},
        {"score": 0.1},
        {"score": True},
        {"text": 'a "quoted" \\ text'},
        {"text": "ü"},
        {'a "key"': "x"},
        {"a.b": 1},
        {"nested": {"b": 2, "a": 1}},
        {"list": [1, 2]},
        {"list": [2, 1]},
        {"big": 2**70},
        {"score": 1, "text": "ü"},
    ],
)
async def test_a_filter_finds_what_its_values_equal(saver: AiomemdbSaver, filter: dict[str, Any]) -> None:
    metadata: list[dict[str, Any]] = [
        {"score": 1, "text": "ü"},
        {"score": 0.1, "text": 'a "quoted" \\ text'},
        {"score": None},
        {},
        {'a "key"': "x"},
        {"a.b": 1, "nested": {"a": 1, "b": 2}},
        {"a": {"b": 1}, "list": [1, 2]},
        {"big": 2**70},
    ]
    for number, one in enumerate(metadata):
        await saver.aput(at("t"), checkpoint(str(number)), one, {})  # type: ignore[arg-type]
    expected = [n for n, one in enumerate(metadata) if all(one.get(key) == value for key, value in filter.items())]
    assert await ids(saver, at("t"), filter=filter) == [str(number) for number in reversed(expected)]


@pytest.mark.parametrize("score", [math.nan, math.inf])
async def test_metadata_that_are_no_json_to_sqlite_are_found_and_harm_no_other_thread(
    saver: AiomemdbSaver, score: float
) -> None:
    for thread in ("t", "u"):
        for number, run in enumerate(("a", "b")):
            metadata: Any = {"source": "loop", "run_id": run, **({"score": score} if thread == "u" else {})}
            config = await saver.aput(at(thread), checkpoint(f"{thread}{number}"), metadata, {})
            await saver.aput_writes(config, [("a", 1)], "task")
    await saver.db.write("UPDATE checkpoints SET metadata = NULL WHERE checkpoint_id = 't1'")
    assert await ids(saver, None, filter={"source": "loop"}) == ["u1", "u0", "t0"]
    assert await ids(saver, None, filter={"source": "loop", "run_id": "b"}) == ["u1"]
    await saver.adelete_for_runs(["b"])
    assert await ids(saver, None) == ["u0", "t1", "t0"]
    assert await saver.db.read_value("SELECT group_concat(checkpoint_id) FROM writes") == "t0,t1,u0"
    await saver.db.write("UPDATE checkpoints SET metadata = ? WHERE checkpoint_id = 'u0'", (b"\xff {",))
    await saver.adelete_for_runs(["a"])
    assert await saver.db.read_value("SELECT group_concat(checkpoint_id) FROM checkpoints") == "t1,u0"


async def test_what_a_task_wrote_stays_and_its_error_is_replaced(saver: AiomemdbSaver) -> None:
    config = await saver.aput(at("t"), checkpoint("1"), {}, {})
    await saver.aput_writes(config, [("a", "first"), (ERROR, "first")], "task")
    await saver.aput_writes(config, [("a", "second"), (ERROR, "second")], "task")
    found = await saver.aget_tuple(config)
    assert found is not None and sorted(found.pending_writes or []) == [
        ("task", ERROR, "second"),
        ("task", "a", "first"),
    ]


async def test_pruning_leaves_the_latest_of_each_namespace_of_these_threads_alone(saver: AiomemdbSaver) -> None:
    for thread in ("t", "other"):
        for namespace in ("", "child"):
            for name in "abc":
                await saver.aput_writes(
                    await saver.aput(at(thread, namespace), checkpoint(name), {}, {}), [("x", name)], "task"
                )
    await saver.aprune(["t"])
    assert await ids(saver, at("t", "")) == ["c"] and await ids(saver, at("t", "child")) == ["c"]
    assert len(await ids(saver, {"configurable": {"thread_id": "other"}})) == 6
    assert await saver.db.read_value("SELECT count(*) FROM writes WHERE thread_id = 't'") == 2
    await saver.aprune(["t"], strategy="delete")
    assert await ids(saver, {"configurable": {"thread_id": "t"}}) == []


async def test_pruning_leaves_the_ancestors_that_a_delta_channel_is_put_together_from(saver: AiomemdbSaver) -> None:
    config: Any = at("t")
    for name, values in (("1", {}), ("2", {"log": "snapshot"}), ("3", {}), ("4", {})):
        counters = {} if values else {"counters_since_delta_snapshot": {"log": [1, 1]}}
        config = await saver.aput(config, checkpoint(name, values), counters, {})  # type: ignore[arg-type]
        await saver.aput_writes(config, [("log", f"after {name}")], "task")
    before = await saver.aget_delta_channel_history(config=config, channels=["log"])
    await saver.aprune(["t"])
    assert await ids(saver, at("t")) == ["4", "3", "2"]
    assert await saver.aget_delta_channel_history(config=config, channels=["log"]) == before
    assert before["log"] == {"seed": "snapshot", "writes": [("task", "log", f"after {n}") for n in (2, 3)]}


async def test_the_history_of_a_delta_channel_is_that_of_the_framework_s_own_walk(saver: AiomemdbSaver) -> None:
    config: Any = at("t")
    for number in range(8):
        values = {"a": f"value {number}"} if number == 3 else {}
        config = await saver.aput(config, checkpoint(f"{9 - number}", values), {}, {})
        await saver.aput_writes(config, [("a", number), ("b", number)], f"task {number % 3}", f"path {number % 2}")
    walked = await saver.aget_delta_channel_history(config=config, channels=["a", "b", "c"])
    assert walked == await BaseCheckpointSaver.aget_delta_channel_history(
        saver, config=config, channels=["a", "b", "c"]
    )


async def test_a_chain_of_parents_that_closes_into_a_ring_ends(saver: AiomemdbSaver) -> None:
    first = await saver.aput(at("t"), checkpoint("1"), {}, {})
    second = await saver.aput(first, checkpoint("2"), {}, {})
    await saver.aput(second, checkpoint("1"), {}, {})
    assert await saver.aget_delta_channel_history(config=second, channels=["a"]) == {"a": {"writes": []}}


async def test_synchronous_methods_work_from_another_thread_and_raise_on_the_loop_s_own(saver: AiomemdbSaver) -> None:
    def use() -> list[Any]:
        config = saver.put(at("t"), checkpoint("1", {"a": 1}), {"run_id": "r"}, {})
        saver.put_writes(config, [("a", 2)], "task")
        saver.copy_thread("t", "u")
        assert saver.get_delta_channel_history(config=config, channels=["a"]) == {"a": {"writes": []}}
        listed = [known(found) for found in saver.list(None)]
        saver.prune(["t"])
        saver.delete_thread("u")
        saver.delete_for_runs(["r"])
        assert saver.get_tuple(config) is None
        return listed

    listed = await asyncio.to_thread(use)
    assert [one[0] for one in listed] == [("u", "", "1"), ("t", "", "1")]
    for method in (
        lambda: saver.put(at("t"), checkpoint("1"), {}, {}),
        lambda: saver.get_tuple(at("t")),
        lambda: next(iter(saver.list(None))),
        lambda: saver.delete_thread("t"),
    ):
        with pytest.raises(asyncio.InvalidStateError):
            method()


async def test_a_saver_made_before_its_database_is_opened_works(tmp_path: Path) -> None:
    db = aiomemdb.connect(tmp_path / "a.db")
    saver = await asyncio.to_thread(AiomemdbSaver, db)
    with pytest.raises(aiomemdb.DatabaseClosed):
        await saver.aget_tuple(at("t"))
    async with db:
        await saver.aput(at("t"), checkpoint("1"), {}, {})
        assert await asyncio.to_thread(saver.get_tuple, at("t")) is not None
    with pytest.raises(aiomemdb.DatabaseClosed):
        await saver.aput(at("t"), checkpoint("2"), {}, {})


async def test_setting_up_does_not_wait_for_another_writer(tmp_path: Path) -> None:
    async with AiomemdbSaver.from_conn_string(str(tmp_path / "a.db")) as saver:
        await saver.setup()
        async with aiomemdb.connect(tmp_path / "a.db") as other, other.transaction() as tx:
            await tx.write("DELETE FROM writes")
            fresh = AiomemdbSaver(await aiomemdb.connect(tmp_path / "a.db"))
            assert await fresh.aget_tuple(at("t")) is None
            await fresh.db.close()


@pytest.mark.parametrize("way", Way)
async def test_a_cancelled_put_is_whole_or_not_there_and_the_file_stays_free(tmp_path: Path, way: Way) -> None:
    async with AiomemdbSaver.from_conn_string(str(tmp_path / "a.db")) as saver:
        for k in suspension_points():
            name = f"{k:03}"

            async def put(name: str = name) -> None:
                config = await saver.aput(at("t"), checkpoint(name, {"a": name}), {}, {})
                await saver.aput_writes(config, [("a", 1), ("a", 2)], "task")

            is_cancelled = await cancelled_at(k, way, put())
            await saver.db.flush()
            found = await saver.aget_tuple(at("t", checkpoint_id=name))
            writes = found and found.pending_writes
            assert writes in (None, [], [("task", "a", 1), ("task", "a", 2)])
            await saver.aput(at("u"), checkpoint(name), {}, {})  # the next one is not harmed
            if not is_cancelled:
                assert writes
                break
        await assert_whole(saver.db)
    assert_healthy(tmp_path / "a.db")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: s.aput({"configurable": {}}, checkpoint("1"), {}, {}), ValueError, "thread_id"),
        (lambda s: s.aput({}, checkpoint("1"), {}, {}), ValueError, "thread_id"),
        (lambda s: s.aget_tuple({"configurable": {"checkpoint_ns": ""}}), ValueError, "thread_id"),
        (lambda s: s.aput(at("a\0b"), checkpoint("1"), {}, {}), ValueError, "thread_id.*NUL"),
        (lambda s: s.aput(at("\ud800"), checkpoint("1"), {}, {}), ValueError, "thread_id.*surrogate"),
        (lambda s: s.aput(at("t", "\ud800"), checkpoint("1"), {}, {}), ValueError, "checkpoint_ns.*surrogate"),
        (lambda s: s.aput(at("t"), checkpoint("\0"), {}, {}), ValueError, "checkpoint id.*NUL"),
        (lambda s: s.aput(at("t"), checkpoint("1"), {"x": object()}, {}), TypeError, "serializable"),
        (lambda s: s.aput(at("t"), checkpoint("1", {"x": "x" * 2_000_000}), {}, {}), sqlite3.DataError, "too big"),
        (lambda s: s.aput_writes(at("t"), [("a", 1)], "task"), ValueError, "checkpoint_id"),
        (lambda s: s.aput_writes(at("t", checkpoint_id="1"), [("a\0", 1)], "task"), ValueError, "channel.*NUL"),
        (lambda s: s.aput_writes(at("t", checkpoint_id="1"), [("a", 1)], "\ud800"), ValueError, "task id"),
        (
            lambda s: s.aput_writes(at("t", checkpoint_id="1"), [("a", 1), ("a", object())], "x"),
            TypeError,
            "serializable",
        ),
        (lambda s: s.aget_tuple(None), ValueError, "thread_id"),
        (lambda s: s.aput(at("t"), {**checkpoint("1"), "id": None}, {}, {}), ValueError, "checkpoint id is missing"),
        (lambda s: s.aput_writes(at("t", checkpoint_id="1"), [("a", 1)], None), ValueError, "task id is missing"),
        (lambda s: s.adelete_thread(None), ValueError, "thread_id is missing"),
        (lambda s: s.acopy_thread("t", None), ValueError, "thread_id is missing"),
        (lambda s: s.aprune(["t"], strategy="keep_most"), ValueError, "strategy"),
        (lambda s: s.aprune("thread"), TypeError, "thread_ids"),
        (lambda s: s.adelete_for_runs("run"), TypeError, "run_ids"),
    ],
)
async def test_bad_input_is_an_error_at_the_call_and_nothing_is_written(
    tmp_path: Path, call: Any, error: type[Exception], message: str
) -> None:
    path = tmp_path / "a.db"
    async with AiomemdbSaver.from_conn_string(str(path), max_value_bytes=1_000_000) as saver:
        await saver.setup()
        with pytest.raises(error, match=message):
            await call(saver)
    assert plain(path, "SELECT count(*) FROM checkpoints") == plain(path, "SELECT count(*) FROM writes") == [(0,)]


@pytest.mark.parametrize(("limit", "error"), [(-1, ValueError), ("1", TypeError), (True, TypeError), (1.5, TypeError)])
async def test_a_limit_that_is_none_is_an_error_at_the_call(
    saver: AiomemdbSaver, limit: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match="limit"):
        saver.alist(None, limit=limit)
    assert await ids(saver, None, limit=0) == []


async def test_a_filter_that_is_none_is_an_error_at_the_call(saver: AiomemdbSaver) -> None:
    with pytest.raises(TypeError, match="filter='abc'"):
        saver.alist(None, filter="abc")  # type: ignore[arg-type]


async def test_a_file_with_other_tables_of_the_names_is_an_error_that_names_the_column(tmp_path: Path) -> None:
    async with aiomemdb.connect(tmp_path / "a.db") as db:
        await db.write_script("CREATE TABLE checkpoints (id INTEGER PRIMARY KEY, thread_id TEXT)")
        saver = AiomemdbSaver(db)
        with pytest.raises(ValueError, match=r"'checkpoints' that is none of LangGraph's.*checkpoint_id"):
            await saver.aput(at("t"), checkpoint("1"), {}, {})
        assert await db.read_value("SELECT count(*) FROM sqlite_schema WHERE name = 'writes'") == 0


def test_what_is_no_database_is_refused() -> None:
    with pytest.raises(TypeError, match=r"AiomemdbSaver.*aiomemdb\.connect"):
        AiomemdbSaver("agents.db")  # type: ignore[arg-type]


async def test_what_is_kept_is_never_unpickled(saver: AiomemdbSaver) -> None:
    await saver.aput(at("t"), checkpoint("1"), {}, {})
    import pickle

    await saver.db.write("UPDATE checkpoints SET type = 'pickle', checkpoint = ?", (pickle.dumps({}),))
    with pytest.raises(NotImplementedError):
        await saver.aget_tuple(at("t"))
