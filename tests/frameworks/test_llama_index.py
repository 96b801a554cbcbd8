"""LlamaIndex on an aiomemdb database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import Memory
from llama_index.core.storage.chat_store.base_db import MessageStatus
from llama_index.core.storage.chat_store.sql import SQLAlchemyChatStore

import aiomemdb
from aiomemdb import SQLiteDatabase
from aiomemdb.integrations.llama_index import AiomemdbChatStore
from tests.frameworks.attacks import NO_KEYS, attack, refuses, survives_cancellations
from tests.frameworks.differential.harness import WAYS, Case
from tests.frameworks.differential.llama_index import LlamaCase, LlamaConversation
from tests.frameworks.examples import run_example, run_guide
from tests.frameworks.hostile import loses_nothing_to_a_kill
from tests.support.plain import plain


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        yield db


def says(*texts: str) -> list[ChatMessage]:
    return [ChatMessage(role="user", content=text) for text in texts]


async def said(store: Any, key: str = "a", status: MessageStatus | None = None) -> list[str | None]:
    return [message.content for message in await store.get_messages(key, status)]


@pytest.mark.parametrize("case", [LlamaCase])
@pytest.mark.parametrize("way", WAYS)
def test_random_steps_return_what_its_own_class_returns(way: Callable[[Case], None], case: type[Case]) -> None:
    way(case())


async def test_a_file_goes_to_llama_index_s_own_class_and_back(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await AiomemdbChatStore(db, "chat").add_messages("a", says("1", "2"))
    theirs = SQLAlchemyChatStore("chat", f"sqlite+aiosqlite:///{db_path}")
    await theirs.add_messages("a", says("3"))
    assert await said(theirs) == ["1", "2", "3"]
    await theirs._async_engine.dispose()  # type: ignore[union-attr]
    async with aiomemdb.connect(db_path) as db:
        store = AiomemdbChatStore(db, "chat")
        assert await said(store) == ["1", "2", "3"]
        await store.add_message("a", *says("4"))
        assert await said(store) == ["1", "2", "3", "4"]


async def test_the_table_is_that_of_llama_index_s_own_class(db_path: Path) -> None:
    theirs = SQLAlchemyChatStore("chat", f"sqlite+aiosqlite:///{db_path.with_name('theirs.db')}")
    await theirs.add_messages("a", says("1"))
    await theirs._async_engine.dispose()  # type: ignore[union-attr]
    async with aiomemdb.connect(db_path) as db:
        await AiomemdbChatStore(db, "chat").add_messages("a", says("1"))
    indexes = "SELECT name, tbl_name FROM sqlite_schema ORDER BY name"
    for sql in ("PRAGMA table_info(chat)", indexes):
        assert plain(db_path, sql) == plain(db_path.with_name("theirs.db"), sql)


async def test_a_message_is_deleted_by_the_id_of_its_row(db: SQLiteDatabase) -> None:
    store = AiomemdbChatStore(db)
    await store.add_messages("a", says("1", "2", "3"))
    ids = [row["id"] for row in await db.read("SELECT id FROM llama_index_memory ORDER BY id")]
    deleted = await store.delete_message("a", ids[1])
    assert deleted is not None and deleted.content == "2"
    assert await store.delete_message("a", ids[1]) is None
    assert await store.delete_message("b", ids[0]) is None  # it is another key's
    assert await said(store) == ["1", "3"]


async def test_messages_that_many_add_stay_together_in_order_also_where_the_clock_goes_back(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, times = AiomemdbChatStore(db), iter(range(10**9, 0, -1))
    monkeypatch.setattr("aiomemdb.integrations.llama_index._now", lambda: next(times))
    await asyncio.gather(*[store.add_messages("a", says(f"{n} 1", f"{n} 2")) for n in range(50)])
    assert await said(store) == [f"{n} {place}" for n in range(50) for place in (1, 2)]


async def test_messages_that_many_take_are_each_taken_once(db: SQLiteDatabase) -> None:
    one, other = AiomemdbChatStore(db), AiomemdbChatStore(db)
    await one.add_messages("a", says(*map(str, range(100))))
    taken = await asyncio.gather(*[(one, other)[n % 2].archive_oldest_messages("a", 7) for n in range(20)])
    assert [message.content for batch in taken for message in batch] == [str(n) for n in range(100)]
    assert len(await said(one, status=MessageStatus.ARCHIVED)) == 100


async def test_replacing_messages_is_one_job(db: SQLiteDatabase) -> None:
    store = AiomemdbChatStore(db)
    await store.add_messages("a", says("1", "2"))
    before = db.statistics().writes
    await store.set_messages("a", says("3"))
    assert db.statistics().writes == before + 1
    assert await said(store) == ["3"]


async def test_llama_index_s_memory_stands_on_it(db: SQLiteDatabase) -> None:
    store = AiomemdbChatStore(db)
    memory = Memory.from_defaults(session_id="a", chat_store=store, token_limit=50, tokenizer_fn=str.split)
    await memory.aput_messages(says(*["five words are in here"] * 20))
    assert len(await memory.aget()) < 20
    assert len(await store.get_messages("a", status=None)) == 20


async def test_a_store_says_what_it_is_without_its_database(db: SQLiteDatabase) -> None:
    assert AiomemdbChatStore(db, "chat").model_dump() == {"table_name": "chat"}
    assert AiomemdbChatStore.class_name() == "AiomemdbChatStore"


async def test_the_adapter_withstands_wrong_input(db_path: Path) -> None:
    await attack(
        db_path, AiomemdbChatStore, lambda store, text: store.add_messages("a", says(text)), "llama_index_memory"
    )


@pytest.mark.parametrize("name", ["", "a b", "a;DROP TABLE x", "sqlite\ud800", "1a", "é", 7])
async def test_a_name_that_no_table_can_have_is_an_error(db: SQLiteDatabase, name: Any) -> None:
    with pytest.raises(ValueError, match="table_name"):
        AiomemdbChatStore(db, name)


@pytest.mark.parametrize("key", [*NO_KEYS, "", 7])
async def test_a_key_that_can_t_be_kept_is_an_error(db: SQLiteDatabase, key: Any) -> None:
    store = AiomemdbChatStore(db)
    await store.add_messages("a", says("1"))
    await refuses(db, lambda: store.add_messages(key, says("2")), "key")
    await refuses(db, lambda: store.set_messages(key, []), "key")
    await refuses(db, lambda: store.get_messages(key), "key")
    await refuses(db, lambda: store.delete_message(key, 1), "key")


async def test_numbers_below_zero_are_an_error(db: SQLiteDatabase) -> None:
    store = AiomemdbChatStore(db)
    await store.add_messages("a", says("1"))
    await refuses(db, lambda: store.get_messages("a", limit=-1), "limit")
    await refuses(db, lambda: store.get_messages("a", offset=-1), "offset")
    await refuses(db, lambda: store.delete_oldest_messages("a", -1), "n=-1")


async def test_a_status_may_be_its_name_and_any_other_is_an_error(db: SQLiteDatabase) -> None:
    store = AiomemdbChatStore(db)
    name: Any = "archived"
    await store.add_messages("a", says("1"), name)
    assert await said(store, status=MessageStatus.ARCHIVED) == ["1"]
    wrong: Any = "lost"
    await refuses(db, lambda: store.add_messages("a", says("2"), wrong), "'lost'")
    await refuses(db, lambda: store.set_messages("a", says("2"), wrong), "'lost'")


async def test_calls_that_are_cancelled_leave_nothing_open(db: SQLiteDatabase) -> None:
    store = AiomemdbChatStore(db)
    await survives_cancellations(db, lambda number: store.add_messages("a", says("1", "2", "3")))
    assert await store.count_messages("a") % 3 == 0
    await survives_cancellations(db, lambda number: store.archive_oldest_messages("a", 2))


def test_the_example_loses_nothing(db_path: Path) -> None:
    assert run_example("llama_index_chats", db_path).startswith("640 messages in 64 chats")


async def test_four_processes_lose_nothing_though_one_is_killed(db_path: Path) -> None:
    await loses_nothing_to_a_kill(db_path, LlamaConversation)


def test_the_blocks_of_its_guide_run(tmp_path: Path) -> None:
    run_guide("guides/llama-index.md", tmp_path)
    assert list(tmp_path.glob("*.db"))
