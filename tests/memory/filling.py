"""A file with something of everything, and files as text: how the tests keep one of each version of the schema.

    python -m tests.memory.filling tests/memory/schemas/4.sql

writes the file of the version that the code has.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta, timezone
from pathlib import Path
from unittest import mock

from aiomemdb import Memory, Statement
from aiomemdb.memory.deciding import moment

from .support import SpellingEmbedder, day

SCHEMAS = Path(__file__).with_name("schemas")

# What shadows a word index (https://www.sqlite.org/fts5.html, 9): made with it, and filled by a rebuild.
_SHADOW = re.compile(r"\w+_(?:words|search)_(data|idx|content|docsize|config)")
# Both ways to write é.
CAFE, CAFE_IN_PARTS = "caf\u00e9", "cafe\u0301"
TOKYO = timezone(timedelta(hours=9))


async def fill(path: Path) -> None:
    """Says everything that a memory can be told, in ways of writing that only differ in what is not seen."""
    async with Memory.open(path, agent="ann", embedder=SpellingEmbedder(dim=4)) as memory:
        for name in ("Acme Corp", "Ac\u200bme Corp", "Acme\u00ad Corp", "\ufeffACME Corp", "Acme Corp\u200e"):
            await memory.add_fact(name, "makes", f"thing {name.encode().hex()}")
        await memory.add_fact("O'Brien", "knows", "O\u2019Brien")  # about itself, once they are one
        await memory.add_fact("O'Brien", "drinks", "Coca-Cola")
        await memory.add_fact("O\u2019Brien", "drinks", "Coca\u2010Cola")
        for predicate, city in ((CAFE, "Oslo"), (CAFE_IN_PARTS, "Oslo"), (CAFE_IN_PARTS, "Bergen")):
            await memory.add_fact("Ann", predicate, city, replace=True, valid_at=day(0))
        await memory.add_fact("Ann", "says", value=CAFE)
        await memory.add_fact("Ann", "says", value=CAFE_IN_PARTS)
        await memory.add_fact("Ann", "says", value="10\u00b2")
        await memory.add_fact("Ann", "says", value="102")
        await memory.add_fact("Ann", "age", value=7, valid_at=day(1), invalid_at=day(9))
        await memory.add_fact("Ann", "age", value=8, valid_at=day(5), replace=True)
        apples = (("Apple", "company"), ("Ap\u200bple", "fruit"), ("App\u200ble", None))
        for name, type in (*apples, ("Pear", "fr\u00aduit")):
            await memory.find_or_create_entity(name, type, f"{type}?")
        await memory.find_or_create_entity("Pear", "fruit")
        bob = await memory.find_or_create_entity("Bob")
        await memory.merge(bob, await memory.find_or_create_entity("Robert"))
        await memory.add_alias(bob, "Bobby")
        gone = await memory.add_fact("Bob", "lost", "Keys")
        await memory.retract(await memory.add_fact("Bob", "is", "Old"), "he is not")
        for seq, said in ((2, "second"), (1, "first"), (3, "third")):
            facts = [Statement(subject="Acme\u200b Corp", predicate="is", object=said, quote="so it is")]
            await memory.remember(f"the {said}", facts, session="talk", seq=seq, occurred_at=day(seq).astimezone(TOKYO))
        for content in ("draft", "final"):
            await memory.remember(content, [("Bob", "wrote", content)], key="paper", metadata={"n": 1}, replace=True)
        other = memory.scoped(namespace="mail", agent="bot")
        await other.add_episode("of Acme", mentions=["Acme Corp", "Acme\u200b Corp"])
        await memory.forget(gone)
        with mock.patch.object(moment, "now_micros", lambda: 4_133_980_800_000_000):  # 2101
            await memory.add_fact("Bob", "met", "Time")
        await memory.add_fact("Bob", "is", "Back")


def dump(path: Path) -> Iterator[str]:
    """A file as SQL."""
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        schema = conn.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid").fetchall()
        made = [(name, sql) for name, sql in schema if not _SHADOW.fullmatch(name) and not name.startswith("sqlite_")]
        triggers = [sql for _, sql in made if sql.startswith("CREATE TRIGGER")]
        yield from (f"{sql};" for _, sql in made if sql not in triggers)
        tables = [name for name, sql in made if sql.startswith("CREATE TABLE")]
        for table in [*tables, "sqlite_sequence"]:
            if table == "sqlite_sequence":
                yield "DELETE FROM sqlite_sequence;"  # what the rows before have left there
            columns = [row[1] for row in conn.execute(f"PRAGMA table_info({table})")]
            values = " || ', ' || ".join(f"quote({column})" for column in columns)
            for [row] in conn.execute(f"SELECT {values} FROM {table} ORDER BY 1"):
                yield f"INSERT INTO {table} VALUES ({row});"
        for name, _ in made:
            if name.endswith(("_words", "_search")):
                yield f"INSERT INTO {name} ({name}) VALUES ('rebuild');"
        yield from (f"{sql};" for sql in triggers)


def load(version: int, path: Path) -> None:
    """Makes the file that was kept of a version."""
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.executescript("BEGIN; " + (SCHEMAS / f"{version}.sql").read_text() + "COMMIT;")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(fill(Path(folder, "file.db")))
        Path(sys.argv[1]).write_text("\n".join(dump(Path(folder, "file.db"))) + "\n")
