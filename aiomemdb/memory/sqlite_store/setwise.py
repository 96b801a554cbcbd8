"""Many rows in one statement: they go in and come out as JSON.

The sqlite3 module gives up the GIL at each step, and beside a busy thread each hand-over back takes 50 us and more. A
row of ``fetchall`` or of ``executemany`` is a step.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["MOST", "apply", "load", "pieces"]

#: Characters of one JSON text, at most: a larger one saves nothing, and SQLite parses it as a whole.
MOST = 1 << 18
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def pieces(conn: sqlite3.Connection, rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Yield the rows as JSON arrays of arrays, none longer than the connection takes, except for a row that is."""
    # A character takes up to four bytes.
    yield from _pieces(rows, min(MOST, conn.getlimit(sqlite3.SQLITE_LIMIT_LENGTH) // 4))


def _pieces(rows: Sequence[Sequence[object]], most: int) -> Iterator[str]:
    if not rows:
        return
    text = _ENCODER.encode(rows)
    if len(text) <= most or len(rows) == 1:
        yield text
    else:
        half = len(rows) // 2
        yield from _pieces(rows[:half], most)
        yield from _pieces(rows[half:], most)


def apply(conn: sqlite3.Connection, sql: str, rows: Sequence[Sequence[object]], **params: Any) -> int:
    """Run a statement that reads ``json_each(:rows)``, whose values are the rows; return how many rows changed.

    Args:
        rows: ints, texts, None, and floats: SQLite reads the shortest form of a float back as the same float.
    """
    changed = 0
    for piece in pieces(conn, rows):
        changed += conn.execute(sql, {"rows": piece, **params}).rowcount
    return changed


def load(conn: sqlite3.Connection, columns: str, source: str, params: Mapping[str, Any]) -> list[list[Any]]:
    """Return all rows of ``SELECT columns FROM source``, in any order. No column is a float or a blob.

    A piece of the rows is a step, and none is much longer than ``MOST``, except for a row that is.
    """
    rows = conn.execute(
        "SELECT json_group_array(json(line)) FROM (SELECT line, sum(length(line)) OVER (ROWS UNBOUNDED PRECEDING) "
        f"/ {MOST} AS piece FROM (SELECT json_array({columns}) AS line FROM {source})) GROUP BY piece",
        params,
    ).fetchall()
    return [line for piece in rows for line in json.loads(piece[0])]
