"""Several workers share a list of tasks, and each task is claimed once.

The claim is one statement, and its count says which worker got it: ``write_count`` returns 1 to one worker and 0 to all
others. Looking first and writing then, in two awaits, would give the same task to two workers.

    python examples/claim_a_task.py [tasks.db]
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile

import aiomemdb

TASKS, WORKERS = 30, 5

SCHEMA = "CREATE TABLE IF NOT EXISTS task (id INTEGER PRIMARY KEY, name TEXT, owner TEXT, done INTEGER DEFAULT 0)"
CLAIM = "UPDATE task SET owner = ? WHERE id = ? AND owner IS NULL"


async def worker(db: aiomemdb.Database, name: str) -> int:
    """Works until nothing is left to claim; returns how many tasks it did."""
    worked = 0
    while free := await db.read("SELECT id, name FROM task WHERE owner IS NULL ORDER BY id LIMIT 3"):
        for task in free:
            if await db.write_count(CLAIM, (name, task["id"])) == 0:
                continue  # another worker was quicker
            print(f"{name} does {task['name']}")
            await asyncio.sleep(0.001)  # the work
            await db.write("UPDATE task SET done = 1 WHERE id = ?", (task["id"],))
            worked += 1
    return worked


async def main(path: str) -> None:
    async with aiomemdb.connect(path) as db:
        await db.write_script(SCHEMA)
        await db.write_many("INSERT INTO task (name) VALUES (?)", [(f"task {n}",) for n in range(1, TASKS + 1)])
        worked = await asyncio.gather(*[worker(db, f"worker {n}") for n in range(1, WORKERS + 1)])
        done = await db.read_value("SELECT count(*) FROM task WHERE done")
        print(f"{done} tasks done, {sum(worked)} times worked")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        aiomemdb.run(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(folder, "tasks.db")))
