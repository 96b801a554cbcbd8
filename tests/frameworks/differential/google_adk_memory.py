"""Steps on memory services of the Agent Development Kit."""

from __future__ import annotations

from typing import Any

from google.adk.events import Event
from google.adk.memory import InMemoryMemoryService
from google.adk.sessions import Session
from google.genai import types
from hypothesis import strategies as st

from aiomemdb import SQLiteDatabase
from aiomemdb.integrations.google_adk import AiomemdbMemoryService
from tests.frameworks.differential.harness import Step

WORDS = ["tea", "TEA", "the", "x_1", "42", "café", "Straße", "кот", "AND", "NEAR"]
USERS, SESSIONS = ["u", "v"], ["s", "t"]

users = st.sampled_from(USERS)
sessions = st.sampled_from(SESSIONS)
texts = st.lists(st.sampled_from([*WORDS, '"', "*", "(", "\0"]), max_size=4).map(" ".join)
# No more than ten events in all: both return ten at most, by scores of their own.
events = st.lists(st.tuples(st.integers(0, 4), texts), max_size=4, unique_by=lambda event: event[0])


class MemoryCase:
    steps: st.SearchStrategy[Step] = st.one_of(
        st.tuples(st.just("session"), st.tuples(users, sessions, events)),
        st.tuples(st.just("events"), st.tuples(users, sessions, events)),
        st.tuples(st.just("search"), st.tuples(users, texts)),
        st.tuples(st.just("delete"), st.tuples(users, st.integers(0, 9).map("event {}".format))),
    )

    def theirs(self) -> Any:
        return InMemoryMemoryService()

    def ours(self, db: SQLiteDatabase) -> Any:
        return AiomemdbMemoryService(db)

    async def do(self, subject: Any, number: int, step: Step) -> Any:
        verb, (user, *rest) = step
        scope = {"app_name": "app", "user_id": user}
        match verb, rest:
            case "session", [session, given]:
                made = [_event(session, *event) for event in given]
                return await subject.add_session_to_memory(Session(id=session, events=made, **scope))
            case "events", [session, given]:
                made = [_event(session, *event) for event in given]
                return await subject.add_events_to_memory(events=made, session_id=session, **scope)
            case "search", [query]:
                return await _found(subject, user, query)
            case "delete", [event_id]:
                return await subject.delete_memory(memory_id=event_id, **scope)
        raise AssertionError(verb)

    async def look(self, subject: Any) -> Any:
        return [await _found(subject, user, word) for user in USERS for word in WORDS]

    async def end(self, subject: Any) -> None:
        pass


def _event(session: str, number: int, text: str) -> Event:
    name = f"event {number + 5 * SESSIONS.index(session)}"
    parts = [types.Part(text=text), types.Part(function_call=types.FunctionCall(name="f"))]
    return Event(id=name, author="user", timestamp=number, content=types.Content(role="user", parts=parts))


async def _found(subject: Any, user: str, query: str) -> Any:
    found = (await subject.search_memory(app_name="app", user_id=user, query=query)).memories
    return sorted((memory.model_dump(mode="json") for memory in found), key=lambda memory: memory["id"])
