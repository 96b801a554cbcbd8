"""Steps on Claude Agent SDK's session stores."""

from __future__ import annotations

from typing import Any

from claude_agent_sdk import InMemorySessionStore
from hypothesis import strategies as st

from aiomemdb import SQLiteDatabase
from aiomemdb.integrations.claude_agent import AiomemdbSessionStore
from tests.frameworks.differential.harness import Step

PROJECTS, SESSIONS, SUBPATHS = ["p", "q"], ["a", "b"], [None, "subagents/agent-1", "subagents/agent-2"]

keys = st.tuples(st.sampled_from(PROJECTS), st.sampled_from(SESSIONS), st.sampled_from(SUBPATHS))
texts = st.text(st.characters(codec="utf-8"), max_size=6)
entries = st.fixed_dictionaries(
    {"type": st.sampled_from(["user", "tag", "x"])},
    optional={
        "uuid": st.sampled_from(["u1", "u2", "u3", "u4", "ü"]),
        "timestamp": st.sampled_from(["2024-01-01T00:00:00.000Z", "2025-06-01T10:00:00Z", "no time"]),
        "customTitle": texts,
        "tag": texts,
        "isSidechain": st.booleans(),
        "message": st.fixed_dictionaries({"content": texts}),
        "n": st.integers() | st.floats(allow_nan=False) | st.just("\ud800 \0"),
    },
)


class Reference(InMemorySessionStore):
    """Theirs, with what the protocol says of ``uuid`` and of empty batches, and theirs does not do."""

    async def append(self, key: Any, entries: Any) -> None:
        seen = {entry.get("uuid") for entry in self.get_entries(key)} - {None}
        new = []
        for entry in entries:
            if entry.get("uuid") not in seen:
                new.append(entry)
                seen |= {entry.get("uuid")} - {None}
        if entries:
            await super().append(key, new)


class ClaudeCase:
    steps: st.SearchStrategy[Step] = st.one_of(
        st.tuples(st.just("append"), st.tuples(keys, st.lists(entries, max_size=4))),
        st.tuples(st.just("delete"), st.tuples(keys)),
    )

    def theirs(self) -> Any:
        return Reference()

    def ours(self, db: SQLiteDatabase) -> Any:
        return AiomemdbSessionStore(db)

    async def do(self, subject: Any, number: int, step: Step) -> Any:
        verb, (key, *rest) = step
        return await getattr(subject, verb)(_key(*key), *rest)

    async def look(self, subject: Any) -> Any:
        loaded = {
            (p, s, sub): await subject.load(_key(p, s, sub)) for p in PROJECTS for s in SESSIONS for sub in SUBPATHS
        }
        listed = {p: {entry["session_id"] for entry in await subject.list_sessions(p)} for p in PROJECTS}
        latest = {p: [e["session_id"] for e in sorted(await subject.list_sessions(p), key=_mtime)] for p in PROJECTS}
        summaries = {p: {s["session_id"]: s["data"] for s in await subject.list_session_summaries(p)} for p in PROJECTS}
        subkeys = {(p, s): set(await subject.list_subkeys(_key(p, s))) for p in PROJECTS for s in SESSIONS}
        return loaded, listed, latest, summaries, subkeys

    async def end(self, subject: Any) -> None:
        pass


def _key(project: str, session: str, subpath: str | None = None) -> Any:
    return {"project_key": project, "session_id": session} | ({"subpath": subpath} if subpath else {})


def _mtime(entry: Any) -> int:
    return int(entry["mtime"])


class ClaudeConversation:
    def __init__(self, db: SQLiteDatabase) -> None:
        self._store = AiomemdbSessionStore(db)

    async def start(self) -> None:
        await self._store.append(_key("p", "s"), [])

    async def say(self, first: str, second: str) -> None:
        await self._store.append(_key("p", "s"), [{"type": "user", "uuid": text} for text in (first, second)])

    async def said(self) -> list[str]:
        return [entry["uuid"] for entry in await self._store.load(_key("p", "s")) or []]
