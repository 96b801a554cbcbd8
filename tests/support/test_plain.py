from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.plain import assert_healthy, plain


@pytest.fixture
def path(db_path: Path) -> Path:
    with closing(sqlite3.connect(db_path)) as conn:
        conn.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (1), (2)")
    return db_path


def test_it_reads_rows(path: Path) -> None:
    assert plain(path, "SELECT x FROM t WHERE x > ?", (1,)) == [(2,)]
    assert_healthy(path)


def test_a_file_that_is_missing_is_not_made(db_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        plain(db_path, "SELECT 1")
    assert not db_path.exists()


def test_an_open_transaction_is_not_healthy(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        with pytest.raises(AssertionError, match="a transaction is still open"):
            assert_healthy(path)


def test_a_damaged_file_is_not_healthy(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE t (x NOT NULL)';"
            "INSERT INTO t VALUES (NULL)"
        )
    with pytest.raises(AssertionError):
        assert_healthy(path)
