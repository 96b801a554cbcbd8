"""The OpenAI Agents SDK on an aiomemdb database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from agents import SessionSettings
from agents.extensions.memory import AsyncSQLiteSession

import aiomemdb
from aiomemdb import SQLiteDatabase
from aiomemdb.integrations.openai_agents import AiomemdbSession
from tests.frameworks.attacks import NO_KEYS, attack, refuses, survives_cancellations
from tests.frameworks.differential.harness import WAYS, Case
from tests.frameworks.differential.openai_agents import OpenAICase, OpenAIConversation
from tests.frameworks.examples import run_example, run_guide
from tests.frameworks.hostile import loses_nothing_to_a_kill
from tests.support.plain import plain


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        yield db


def item(content: str) -> Any:
    return {"role": "user", "content": content}


@pytest.mark.parametrize("case", [OpenAICase])
@pytest.mark.parametrize("way", WAYS)
def test_random_steps_return_what_its_own_class_returns(way: Callable[[Case], None], case: type[Case]) -> None:
    way(case())


async def test_a_file_goes_to_the_sdk_s_own_class_and_back(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await AiomemdbSession("a", db).add_items([item("1"), item("2")])
    theirs = AsyncSQLiteSession("a", db_path)
    assert await theirs.get_items() == [item("1"), item("2")]
    assert await theirs.pop_item() == item("2")
    await theirs.add_items([item("3")])
    await theirs.close()
    async with aiomemdb.connect(db_path) as db:
        assert await AiomemdbSession("a", db).get_items() == [item("1"), item("3")]


async def test_the_tables_are_those_of_the_sdk_s_own_class(db_path: Path) -> None:
    theirs = AsyncSQLiteSession("a", db_path.with_name("theirs.db"))
    await theirs.add_items([item("1")])
    await theirs.close()
    async with aiomemdb.connect(db_path) as db:
        await AiomemdbSession("a", db).add_items([item("1")])
    for table in ("agent_sessions", "agent_messages"):
        for about in ("table_info", "foreign_key_list", "index_list"):
            sql = f"PRAGMA {about}({table})"
            assert plain(db_path, sql) == plain(db_path.with_name("theirs.db"), sql)


async def test_any_number_of_sessions_are_on_one_writer(db: SQLiteDatabase) -> None:
    sessions = [AiomemdbSession(f"{number}", db) for number in range(300)]
    before = threading.active_count()
    await asyncio.gather(*[session.add_items([item("1"), item("2")]) for session in sessions])
    assert threading.active_count() <= before + 4  # readers, as they are first needed
    assert db.statistics().batches < 150
    for session in sessions:
        assert await session.get_items() == [item("1"), item("2")]


async def test_a_corrupt_row_is_skipped_and_does_not_count(db: SQLiteDatabase) -> None:
    session = AiomemdbSession("a", db)
    corrupt = ["no json {{{", b"\xff\xfe\xfa", "[" * 100_000, b"no utf-8: \xff"]
    for number, data in enumerate(corrupt):
        await session.add_items([item(f"{number}")])
        sql = "INSERT INTO agent_messages (session_id, message_data) VALUES ('a', ?)"
        await db.write(sql, (data,))
        await db.write("UPDATE agent_messages SET message_data = CAST(message_data AS TEXT)")
    assert await session.get_items() == [item("0"), item("1"), item("2"), item("3")]
    assert await session.get_items(limit=2) == [item("2"), item("3")]
    assert await session.pop_item() == item("3")
    assert await db.read_value("SELECT count(*) FROM agent_messages") == 6  # what was corrupt behind it went too


async def test_items_of_a_call_stay_together_and_in_order(db: SQLiteDatabase) -> None:
    async def agent(number: int) -> None:
        await AiomemdbSession("a", db).add_items([item(f"{number} {place}") for place in range(5)])

    await asyncio.gather(*[agent(number) for number in range(50)])
    said = [given["content"] for given in await AiomemdbSession("a", db).get_items()]  # type: ignore[typeddict-item]
    assert said == [f"{number} {place}" for number in range(50) for place in range(5)]


async def test_each_call_that_writes_is_one_job(db: SQLiteDatabase) -> None:
    session = AiomemdbSession("a", db)
    await session.add_items([item("0")])
    before = db.statistics().writes
    await session.add_items([item("1"), item("2"), item("3")])
    await session.pop_item()
    await session.clear_session()
    assert db.statistics().writes == before + 3


@pytest.mark.parametrize("settings", [{"limit": 2}, SessionSettings(limit=2)])
async def test_settings_are_an_object_or_a_dict(db: SQLiteDatabase, settings: Any) -> None:
    session = AiomemdbSession("a", db, session_settings=settings)
    assert session.session_settings == SessionSettings(limit=2)
    await session.add_items([item("1"), item("2"), item("3")])
    assert await session.get_items() == [item("2"), item("3")]
    assert await session.get_items(limit=1) == [item("3")]


async def test_closing_ends_the_session_alone_and_may_be_done_twice(db: SQLiteDatabase) -> None:
    session, other = AiomemdbSession("a", db), AiomemdbSession("a", db)
    await session.add_items([item("1")])
    await asyncio.gather(session.close(), session.close())
    for call in (session.get_items, session.pop_item, session.clear_session, lambda: session.add_items([])):
        with pytest.raises(RuntimeError, match="AiomemdbSession is closed"):
            await call()
    assert await other.get_items() == [item("1")]


async def test_the_adapter_withstands_wrong_input(db_path: Path) -> None:
    await attack(
        db_path,
        lambda db: AiomemdbSession("a", db),
        lambda session, text: session.add_items([item(text)]),
        "agent_messages",
    )


@pytest.mark.parametrize("name", [*NO_KEYS, "", 7])
async def test_a_session_id_that_can_t_be_kept_is_an_error(db: SQLiteDatabase, name: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="session_id"):
        AiomemdbSession(name, db)


@pytest.mark.parametrize("limit", [-1, 1.5, "1", 2**63, True])
async def test_a_limit_that_is_none_is_an_error(db: SQLiteDatabase, limit: Any) -> None:
    session = AiomemdbSession("a", db)
    await session.add_items([item("1")])
    await refuses(db, lambda: session.get_items(limit), "limit")


async def test_an_item_that_is_no_json_is_an_error_and_so_is_its_call(db: SQLiteDatabase) -> None:
    session = AiomemdbSession("a", db)
    await session.add_items([item("1")])
    wrong: Any = {"role": "user", "content": {1, 2}}
    await refuses(db, lambda: session.add_items([item("2"), wrong]), "JSON")
    nothing: Any = None
    await refuses(db, lambda: session.add_items([item("2"), nothing]), r"items\[1\] is None")
    text: Any = "ab"
    await refuses(db, lambda: session.add_items(text), "items='ab'")


async def test_calls_that_are_cancelled_leave_nothing_open(db: SQLiteDatabase) -> None:
    session = AiomemdbSession("a", db)
    await survives_cancellations(db, lambda number: session.add_items([item(f"{number}")] * 3))
    await survives_cancellations(db, lambda number: session.pop_item() if number % 2 else session.get_items())


def test_the_example_loses_nothing(db_path: Path) -> None:
    assert run_example("openai_agents_sessions", db_path).startswith(
        "64 sessions; the last answers: I was sent 9 messages\n640 items"
    )


async def test_four_processes_lose_nothing_though_one_is_killed(db_path: Path) -> None:
    await loses_nothing_to_a_kill(db_path, OpenAIConversation)


def test_the_blocks_of_its_guide_run(tmp_path: Path) -> None:
    run_guide(
        "guides/openai-agents.md",
        tmp_path,
        """
        from agents import Agent, set_tracing_disabled
        from openai_agents_sessions import FakeModel
        set_tracing_disabled(True)
        agent = Agent(name="helper", model=FakeModel())
    """,
    )
    assert list(tmp_path.glob("*.db"))
