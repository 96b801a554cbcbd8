"""How many rooms a call enters: how often a function of one file calls into another file of aiomemdb.

    python bench/rooms.py [--walk transaction]

The first calls of each kind are left out, because they compile and open what later calls find ready. All threads are
counted, and each resumed coroutine enters its file again. There are no times: a count changes with the code alone.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

from _harness import BODY, INSERT, SCHEMA, fresh_folder, print_context

import aiomemdb
from aiomemdb import Memory

PACKAGE = str(Path(aiomemdb.__file__).parent) + "/"
WARM_UP = 20
CALLS = 10


class Walk:
    """The rooms that all threads enter, in order, while ``is_open``."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.is_open = False

    def profile(self, frame: FrameType, event: str, _: Any) -> None:
        """For ``sys.setprofile``."""
        if event == "call" and self.is_open:
            room = _room(frame)
            if room is not None and room != _room(frame.f_back):
                self.entered.append(room)


def _room(frame: FrameType | None) -> str | None:
    if frame is None or not frame.f_code.co_filename.startswith(PACKAGE):
        return None
    return frame.f_code.co_filename.removeprefix(PACKAGE)


async def walks(walk: Walk, path: str) -> dict[str, list[str]]:
    """The rooms that each kind of call enters."""
    number = count()
    async with Memory.open(path) as memory:
        db = memory.db
        await db.write_script(SCHEMA)

        async def transaction() -> None:
            async with db.transaction() as tx:
                await tx.write(INSERT, (1, BODY))

        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "write": lambda: db.write(INSERT, (1, BODY)),
            "read_one": lambda: db.read_one("SELECT body FROM note WHERE id = ?", (1,)),
            "transaction": transaction,
            "find_or_create, known": lambda: memory.find_or_create_entity("Acme Corp", type="company"),
            "find_or_create, new": lambda: memory.find_or_create_entity(f"company {next(number)}", type="company"),
        }
        return {name: await shortest(walk, call) for name, call in calls.items()}


async def shortest(walk: Walk, call: Callable[[], Awaitable[object]]) -> list[str]:
    """The shortest of several walks: work that is due once in a while is not in each."""
    for _ in range(WARM_UP):
        await call()
    found = []
    for _ in range(CALLS):
        walk.entered, walk.is_open = [], True
        await call()
        await asyncio.sleep(0.01)  # for what goes on behind the answer
        walk.is_open = False
        found.append(walk.entered)
    return min(found, key=len)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--walk", metavar="CALL", help="print the rooms of this call, in order")
    options = parser.parse_args()
    walk = Walk()
    threading.setprofile(walk.profile)  # for the database's threads, which begin later
    sys.setprofile(walk.profile)
    with fresh_folder() as path:
        found = aiomemdb.run(walks(walk, path))
    sys.setprofile(None)
    if options.walk is not None:
        print(*found[options.walk], sep="\n")
        return
    print_context(f"the shortest of {CALLS} calls")
    print(f"{'call':24} {'entered':>7} {'different':>9}")
    for name, rooms in found.items():
        print(f"{name:24} {len(rooms):7} {len(set(rooms)):9}")


if __name__ == "__main__":
    main()
