"""A memory on a file of its own, and how the file must be afterwards."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from aiomemdb import Memory


def assert_sound(path: Path) -> None:
    """The file is whole: pages, foreign keys, word indexes, and no row is without what it belongs to."""
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
        for table in ("entity", "episode", "fact"):
            # rank 1: compared with the content too (https://www.sqlite.org/fts5.html, 6.4)
            conn.execute(f"INSERT INTO {table}_words ({table}_words, rank) VALUES ('integrity-check', 1)")
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
            "SELECT id FROM (SELECT id, at < lag(at) OVER (ORDER BY id) AS back FROM memory_event) WHERE back "
            "AND id NOT IN (SELECT event FROM memory_clock_back)",
            "SELECT id FROM fact WHERE created_event NOT IN (SELECT id FROM memory_event)",
            "SELECT id FROM fact WHERE expired_event NOT IN (SELECT id FROM memory_event)",
            "SELECT id FROM episode WHERE created_event NOT IN (SELECT id FROM memory_event)",
            "SELECT id FROM episode WHERE expired_event NOT IN (SELECT id FROM memory_event)",
            "SELECT id FROM entity WHERE created_event NOT IN (SELECT id FROM memory_event)",
        ):
            assert conn.execute(orphans).fetchall() == [], orphans


@pytest.fixture
async def memory(db_path: Path) -> AsyncIterator[Memory]:
    async with Memory.open(db_path) as memory:
        yield memory
    assert_sound(db_path)
