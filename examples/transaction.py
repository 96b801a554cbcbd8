"""Several awaited steps that hold together: all of them, or none.

While a transaction is open no other task writes, so do slow work (models, network) before it. What needs no await
between its steps is better one ``write_fn``.

    python examples/transaction.py [bank.db]
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile

import aiomemdb

SCHEMA = """
CREATE TABLE IF NOT EXISTS account (name TEXT PRIMARY KEY, balance INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS receipt (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
"""


class NotEnough(Exception):
    """Raised inside the block, it rolls back all that was done in it."""


async def transfer(db: aiomemdb.Database, source: str, target: str, amount: int) -> None:
    async with db.transaction() as tx:  # inside it write on tx, not on db
        await tx.write("UPDATE account SET balance = balance - ? WHERE name = ?", (amount, source))
        await tx.write("UPDATE account SET balance = balance + ? WHERE name = ?", (amount, target))
        left = await tx.read_value("SELECT balance FROM account WHERE name = ?", (source,))  # sees its own changes
        if left < 0:
            raise NotEnough(f"{source} has no {amount} to give")
        await tx.write("INSERT INTO receipt (body) VALUES (?)", (f"{source} to {target}: {amount}",))


async def main(path: str) -> None:
    async with aiomemdb.connect(path) as db:
        await db.write_script(SCHEMA)
        await db.write_many("INSERT OR REPLACE INTO account VALUES (?, ?)", [("Ada", 100), ("Charles", 100)])
        transfers = [transfer(db, "Ada", "Charles", 30), transfer(db, "Charles", "Ada", 500)]
        for result in await asyncio.gather(*transfers, return_exceptions=True):
            print(f"refused: {result}" if isinstance(result, NotEnough) else "transferred")
        for row in await db.read("SELECT name, balance FROM account ORDER BY name"):
            print(f"{row['name']} has {row['balance']}")
        print(await db.read_value("SELECT count(*) FROM receipt"), "receipt")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        aiomemdb.run(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(folder, "bank.db")))
