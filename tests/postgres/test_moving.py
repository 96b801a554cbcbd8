"""A memory that is exported from one engine and imported into the other: what is PostgreSQL's own of that."""

from __future__ import annotations

import io
import json
from pathlib import Path

from aiomemdb import Document, Memory
from tests.memory import on_postgres
from tests.memory.moving_support import exported, filled


async def test_what_was_merged_before_an_import_is_no_word_of_what_is_believed(url: str, tmp_path: Path) -> None:
    async with Memory.open(tmp_path / "a.db") as source, Memory.open(url) as memory:
        await memory.import_(io.StringIO(await filled(source)))
        assert [hit.item.name for hit in await memory.recall("Robert", kinds=["entity"])] == ["Bob"]
    on_postgres.assert_sound(url)


async def test_slices_hold_the_rows_of_all_namespaces_in_one_order(url: str) -> None:
    async with Memory.open(url) as memory:
        for n in range(4):  # more than two slices of each namespace
            said = (Document(content=f"text {n} {part}") for part in range(150))
            await memory.scoped(namespace=f"n{n % 2}").remember_many(said)
        text = await exported(memory)
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["content"] for row in rows if "content" in row] == [
        f"text {n} {part}" for n in range(4) for part in range(150)
    ]
