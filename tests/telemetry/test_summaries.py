"""What SQL does, in a few words, and never a value."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiomemdb.telemetry.summaries import summary

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("INSERT INTO note (a) VALUES (?)", "INSERT note"),
        ("insert or replace into main . note values (1)", "INSERT main.note"),
        ('SELECT * FROM a JOIN "b c" ON a.x = b.y', 'SELECT a "b c"'),
        ("WITH q AS (SELECT 1 FROM t) SELECT * FROM q", "SELECT t SELECT q"),
        ("UPDATE OR IGNORE note SET a = 1", "UPDATE note"),
        ("INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = 2", "INSERT t"),
        ("CREATE TABLE IF NOT EXISTS t (a)", "CREATE t"),
        ("REPLACE INTO t SELECT replace(a, 'b', 'c') FROM u", "REPLACE t SELECT u"),
        ("SELECT /* FROM x */ 1 -- FROM y", "SELECT"),
        ("", "write"),
    ],
)
def test_a_text_is_summed_up_by_its_operations_and_tables(sql: str, expected: str) -> None:
    assert summary("write", sql) == expected


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT '{SECRET}' FROM t WHERE a = 'FROM {SECRET}'",
        f"SELECT * FROM '{SECRET}'",
        f"INSERT INTO t VALUES ('it''s FROM {SECRET}', 'INTO {SECRET}",
        f'SELECT * FROM t WHERE a IS DISTINCT FROM "{SECRET}"',
        f'SELECT "{SECRET}" FROM t',
        f"SELECT 1 -- FROM {SECRET}\n FROM t",
        f"SELECT 1 /* FROM {SECRET}",
        f"SELECT * FROM t WHERE a = '{'x' * 5000} FROM {SECRET}'",
        f"UPDATE t SET a = '{SECRET}', b = x'{SECRET}'",
    ],
)
def test_no_value_is_in_it(sql: str) -> None:
    assert SECRET not in summary("read", sql)


@given(
    st.lists(st.sampled_from(["SELECT", "FROM", "'", '"', "--", "/*", "*/", "\n", "INTO", "t", ".", "(", "''", " "]))
)
def test_what_is_between_quotes_is_never_in_it_whatever_is_around(parts: list[str]) -> None:
    """As SQLite reads it: up to the quote that ends it, or to the end of the text."""
    before = re.sub(r"['\"`\[]|--|/\*", "", " ".join(parts))
    assert SECRET not in summary("read", f"{before} '{SECRET} {' '.join(parts)}")


def test_a_summary_is_short_whatever_the_text() -> None:
    assert len(summary("read", "SELECT * FROM " + ", ".join("JOIN " + "t" * 40 for _ in range(200)))) <= 255
    assert len(summary("read", "SELECT * FROM " + "t" * 5000)) <= 255
