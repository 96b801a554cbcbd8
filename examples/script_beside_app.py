"""A script, such as a cron job, works on the file of an app that is running; each sees what the other wrote.

The app writes an event every few milliseconds. The script counts them, adds a summary and deletes what it counted: in
one job, so that no event is lost or counted twice, whatever the app writes meanwhile.

    python examples/script_beside_app.py [events.db]
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import tempfile
from functools import partial
from multiprocessing.synchronize import Event

import aiomemdb

SCHEMA = "CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY); CREATE TABLE IF NOT EXISTS summary (events)"
SUMMARISE = "INSERT INTO summary SELECT count(*) FROM event; DELETE FROM event"


async def app(path: str, running: Event, stop: Event) -> None:
    async with aiomemdb.connect(path) as db:
        await db.write_script(SCHEMA)
        written = await db.write_count("INSERT INTO event DEFAULT VALUES")
        running.set()
        while not stop.is_set():
            written += await db.write_count("INSERT INTO event DEFAULT VALUES")
            await asyncio.sleep(0.002)
        print(f"app: {written} events, {await db.read_value('SELECT count(*) FROM event')} in no summary")


async def script(path: str) -> None:
    async with aiomemdb.connect(path) as db:
        for _ in range(3):
            await asyncio.sleep(0.5)
            await db.write_script(SUMMARISE)
        print("script:", *[row["events"] for row in await db.read("SELECT events FROM summary")], flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        path = sys.argv[1] if len(sys.argv) > 1 else f"{folder}/events.db"
        spawn = multiprocessing.get_context("spawn")
        running, stop = spawn.Event(), spawn.Event()
        process = spawn.Process(target=aiomemdb.run, args=(partial(app, path, running, stop),))
        process.start()
        try:
            running.wait(timeout=60)
            aiomemdb.run(script(path))
        finally:
            stop.set()
            process.join()
