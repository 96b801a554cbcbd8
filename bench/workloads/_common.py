"""What the workloads share: an open contestant, and the crowds that most of them send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from random import Random
from typing import Any

from _driving import Crowd, Operation, Sample, check_notes, run_for
from _harness import BODY, INSERT, fresh_database, on_loop
from peers import Contestant

__all__ = ["POINT_READ", "insert_with", "on_fresh_database", "opened", "point_read_with", "reads", "storm"]

POINT_READ = "SELECT body FROM note WHERE id = ?"


@asynccontextmanager
async def opened(contestant: Contestant, callers: int) -> AsyncIterator[list[Contestant]]:
    """The contestant, open and warm (its pool filled, its first statements compiled): what each of the callers uses."""
    await contestant.open()
    async with AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(contestant.session()) for _ in range(callers)]
        for _ in range(3):
            await asyncio.gather(*[session.read(POINT_READ, (1,)) for session in sessions[:16]])
            for session in sessions[:16]:
                await session.write("UPDATE counter SET n = n WHERE id = ?", (1,))
        yield sessions
    await contestant.close()


def insert_with(session: Contestant, body: str = BODY) -> Operation:
    write = session.write
    return lambda job: write(INSERT, (job, body))


def point_read_with(session: Contestant, rows: int, seed: int) -> Operation:
    read, randrange = session.read, Random(seed).randrange
    return lambda job: read(POINT_READ, (randrange(rows) + 1,))


def on_fresh_database(main: Callable[[str], Coroutine[Any, Any, Sample]], *, rows: int = 0) -> Sample:
    with fresh_database(rows=rows) as path:
        return on_loop(partial(main, path))


def storm(
    kind: Callable[..., Contestant],
    callers: int,
    seconds: float,
    *,
    synchronous: str = "NORMAL",
    each: int | None = 20,
    once: bool = False,
    body: str = BODY,
) -> Sample:
    """Inserts a second: tasks that each await so many single inserts, and end; then others do, unless ``once``.

    Afterwards the file is compared with what they were told.
    """
    with fresh_database() as path:

        async def main() -> tuple[Crowd, Sample]:
            async with opened(kind(path, synchronous=synchronous), callers) as sessions:
                crowd = Crowd("write", [insert_with(session, body) for session in sessions], each=each, once=once)
                return crowd, await run_for(seconds, crowd)

        crowd, sample = on_loop(main)
        check_notes(path, crowd, sample)
    return sample


def reads(
    kind: Callable[..., Contestant],
    callers: int,
    seconds: float,
    *,
    rows: int,
    operation: Callable[[Contestant, int], Operation] | None = None,
) -> Sample:
    """Reads a second, of random rows; those of ``operation(session, number of the caller)``."""

    async def main(path: str) -> Sample:
        async with opened(kind(path), callers) as sessions:
            operations: Sequence[Operation] = [
                operation(session, number) if operation else point_read_with(session, rows, number)
                for number, session in enumerate(sessions)
            ]
            return await run_for(seconds, Crowd("read", operations))

    return on_fresh_database(main, rows=rows)
