"""Each fast path has a switch that takes something away, a line in bench/README.md, and a slower way beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.fast_paths import WITHOUT
from tests.support.warm import Warm

ROOT = Path(__file__).parents[2]

PROGRAM = """
import asyncio, sys, warnings
warnings.simplefilter("error")
import aiomemdb
from tests.support.fast_paths import take_away

take_away(sys.argv[2:])

async def main():
    async with aiomemdb.connect(sys.argv[1]) as db:
        await db.write_script("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT)")
        insert, read = "INSERT INTO note (text) VALUES (?)", "SELECT text FROM note WHERE id = ?"
        rowids = await asyncio.gather(*(db.write(insert, (str(n),)) for n in range(1, 200)))
        rowids += [await db.write(insert, (str(n),)) for n in range(200, 210)]
        assert rowids == [*range(1, 210)]
        assert await db.write_many(insert, [(str(n),) for n in range(210, 400)]) == 190
        for n in range(400, 403):
            async with db.transaction() as tx:
                assert await tx.write(insert, (str(n),)) == n
        rows = await asyncio.gather(*(db.read(read, (n,)) for n in range(1, 403)))
        assert [row["text"] for [row] in rows] == [str(n) for n in range(1, 403)]
        assert (await db.read_one(read, (7,)))[0] == "7" and await db.read(read, (0,)) == []

asyncio.run(main())
"""


@pytest.mark.parametrize("names", [*([name] for name in WITHOUT), [*WITHOUT]], ids="+".join)
def test_without_it_all_goes_on_by_the_slower_way(db_path: Path, names: list[str], warm: Warm) -> None:
    warm.run(PROGRAM, db_path, *names).assert_ok()


def test_each_stands_in_the_table_of_the_benchmarks() -> None:
    table = (ROOT / "bench/README.md").read_text().split("## The fast paths")[1].split("\n## ")[0]
    assert re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE) == list(WITHOUT)
