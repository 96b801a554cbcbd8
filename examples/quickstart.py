"""The first five minutes: open a file, write, read, and leave it closed.

python examples/quickstart.py [notes.db]
"""

from __future__ import annotations

import os
import sys
import tempfile

import aiomemdb


async def main(path: str) -> None:
    # Opens the file, makes it if it is missing, and closes it at the end of the block, whatever happens inside.
    async with aiomemdb.connect(path) as db:
        await db.write_script("CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")

        first = await db.write("INSERT INTO note (body) VALUES (?)", ("buy milk",))
        print(f"note {first} is committed")  # when write() returns, and not before
        count = await db.write_many("INSERT INTO note (body) VALUES (?)", [("call Ada",), ("water the plants",)])
        print(f"{count} more, both or none")

        row = await db.read_one("SELECT id, body FROM note WHERE body LIKE :pattern", {"pattern": "%Ada%"})
        print(f"found: {row['body']}" if row else "nothing found")
        for row in await db.read("SELECT id, body FROM note ORDER BY id"):
            print(f"{row['id']}: {row['body']}")
        print(await db.read_value("SELECT count(*) FROM note"), "notes")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        aiomemdb.run(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(folder, "notes.db")))
