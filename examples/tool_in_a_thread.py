"""A synchronous tool, run in a worker thread, writes through the event loop that owns the database.

The handle belongs to its loop; used in another thread it says so at once (``WrongLoop``). The thread hands its write
over with ``asyncio.run_coroutine_threadsafe`` and waits for the result, as it would for any blocking call.

    python examples/tool_in_a_thread.py [runs.db]
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time

import aiomemdb


def slow_tool(db: aiomemdb.Database, loop: asyncio.AbstractEventLoop, number: int) -> int:
    """A tool as frameworks call them: a plain function in a thread of a pool."""
    time.sleep(0.01)  # blocking work, which would hold up the whole loop if it ran there
    result = number * number
    write = db.write("INSERT INTO run (tool, input, output) VALUES (?, ?, ?)", ("square", number, result))
    rowid = asyncio.run_coroutine_threadsafe(write, loop).result(timeout=10)
    print(f"{number} squared is run {rowid}")
    return result


async def main(path: str) -> None:
    loop = asyncio.get_running_loop()
    async with aiomemdb.connect(path) as db:
        await db.write_script("CREATE TABLE IF NOT EXISTS run (id INTEGER PRIMARY KEY, tool, input, output)")
        squares = await asyncio.gather(*[asyncio.to_thread(slow_tool, db, loop, n) for n in range(10)])
        print("sum of the results:", sum(squares))
        print("sum of what was written:", await db.read_value("SELECT sum(output) FROM run"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        aiomemdb.run(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(folder, "runs.db")))
