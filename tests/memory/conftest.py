"""A memory of its own for each test, kept by each store; and how a file must be afterwards.

Tests of the memory run on both stores. Those that look at SQLite's rows, or need processes or a file, run on SQLite:
they use ``db_path``, or are marked ``sqlite_only``.
"""

from __future__ import annotations

import asyncio
import functools
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import pytest

import aiomemdb.blocking
from aiomemdb import Database, Memory
from aiomemdb.memory.stores.sqlite.identity import index_names
from aiomemdb.memory.stores.sqlite.indexing import reindex
from tests.memory.dict_database import DictDatabase

_LINES = [
    *((table, "created_event") for table in ("entity", "episode", "fact")),
    *((table, "expired_event") for table in ("episode", "fact")),
    ("entity", "established"),
]


def assert_sound(path: Path) -> None:
    """The file is whole: pages, foreign keys, word indexes, and no row is without what it belongs to."""
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
        for table in ("entity", "episode", "fact"):
            # rank 1: compared with the content too (https://www.sqlite.org/fts5.html, 6.4)
            conn.execute(f"INSERT INTO {table}_search ({table}_search, rank) VALUES ('integrity-check', 1)")
        for orphans in (
            "SELECT id FROM entity WHERE merged_into IS NULL AND id NOT IN (SELECT entity FROM entity_alias)",
            "SELECT key FROM entity_alias WHERE entity IN (SELECT id FROM entity WHERE merged_into IS NOT NULL)",
            "SELECT id FROM entity WHERE merged_into IN (SELECT id FROM entity WHERE merged_into IS NOT NULL)",
            "SELECT id FROM fact WHERE expired_at IS NULL AND id NOT IN (SELECT fact FROM fact_evidence)",
            "SELECT id FROM fact WHERE subject IN (SELECT id FROM entity WHERE merged_into IS NOT NULL)",
            "SELECT id FROM fact WHERE object IN (SELECT id FROM entity WHERE merged_into IS NOT NULL)",
            "SELECT id FROM vector WHERE kind = 'entity' "
            "AND ref NOT IN (SELECT id FROM entity WHERE merged_into IS NULL)",
            "SELECT ref FROM vector WHERE kind = 'fact' AND ref NOT IN (SELECT id FROM fact)",
            "SELECT ref FROM vector WHERE kind = 'episode' AND ref NOT IN (SELECT id FROM episode)",
            "SELECT id FROM (SELECT id, at < lag(at) OVER (ORDER BY id) AS back FROM memory_event WHERE id > 0) "
            "WHERE back AND id NOT IN (SELECT event FROM memory_clock_back)",
            # Below 0 they are times: what was imported is known since then.
            *(
                f"SELECT id FROM {table} WHERE {column} >= 0 AND {column} NOT IN (SELECT id FROM memory_event)"
                for table, column in _LINES
            ),
        ):
            assert conn.execute(orphans).fetchall() == [], orphans
        assert_indexed(conn)


def assert_indexed(conn: sqlite3.Connection) -> None:
    """Word search has of each row that is there what it would have if all were indexed anew."""
    columns = {"entity": "id, other_names, form, terms", "episode": "id, form, terms", "fact": "id, form, terms"}

    def found_by(kind: str) -> dict[int, list[list[str]]]:
        there = "terms IS NOT NULL" + (" AND merged_into IS NULL" if kind == "entity" else "")
        rows = conn.execute(f"SELECT {columns[kind]} FROM {kind} WHERE {there}")
        return {id: [sorted((text or "").split()) for text in texts] for id, *texts in rows}  # names have no order

    before = {kind: found_by(kind) for kind in columns}
    conn.execute("BEGIN")
    index_names(conn, before["entity"])
    for kind, rows in before.items():
        reindex(conn, kind, rows)
    assert before == {kind: found_by(kind) for kind in columns}
    conn.execute("ROLLBACK")


#: What a memory is opened on; several memories on it share it. A text is a URL.
Target: TypeAlias = Path | Database | str


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kept_by" not in metafunc.fixturenames or "db_path" in metafunc.fixturenames:
        return
    if metafunc.definition.get_closest_marker("sqlite_only") is None:
        stores = ["postgres"] if metafunc.config.option.on_postgres else ["sqlite", "dict"]
        if metafunc.definition.get_closest_marker("engines_only") is not None:
            stores = [store for store in stores if store != "dict"]
        if stores == ["postgres"] and "other" in metafunc.fixturenames:
            stores.append("other on postgres")  # what moves, moves both ways
        metafunc.parametrize("kept_by", stores, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --on-postgres only what runs there."""
    if config.option.on_postgres:
        here = Path(__file__).parent
        others = [
            item
            for item in items
            if here in item.path.parents
            and "postgres" not in item.path.parent.name
            and "postgres" not in getattr(getattr(item, "callspec", None), "params", {}).get("kept_by", "")
        ]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]


@pytest.fixture(scope="session")
def postgres_database() -> Iterator[str]:
    """The URL of a database that all tests of a run share, one after another."""
    from tests.memory import on_postgres

    with on_postgres.database() as url:
        yield url


@pytest.fixture
def kept_by(request: pytest.FixtureRequest) -> str:
    """Which store keeps the memory."""
    store: str = getattr(request, "param", "sqlite")
    return store


@pytest.fixture
def target(kept_by: str, request: pytest.FixtureRequest) -> Target:
    if kept_by == "postgres":
        from tests.memory import on_postgres

        return on_postgres.emptied(request.getfixturevalue("postgres_database"))
    path: Path = request.getfixturevalue("db_path")
    return DictDatabase() if kept_by == "dict" else path


@functools.cache
def empty_memory() -> bytes:
    """The file of a memory that nothing was written to, closed. Making one takes four times as long as opening it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "empty.db")
        with aiomemdb.blocking.Memory.open(path):
            pass
        assert not Path(f"{path}-wal").exists()
        return path.read_bytes()


@pytest.fixture
async def memory(target: Target) -> AsyncIterator[Memory]:
    if isinstance(target, Path) and not target.exists():
        target.write_bytes(await asyncio.to_thread(empty_memory))
    async with Memory.open(target) as memory:
        yield memory
    assert_whole(target)


def assert_whole(target: Target) -> None:
    if isinstance(target, Path):
        assert_sound(target)
    elif isinstance(target, str):
        from tests.memory import on_postgres

        on_postgres.assert_sound(target)


@pytest.fixture
def other_target(kept_by: str, request: pytest.FixtureRequest) -> Target:
    if kept_by == "other on postgres":
        from tests.memory import on_postgres

        return on_postgres.emptied(request.getfixturevalue("postgres_database"))
    path: Path = request.getfixturevalue("tmp_path")
    return DictDatabase() if kept_by == "dict" else path / "other.db"


@pytest.fixture
async def other(other_target: Target) -> AsyncIterator[Memory]:
    async with Memory.open(other_target) as memory:
        yield memory
    assert_whole(other_target)
