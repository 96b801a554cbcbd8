"""What one recall costs beside time: CPU with and without SQLite, statements, hops to a thread, entries of rooms.

A count changes with the code alone, also on a busy machine. SQLite's share of the CPU is that of the same statements
run again on a plain connection.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from rooms import Walk

from aiomemdb import Memory
from aiomemdb.memory.recall import Strategy
from aiomemdb.sqlite.connection import guarded

__all__ = ["COUNTED", "cost_of"]

COUNTED = ("CPU", "CPU of SQLite", "statements", "hops", "rooms")
_HANDED_OVER = ("concurrency/worker.py", "post")


class _Counting(Walk):
    """Hops and statements too."""

    def __init__(self) -> None:
        super().__init__()
        self.hops = 0

    def profile(self, frame: FrameType, event: str, what: Any) -> None:
        super().profile(frame, event, what)
        if event == "call" and self.is_open and frame.f_code.co_name == _HANDED_OVER[1]:
            self.hops += frame.f_code.co_filename.endswith(_HANDED_OVER[0])


@contextmanager
def _recorded() -> Iterator[list[tuple[str, Any]]]:
    """All that functions execute meanwhile."""
    statements: list[tuple[str, Any]] = []
    execute = guarded._JobCursor.execute

    def recording(self: Any, sql: str, params: Any = (), /) -> Any:
        statements.append((sql, params))
        return execute(self, sql, params)

    guarded._JobCursor.execute = recording  # type: ignore[method-assign]
    try:
        yield statements
    finally:
        guarded._JobCursor.execute = execute  # type: ignore[method-assign]


def _again(path: Path, statements: Sequence[tuple[str, Any]]) -> float:
    """The CPU of these statements, each compiled already."""
    with closing(sqlite3.connect(path, cached_statements=1000)) as conn:
        for _ in range(2):
            began = time.process_time()
            for sql, params in statements:
                conn.execute(sql, params).fetchall()
            seconds = time.process_time() - began
    return seconds


async def cost_of(path: Path, questions: Sequence[str], strategy: Strategy) -> dict[str, float]:
    """The cost of a question without an embedder, in ms and numbers: means of the CPU and the statements, medians of
    hops and rooms.
    """
    async with Memory.open(path) as memory:
        for question in questions[:20]:
            await memory.recall(question, strategy=strategy)
        began = time.process_time()
        for question in questions:
            await memory.recall(question, strategy=strategy)
        cpu = time.process_time() - began
        with _recorded() as statements:
            for question in questions:
                await memory.recall(question, strategy=strategy)
    hops, rooms = [], []
    walk = _Counting()
    threading.setprofile(walk.profile)  # for the threads of the next one
    sys.setprofile(walk.profile)
    try:
        async with Memory.open(path) as memory:
            for question in (*questions[:5], *questions[:20]):
                walk.entered, walk.hops, walk.is_open = [], 0, True
                await memory.recall(question, strategy=strategy)
                walk.is_open = False
                hops.append(walk.hops)
                rooms.append(len(walk.entered))
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    found = (
        1e3 * cpu / len(questions),
        1e3 * _again(path, statements) / len(questions),
        len(statements) / len(questions),
        statistics.median(hops[5:]),
        statistics.median(rooms[5:]),
    )
    return dict(zip(COUNTED, found, strict=True))
