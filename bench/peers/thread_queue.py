"""A thread with a queue, as blog posts show it: one statement and one commit at a time, the future set by the thread.

Fixed, so that it runs: they call ``future.set_result`` on the thread, which never wakes a sleeping loop (asyncio's
futures are not thread-safe), where ``loop.call_soon_threadsafe`` is needed.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from _harness import Params, plain

from ._contestant import FIND, INSERT_NAME, Contestant

__all__ = ["ThreadQueue"]

Job = Callable[[sqlite3.Connection], Any]


class ThreadQueue(Contestant):
    """A second such thread reads."""

    name = "a thread with a queue"
    page = "https://docs.python.org/3.11/library/asyncio-dev.html#concurrency-and-multithreading"

    async def open(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.writes: queue.SimpleQueue[tuple[asyncio.Future[Any], Job] | None] = queue.SimpleQueue()
        self.reads: queue.SimpleQueue[tuple[asyncio.Future[Any], Job] | None] = queue.SimpleQueue()
        self.threads = [threading.Thread(target=self.work, args=(jobs,)) for jobs in (self.writes, self.reads)]
        for thread in self.threads:
            thread.start()

    async def close(self) -> None:
        self.writes.put(None)
        self.reads.put(None)
        for thread in self.threads:
            thread.join()

    def work(self, jobs: queue.SimpleQueue[tuple[asyncio.Future[Any], Job] | None]) -> None:
        connection = plain(self.path, self.synchronous)
        while (item := jobs.get()) is not None:
            future, job = item
            try:
                result = job(connection)
            except sqlite3.Error as error:
                self.loop.call_soon_threadsafe(future.set_exception, error)
            else:
                self.loop.call_soon_threadsafe(future.set_result, result)
        connection.close()

    def put(self, jobs: queue.SimpleQueue[Any], job: Job) -> Awaitable[Any]:
        future: asyncio.Future[Any] = self.loop.create_future()
        jobs.put((future, job))
        return future

    def write(self, sql: str, params: Params) -> Awaitable[object]:
        return self.put(self.writes, lambda connection: connection.execute(sql, params).lastrowid)

    def read(self, sql: str, params: Params) -> Awaitable[Sequence[Any]]:
        return self.put(self.reads, lambda connection: connection.execute(sql, params).fetchall())

    def write_many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> Awaitable[object]:
        def act(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(sql, rows)
            connection.commit()

        return self.put(self.writes, act)

    def find_or_create(self, name: str) -> Awaitable[object]:
        def act(connection: sqlite3.Connection) -> Any:
            row = connection.execute(FIND, (name,)).fetchone()
            return row[0] if row else connection.execute(INSERT_NAME, (name,)).lastrowid

        return self.put(self.writes, act)
