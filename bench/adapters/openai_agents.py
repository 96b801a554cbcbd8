"""OpenAI Agents: a turn of a conversation, each agent in a session of its own."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

from agents.extensions.memory import AsyncSQLiteSession

import aiomemdb
from adapters._common import Bar, Step, Workload
from aiomemdb.integrations.openai_agents import AiomemdbSession

__all__ = ["WORKLOADS"]


def _stepping(make: Callable[[str], Any], sessions: dict[int, Any]) -> Step:
    async def step(agent: int, number: int) -> None:
        if agent not in sessions:
            sessions[agent] = make(f"agent {agent}")
        said = {"agent": agent, "number": number, "content": 12 * "some words "}
        await sessions[agent].add_items([{"role": "user", **said}, {"role": "assistant", **said}])

    return step


@asynccontextmanager
async def _theirs(path: str) -> AsyncIterator[Step]:
    sessions: dict[int, AsyncSQLiteSession] = {}
    try:
        yield _stepping(lambda name: AsyncSQLiteSession(name, path), sessions)
    finally:
        await asyncio.gather(*[session.close() for session in sessions.values()])


@asynccontextmanager
async def _ours(path: str) -> AsyncIterator[Step]:
    async with aiomemdb.connect(path) as db:
        yield _stepping(lambda name: AiomemdbSession(name, db), {})


def _stored(path: str) -> Counter[tuple[int, int]]:
    """Of each turn, how often both of its items are there."""
    items: Counter[tuple[int, int]] = Counter()
    with closing(sqlite3.connect(path)) as conn:
        for (data,) in conn.execute("SELECT message_data FROM agent_messages"):
            item = json.loads(data)
            items[item["agent"], item["number"]] += 1
    return Counter({turn: count // 2 for turn, count in items.items()})


WORKLOADS = [
    Workload(
        "OpenAI Agents: add_items, a session for each agent",
        ("AsyncSQLiteSession", _theirs),
        ("AiomemdbSession", _ours),
        _stored,
        Bar(agents=64, rate=5, p99=1 / 10),
    )
]
