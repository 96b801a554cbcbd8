"""Find or create: many agents meet the same names, and each name is in the file once.

Between two awaits other agents write, so "insert it unless it is there" has to be one step. ``write_fn``
runs a plain function on the writer's thread, wholly or not at all, and no other job writes between its statements.

    python examples/check_then_act.py [graph.db]
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import tempfile

import aiomemdb

NAMES = ["Acme Corp", "Ada Lovelace", "acme corp", "ACME Corp ", "Charles Babbage", "ada lovelace"]


def find_or_create(conn: sqlite3.Connection, name: str) -> int:
    """Returns the entity's id. It touches nothing but its connection: it may have to run a second time."""
    key = " ".join(name.split()).casefold()
    found = conn.execute("SELECT id FROM entity WHERE key = ?", (key,)).fetchone()
    if found:
        conn.execute("UPDATE entity SET mentions = mentions + 1 WHERE id = ?", (found["id"],))
        return int(found["id"])
    created = conn.execute("INSERT INTO entity (key, name, mentions) VALUES (?, ?, 1)", (key, name.strip()))
    assert created.lastrowid is not None
    return created.lastrowid


async def agent(db: aiomemdb.SQLiteDatabase) -> None:
    for name in NAMES:
        await db.write_fn(find_or_create, name)


async def main(path: str) -> None:
    async with aiomemdb.connect(path) as db:
        await db.write_script("CREATE TABLE IF NOT EXISTS entity (id INTEGER PRIMARY KEY, key, name, mentions)")
        async with asyncio.TaskGroup() as team:
            for _ in range(10):
                team.create_task(agent(db))
        for row in await db.read("SELECT name, mentions FROM entity ORDER BY id"):
            print(f"{row['name']}: {row['mentions']} mentions")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        aiomemdb.run(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(folder, "graph.db")))
