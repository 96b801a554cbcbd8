"""Steps on sessions of the OpenAI Agents SDK."""

from __future__ import annotations

from typing import Any

from agents import SQLiteSession
from hypothesis import strategies as st

from aiomemdb import SQLiteDatabase
from aiomemdb.integrations.openai_agents import AiomemdbSession
from tests.frameworks.differential.harness import Step

SESSIONS = ["a", "b"]

sessions = st.sampled_from(SESSIONS)
items = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant"]), "content": st.text(max_size=6) | st.just("\ud800 \0")},
    optional={"n": st.integers() | st.floats(allow_nan=False)},
)


class OpenAICase:
    steps: st.SearchStrategy[Step] = st.one_of(
        st.tuples(st.just("add_items"), st.tuples(sessions, st.lists(items, max_size=4))),
        st.tuples(st.just("get_items"), st.tuples(sessions, st.none() | st.integers(0, 5))),
        st.tuples(st.just("pop_item"), st.tuples(sessions)),
        st.tuples(st.just("clear_session"), st.tuples(sessions)),
    )

    def theirs(self) -> Any:
        return {name: SQLiteSession(name) for name in SESSIONS}  # each in memory, on a connection of its own

    def ours(self, db: SQLiteDatabase) -> Any:
        return {name: AiomemdbSession(name, db) for name in SESSIONS}

    async def do(self, subject: Any, number: int, step: Step) -> Any:
        verb, (name, *rest) = step
        return await getattr(subject[name], verb)(*rest)

    async def look(self, subject: Any) -> Any:
        return [await session.get_items() for session in subject.values()]

    async def end(self, subject: Any) -> None:
        for session in subject.values():
            session.close()


class OpenAIConversation:
    def __init__(self, db: SQLiteDatabase) -> None:
        self._session: Any = AiomemdbSession("s", db)

    async def start(self) -> None:
        await self._session.add_items([])

    async def say(self, first: str, second: str) -> None:
        await self._session.add_items([{"role": "user", "content": text} for text in (first, second)])

    async def said(self) -> list[str]:
        return [item["content"] for item in await self._session.get_items()]
