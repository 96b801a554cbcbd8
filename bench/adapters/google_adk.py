"""The Agent Development Kit: an event, each agent in a session of its own."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

from google.adk.events import Event, EventActions
from google.adk.sessions.sqlite_session_service import SqliteSessionService
from google.genai import types

import aiomemdb
from adapters._common import Bar, Step, Workload
from aiomemdb.integrations.google_adk import AiomemdbSessionService

__all__ = ["WORKLOADS"]


def _stepping(service: Any) -> Step:
    sessions: dict[int, Any] = {}

    async def step(agent: int, number: int) -> None:
        if agent not in sessions:
            sessions[agent] = await service.create_session(app_name="app", user_id="u", session_id=str(agent))
        content = types.Content(role="user", parts=[types.Part(text=12 * "some words ")])
        event = Event(
            author="user",
            invocation_id=str(number),
            content=content,
            actions=EventActions(state_delta={"turn": number}),
        )
        await service.append_event(sessions[agent], event)

    return step


@asynccontextmanager
async def _theirs(path: str) -> AsyncIterator[Step]:
    yield _stepping(SqliteSessionService(path))


@asynccontextmanager
async def _ours(path: str) -> AsyncIterator[Step]:
    async with aiomemdb.connect(path) as db:
        yield _stepping(AiomemdbSessionService(db))


def _stored(path: str) -> Counter[tuple[int, int]]:
    with closing(sqlite3.connect(path)) as conn:
        rows = conn.execute("SELECT CAST(session_id AS INTEGER), CAST(invocation_id AS INTEGER) FROM events")
        return Counter(rows.fetchall())


WORKLOADS = [
    Workload(
        "Agent Development Kit: append_event, a session for each agent",
        ("SqliteSessionService", _theirs),
        ("AiomemdbSessionService", _ours),
        _stored,
        Bar(agents=32, rate=5),
    )
]
