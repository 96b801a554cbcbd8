"""A process killed in the middle of remember() leaves whole documents and nothing of others."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from aiomemdb import Memory
from tests.memory.conftest import assert_sound
from tests.support.plain import plain
from tests.support.scripts import start_script

# Prints each document's number after it was acknowledged, until it is killed.
WRITER = """
    import asyncio, sys, aiomemdb

    async def remember(memory, start):
        n = start
        while True:
            facts = [(f"N {n} {f}", "belongs to", f"document {n}") for f in range(9)]
            await memory.remember(f"document {n}", facts, key=f"k {n}", session=f"s {start}", mentions=["everybody"])
            print(n, flush=True)
            n += 10

    async def main():
        async with aiomemdb.Memory.open(sys.argv[1]) as memory:
            print("ready", flush=True)
            await asyncio.gather(*(remember(memory, int(sys.argv[2]) + task) for task in range(5)))

    aiomemdb.run(main())
"""


def kill_once(path: Path, start: int, chance: random.Random) -> set[int]:
    """Kills a writer after some acknowledgements, wherever it is then; returns those that it had."""
    acknowledged: set[int] = set()
    with start_script(WRITER, path, start) as process:
        assert process.stdout is not None
        wanted = chance.randrange(1, 60)
        for line in process.stdout:
            if line.strip().isdigit():
                acknowledged.add(int(line))
            if len(acknowledged) >= wanted:
                process.kill()
                break
        acknowledged.update(int(line) for line in process.stdout if line.strip().isdigit() and line.endswith("\n"))
    return acknowledged


@pytest.mark.parametrize("kills", [4, pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
async def test_a_killed_writer_leaves_whole_documents_alone(db_path: Path, kills: int) -> None:
    chance = random.Random(kills)
    acknowledged: set[int] = set()
    for number in range(kills):
        acknowledged |= kill_once(db_path, 10_000 * number, chance)
        async with Memory.open(db_path) as memory:  # what is left serves at once
            await memory.remember(f"after {number}", [(f"after {number}", "belongs to", "everybody")])
        assert_sound(db_path)
        stored = {
            int(row[0].split()[1]): row[1:]
            for row in plain(
                db_path,
                "SELECT p.content, (SELECT count(*) FROM fact_evidence v JOIN fact f ON f.id = v.fact "
                "WHERE v.episode = p.id), (SELECT count(*) FROM mention m WHERE m.episode = p.id) "
                "FROM episode p WHERE p.key IS NOT NULL",
            )
        }
        assert set(stored.values()) == {(9, 11)}
        assert acknowledged <= set(stored)
    # Each entity is named by a document.
    assert (
        plain(db_path, "SELECT name FROM entity WHERE name LIKE 'N %' AND id NOT IN (SELECT entity FROM mention)") == []
    )
