"""Steps on conversation stores of Pydantic AI."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st
from pydantic_ai.conversation import Conversation
from pydantic_ai.conversation_store import ConversationConflict, InMemoryConversationStore
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.usage import RunUsage

from aiomemdb import SQLiteDatabase
from aiomemdb.integrations.pydantic_ai import AiomemdbConversationStore
from tests.frameworks.differential.harness import Step

IDS, SCOPES = ["a", "b", "c"], [None, "x", "y"]
THEN = datetime(2026, 1, 1, tzinfo=UTC)

ids = st.sampled_from(IDS)
scopes = st.sampled_from(SCOPES)
limits = st.none() | st.integers(0, 3)
texts = st.text(st.characters(codec="utf-8"), max_size=4)


class PydanticCase:
    steps: st.SearchStrategy[Step] = st.one_of(
        st.tuples(st.just("say"), st.tuples(ids, st.lists(texts, max_size=3), scopes, limits)),
        st.tuples(st.just("say"), st.tuples(ids, st.lists(texts, min_size=1, max_size=3), st.none(), st.none())),
        st.tuples(st.just("rewrite"), st.tuples(ids, texts)),
        st.tuples(st.just("late"), st.tuples(ids)),
        st.tuples(st.just("branch"), st.tuples(ids, st.integers(0, 3))),
        st.tuples(st.just("back"), st.tuples(ids)),
        st.tuples(st.just("fork"), st.tuples(ids, ids, st.none() | st.integers(0, 3))),
        st.tuples(st.just("delete"), st.tuples(ids, scopes)),
        st.tuples(st.just("list"), st.tuples(scopes, limits)),
    )

    def theirs(self) -> Any:
        return InMemoryConversationStore()

    def ours(self, db: SQLiteDatabase) -> Any:
        return AiomemdbConversationStore(db)

    async def do(self, subject: Any, number: int, step: Step) -> Any:
        verb, given = step
        try:
            return await getattr(self, verb)(subject, number, *given)
        except (ConversationConflict, UserError) as error:
            return type(error).__name__

    async def say(self, store: Any, number: int, name: str, said: list[str], scope: str | None, limit: Any) -> Any:
        conversation = await store.load(name, limit=limit) or Conversation(conversation_id=name)
        for text in said:
            prompt = ModelRequest(parts=[UserPromptPart(content=text, timestamp=THEN)])
            answer = ModelResponse(parts=[TextPart(content=f"{number}")], timestamp=THEN)
            conversation.messages.extend([prompt, answer])
        conversation.usage = conversation.usage + RunUsage(requests=len(said))
        return [_text(entry.message) for entry in await store.save(conversation, scope=scope)]

    async def rewrite(self, store: Any, number: int, name: str, text: str) -> Any:
        conversation = await store.load(name) or Conversation(conversation_id=name)
        conversation.messages[-1:] = [ModelResponse(parts=[TextPart(content=text)], timestamp=THEN)]
        conversation.new_message_index = None
        return [_text(entry.message) for entry in await store.save(conversation)]

    async def late(self, store: Any, number: int, name: str) -> Any:
        first, second = await store.load(name), await store.load(name)
        if first is not None:
            await store.save(first)
            await store.save(second)

    async def branch(self, store: Any, number: int, name: str, at: int) -> Any:
        record = await store.read_record(name)
        branched = await store.branch(name, at=at, expected_revision=record and record.revision)
        return [_text(message) for message in branched.messages]

    async def back(self, store: Any, number: int, name: str) -> Any:
        record = await store.read_record(name)
        if record is None or not record.branches:
            return None
        left = await store.branch(name, from_entry=record.branches[0], expected_revision=record.revision)
        return [_text(message) for message in left.messages]

    async def fork(self, store: Any, number: int, name: str, new: str, at: int | None) -> Any:
        forked = await store.fork(name, at=at, new_conversation_id=new)
        return [_text(message) for message in forked.messages]

    async def delete(self, store: Any, number: int, name: str, scope: str | None) -> Any:
        return await store.delete(name, scope=scope)

    async def list(self, store: Any, number: int, scope: str | None, limit: int | None) -> Any:
        return [record.conversation_id for record in await store.list_conversations(scope=scope, limit=limit)]

    async def look(self, subject: Any) -> Any:
        state = []
        for record in await subject.list_conversations():
            ends = [record.head_id, record.forked_at if record.forked_at in record.branches else None, *record.branches]
            lines = [[_text(entry.message) for entry in await subject.read_history(end)] for end in ends]
            loaded = await subject.load(record.conversation_id)
            kept = record.conversation_id, record.scope, record.forked_from, record.usage, loaded.usage
            state.append((*kept, lines, [_text(message) for message in loaded.messages]))
        return state, await self._entries(subject)

    async def _entries(self, subject: Any) -> int:
        if isinstance(subject, InMemoryConversationStore):
            return len(subject._entries)
        count: int = await subject._db.read_value("SELECT count(*) FROM pydantic_ai_entry")
        return count

    async def end(self, subject: Any) -> None:
        pass


def _text(message: Any) -> str:
    return f"{message.kind}: {message.parts[0].content}"


class PydanticConversation:
    def __init__(self, db: SQLiteDatabase) -> None:
        self._store = AiomemdbConversationStore(db)

    async def start(self) -> None:
        await self._store.save(Conversation(conversation_id="c"))

    async def say(self, first: str, second: str) -> None:
        while True:
            conversation = await self._store.load("c", limit=2)
            assert conversation is not None
            for text in (first, second):
                conversation.messages.append(ModelRequest(parts=[UserPromptPart(content=text)]))
            try:
                await self._store.save(conversation)
                return
            except ConversationConflict:
                await asyncio.sleep(0)

    async def said(self) -> list[str]:
        return [_text(entry.message).partition(": ")[2] for entry in await self._store.load_entries("c") or []]
