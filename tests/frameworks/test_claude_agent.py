"""The Claude Agent SDK on an aiomemdb database."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from claude_agent_sdk.testing import run_session_store_conformance

import aiomemdb
from aiomemdb import SQLiteDatabase
from aiomemdb.integrations.claude_agent import AiomemdbSessionStore
from tests.frameworks.attacks import NO_KEYS, attack, refuses, survives_cancellations
from tests.frameworks.differential.claude_agent import ClaudeCase, ClaudeConversation
from tests.frameworks.differential.harness import WAYS, Case
from tests.frameworks.examples import run_example, run_guide
from tests.frameworks.hostile import loses_nothing_to_a_kill

KEY: Any = {"project_key": "p", "session_id": "s"}
SUB: Any = {**KEY, "subpath": "subagents/agent-1"}


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        yield db


def entry(uuid: str | None = None, **more: Any) -> Any:
    return {"type": "user"} | ({} if uuid is None else {"uuid": uuid}) | more


@pytest.mark.parametrize("case", [ClaudeCase])
@pytest.mark.parametrize("way", WAYS)
def test_random_steps_return_what_its_own_class_returns(way: Callable[[Case], None], case: type[Case]) -> None:
    way(case())


async def test_it_passes_the_sdk_s_own_conformance_tests(tmp_path: Path) -> None:
    opened: list[SQLiteDatabase] = []

    async def make() -> AiomemdbSessionStore:
        opened.append(await aiomemdb.connect(tmp_path / f"{len(opened)}.db"))
        return AiomemdbSessionStore(opened[-1])

    try:
        await run_session_store_conformance(make)  # skips nothing: all six methods are there
    finally:
        for db in opened:
            await db.close()
    assert len(opened) == 15  # one to see which methods there are, and one for each of the fourteen


async def test_an_entry_with_a_uuid_is_stored_once_for_each_transcript(db: SQLiteDatabase) -> None:
    store = AiomemdbSessionStore(db)
    batch = [entry("a", n=1), entry(n=2), entry("a", n=3)]
    await store.append(KEY, batch)
    await store.append(KEY, batch)
    await store.append(SUB, batch)
    assert await store.load(KEY) == [entry("a", n=1), entry(n=2), entry(n=2)]
    assert await store.load(SUB) == [entry("a", n=1), entry(n=2)]


async def test_a_batch_that_is_sent_again_does_not_turn_the_summary_back(db: SQLiteDatabase) -> None:
    store = AiomemdbSessionStore(db)
    old = [entry("a", customTitle="old")]
    await store.append(KEY, old)
    await store.append(KEY, [entry("b", customTitle="new")])
    await store.append(KEY, [*old, entry("c")])
    [summary] = await store.list_session_summaries("p")
    assert summary["data"]["custom_title"] == "new"


async def test_many_that_append_at_once_are_one_summary_and_lose_no_entry(db: SQLiteDatabase) -> None:
    one, other = AiomemdbSessionStore(db), AiomemdbSessionStore(db)
    batches = [[entry(f"{number}", customTitle=f"{number}")] for number in range(200)]
    await asyncio.gather(*[store.append(KEY, batch) for batch, store in zip(batches, itertools.cycle([one, other]))])
    loaded = await one.load(KEY)
    assert loaded == [batch[0] for batch in batches]  # in the order of the calls
    [summary] = await one.list_session_summaries("p")
    [listed] = await one.list_sessions("p")
    assert summary["data"]["custom_title"] == "199" and summary["mtime"] == listed["mtime"]


async def test_an_append_is_one_job(db: SQLiteDatabase) -> None:
    store = AiomemdbSessionStore(db)
    await store.append(KEY, [entry("a")])
    before = db.statistics().writes
    await store.append(KEY, [entry("b"), entry("c"), entry(customTitle="t")])
    assert db.statistics().writes == before + 1


async def test_each_append_of_a_project_has_a_later_time(db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    store, times = AiomemdbSessionStore(db), []
    clock = iter([5_000_000_000_000_000_000, 4_000_000_000_000_000_000, 4_000_000_000_000_000_000])
    monkeypatch.setattr("aiomemdb.integrations.claude_agent._now", lambda: next(clock) // 1_000_000)
    for session in "abc":
        await store.append({"project_key": "p", "session_id": session}, [entry()])
        times.append(max(listed["mtime"] for listed in await store.list_sessions("p")))
    assert times == [5_000_000_000_000, 5_000_000_000_001, 5_000_000_000_002]


async def test_what_the_caller_changes_afterwards_is_not_stored(db: SQLiteDatabase) -> None:
    store = AiomemdbSessionStore(db)
    given = entry("a", customTitle="as given")
    task = asyncio.create_task(store.append(KEY, [given]))
    await asyncio.sleep(0)
    given["customTitle"] = "changed"
    await task
    [summary] = await store.list_session_summaries("p")
    assert summary["data"]["custom_title"] == "as given"


async def test_deleting_a_session_cascades_though_foreign_keys_are_off(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, pragmas={"foreign_keys": False}) as db:
        store = AiomemdbSessionStore(db)
        for key in (KEY, SUB):
            await store.append(key, [entry("a")])
        await store.delete(KEY)
        assert await store.load(KEY) is None and await store.load(SUB) is None
        assert await db.read_value("SELECT count(*) FROM claude_entry") == 0


async def test_the_adapter_withstands_wrong_input(db_path: Path) -> None:
    await attack(
        db_path, AiomemdbSessionStore, lambda store, text: store.append(KEY, [entry(content=text)]), "claude_entry"
    )


@pytest.mark.parametrize("name", ["project_key", "session_id", "subpath"])
@pytest.mark.parametrize("value", [*NO_KEYS, 7])
async def test_a_key_that_can_t_be_kept_is_an_error(db: SQLiteDatabase, name: str, value: Any) -> None:
    store = AiomemdbSessionStore(db)
    await store.append(KEY, [entry()])
    await refuses(db, lambda: store.append({**KEY, name: value}, [entry()]), name)
    await refuses(db, lambda: store.load({**KEY, name: value}), name)
    await refuses(db, lambda: store.delete({**KEY, name: value}), name)


async def test_a_key_without_a_session_is_an_error(db: SQLiteDatabase) -> None:
    store = AiomemdbSessionStore(db)
    key: Any = {"project_key": "p"}
    await refuses(db, lambda: store.append(key, [entry()]), "session_id")
    await refuses(db, lambda: store.append({**KEY, "session_id": ""}, [entry()]), "session_id")


@pytest.mark.parametrize("wrong", ["text", entry(n={1, 2}), entry("half \ud800")])
async def test_an_entry_that_can_t_be_kept_is_an_error_and_so_is_its_batch(db: SQLiteDatabase, wrong: Any) -> None:
    store = AiomemdbSessionStore(db)
    await store.append(KEY, [entry("a")])
    await refuses(db, lambda: store.append(KEY, [entry("b"), wrong]), "entry|JSON|uuid")
    assert await store.load(KEY) == [entry("a")]


async def test_appends_that_are_cancelled_leave_nothing_open(db: SQLiteDatabase) -> None:
    store = AiomemdbSessionStore(db)
    await survives_cancellations(db, lambda number: store.append(KEY, [entry(f"{number}"), entry(n=number)]))
    loaded = await store.load(KEY) or []
    assert len(loaded) % 2 == 0


def test_the_example_loses_nothing(db_path: Path) -> None:
    assert run_example("claude_agent_sessions", db_path).startswith("64 sessions\n640 messages")


async def test_four_processes_lose_nothing_though_one_is_killed(db_path: Path) -> None:
    await loses_nothing_to_a_kill(db_path, ClaudeConversation)


def test_the_blocks_of_its_guide_run(tmp_path: Path) -> None:
    run_guide("guides/claude-agent.md", tmp_path)
    assert list(tmp_path.glob("*.db"))
