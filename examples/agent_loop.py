"""Agents in a loop: each recalls what is known, thinks, and writes down what it did, all into one file.

No task locks anything, and none sees "database is locked". A write that was awaited is seen by every read after it.

    python examples/agent_loop.py [team.db]
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile

import aiomemdb

AGENTS, STEPS = 20, 10


async def think(context: list[aiomemdb.Row]) -> str:
    """Stands for a call of a model: slow work comes before the write, never inside a transaction."""
    await asyncio.sleep(random.uniform(0.001, 0.01))
    return f"a thought that builds on {len(context)} others"


async def agent(db: aiomemdb.Database, name: str) -> None:
    for step in range(STEPS):
        context = await db.read("SELECT agent, body FROM memory ORDER BY id DESC LIMIT 5")
        thought = await think(context)
        await db.write("INSERT INTO memory (agent, step, body) VALUES (?, ?, ?)", (name, step, thought))
        mine = await db.read_value("SELECT count(*) FROM memory WHERE agent = ?", (name,))
        assert mine == step + 1  # read your writes


async def main(path: str) -> None:
    async with aiomemdb.connect(path) as db:
        await db.write_script("CREATE TABLE IF NOT EXISTS memory (id INTEGER PRIMARY KEY, agent, step, body)")
        async with asyncio.TaskGroup() as team:
            for number in range(AGENTS):
                team.create_task(agent(db, f"agent {number}"))
        print(await db.read_value("SELECT count(*) FROM memory"), "memories of", AGENTS, "agents")
        statistics = db.statistics()
        print(f"{statistics.writes} writes in {statistics.batches} commits, {statistics.write_errors} errors")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        aiomemdb.run(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(folder, "team.db")))
