"""Several worker processes share one file: each task is claimed by one of them, and its result lands in the same file.

A process needs nothing but the path. Start it by "spawn" (or "forkserver"): a forked child shares its parent's
connections, which SQLite can't stand. Ctrl-C ends all of them, and the next run takes up what was left.

    python examples/worker_processes.py [tasks.db]
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import sys
import tempfile

import aiomemdb

TASKS, WORKERS = 100, 4

SCHEMA = "CREATE TABLE IF NOT EXISTS task (id INTEGER PRIMARY KEY, owner TEXT, result INTEGER)"
NEXT = "SELECT id FROM task WHERE owner IS NULL ORDER BY id LIMIT 1"
CLAIM = f"UPDATE task SET owner = ? WHERE id = ({NEXT}) RETURNING id"


async def work(path: str, name: str) -> None:
    async with aiomemdb.connect(path) as db:
        while claimed := await db.write_returning(CLAIM, (name,)):  # one statement: no other worker comes between
            await asyncio.sleep(0.02)  # the work
            await db.write("UPDATE task SET result = id * id WHERE id = ?", (claimed[0]["id"],))


def worker(path: str, name: str) -> None:
    with contextlib.suppress(KeyboardInterrupt):  # the terminal sends Ctrl-C to all; the parent reports it
        aiomemdb.run(work(path, name))


async def main(path: str) -> None:
    async with aiomemdb.connect(path) as db:
        await db.write_script(SCHEMA)
        await db.write("UPDATE task SET owner = NULL WHERE result IS NULL")  # their worker is dead
        await db.write_many("INSERT INTO task (owner) VALUES (?)", [(None,)] * TASKS)
        spawn = multiprocessing.get_context("spawn")
        workers = [spawn.Process(target=worker, args=(path, f"worker {n}")) for n in range(1, WORKERS + 1)]
        for process in workers:
            process.start()
        await asyncio.gather(*[asyncio.to_thread(process.join) for process in workers])
        for row in await db.read("SELECT owner, count(result) AS done FROM task GROUP BY owner ORDER BY owner"):
            print(f"{row['owner']}: {row['done']} tasks")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        aiomemdb.run(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(folder, "tasks.db")))
