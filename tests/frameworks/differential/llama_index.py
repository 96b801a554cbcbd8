"""Steps on chat stores of LlamaIndex."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.storage.chat_store.base_db import MessageStatus
from llama_index.core.storage.chat_store.sql import SQLAlchemyChatStore

from aiomemdb import SQLiteDatabase
from aiomemdb.integrations.llama_index import AiomemdbChatStore
from tests.frameworks.differential.harness import Step

KEYS = ["a", "b"]

keys = st.sampled_from(KEYS)
statuses = st.sampled_from(["active", "archived"])
texts = st.text(st.characters(codec="utf-8"), max_size=6)
messages = st.tuples(st.sampled_from(["user", "assistant", "tool"]), texts)
several = st.lists(messages, max_size=4)


class LlamaCase:
    steps: st.SearchStrategy[Step] = st.one_of(
        st.tuples(st.just("add_message"), st.tuples(keys, messages, statuses)),
        st.tuples(st.just("add_messages"), st.tuples(keys, st.lists(messages, min_size=1, max_size=4), statuses)),
        st.tuples(st.just("set_messages"), st.tuples(keys, several, statuses)),
        st.tuples(st.just("get_messages"), st.tuples(keys, st.none() | statuses, st.integers(0, 4), st.integers(0, 3))),
        st.tuples(st.just("count_messages"), st.tuples(keys, st.none() | statuses)),
        st.tuples(st.just("delete_message"), st.tuples(keys, st.integers(1, 8))),
        st.tuples(st.just("delete_messages"), st.tuples(keys, st.none() | statuses)),
        st.tuples(st.just("delete_oldest_messages"), st.tuples(keys, st.integers(0, 3))),
        st.tuples(st.just("archive_oldest_messages"), st.tuples(keys, st.integers(0, 3))),
    )

    def theirs(self) -> Any:
        return SQLAlchemyChatStore("messages")  # in memory

    def ours(self, db: SQLiteDatabase) -> Any:
        return AiomemdbChatStore(db)

    async def do(self, subject: Any, number: int, step: Step) -> Any:
        verb, given = step
        result = await getattr(subject, verb)(*[_argument(value) for value in given])
        return [_shown(message) for message in result] if isinstance(result, list) else _shown(result)

    async def look(self, subject: Any) -> Any:
        by_key = [
            [_shown(message) for message in await subject.get_messages(key, status)]
            for key in KEYS
            for status in [None, *MessageStatus]
        ]
        return by_key, sorted(await subject.get_keys())

    async def end(self, subject: Any) -> None:
        if subject._async_engine is not None:
            await subject._async_engine.dispose()


def _argument(value: Any) -> Any:
    match value:
        case (str(role), str(text)):
            return ChatMessage(role=role, content=text)
        case list():
            return [_argument(item) for item in value]
        case "active" | "archived":
            return MessageStatus(value)
    return value


def _shown(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, ChatMessage) else value


class LlamaConversation:
    def __init__(self, db: SQLiteDatabase) -> None:
        self._store = AiomemdbChatStore(db)

    async def start(self) -> None:
        await self._store.add_messages("k", [])

    async def say(self, first: str, second: str) -> None:
        await self._store.add_messages("k", [ChatMessage(role="user", content=text) for text in (first, second)])

    async def said(self) -> list[str]:
        return [message.content or "" for message in await self._store.get_messages("k")]
