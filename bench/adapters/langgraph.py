"""LangGraph: a checkpoint, and what two tasks have written to it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import Any

from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from adapters._common import Bar, Step, Workload
from aiomemdb.integrations.langgraph import AiomemdbSaver

__all__ = ["WORKLOADS"]

_MESSAGES = [
    {"role": "user" if n % 2 else "assistant", "content": f"message {n}: " + 12 * "some words "} for n in range(8)
]


def _stepping(saver: Any) -> Step:
    async def step(agent: int, number: int) -> None:
        checkpoint = empty_checkpoint()
        checkpoint["id"] = f"{number:08}"
        checkpoint["channel_values"] = {"messages": _MESSAGES}
        checkpoint["channel_versions"] = {"messages": f"{number:032}.5"}
        config: Any = {"configurable": {"thread_id": str(agent), "checkpoint_ns": ""}}
        config = await saver.aput(config, checkpoint, {"source": "loop", "step": number}, {})
        await saver.aput_writes(config, [("messages", _MESSAGES[0]), ("branch", "next")], "task")

    return step


@asynccontextmanager
async def _theirs(path: str, *, synchronous: str | None = None) -> AsyncIterator[Step]:
    async with AsyncSqliteSaver.from_conn_string(path) as saver:
        if synchronous:
            await saver.conn.execute(f"PRAGMA synchronous = {synchronous}")
        yield _stepping(saver)


@asynccontextmanager
async def _ours(path: str, *, durability: str = "normal") -> AsyncIterator[Step]:
    async with AiomemdbSaver.from_conn_string(path, durability=durability) as saver:
        yield _stepping(saver)


def _stored(path: str) -> Counter[tuple[int, int]]:
    with closing(sqlite3.connect(path)) as conn:
        return Counter(
            conn.execute(
                "SELECT CAST(thread_id AS INTEGER), CAST(checkpoint_id AS INTEGER) FROM checkpoints JOIN writes "
                "USING (thread_id, checkpoint_ns, checkpoint_id) GROUP BY 1, 2 HAVING count(*) = 2"
            ).fetchall()
        )


WORKLOADS = [
    Workload(
        "LangGraph: aput + aput_writes",
        ("AsyncSqliteSaver", _theirs),
        ("AiomemdbSaver", _ours),
        _stored,
        Bar(agents=64, rate=8, p99=1 / 5),
        # As shipped it syncs the disk at each commit, and ours does not.
        others=(
            ("the same, synchronous=NORMAL", partial(_theirs, synchronous="NORMAL")),
            ('AiomemdbSaver, durability="full"', partial(_ours, durability="full")),
        ),
    )
]
