"""Many rows in one statement: they go in and come out as JSON.

The sqlite3 module gives up the GIL at each step, and beside a busy thread each hand-over back takes 50 us and more. A
row of ``fetchall`` or of ``executemany`` is a step.

JSON carries ints of 64 bits and texts. What it can't carry goes in another way, so that each value arrives as it is:

- a REAL as the quotient of two ints, as SQLite reads decimals with 15 digits of precision on some machines;
- BLOBs as parts of one BLOB, in which each row names its own;
- a text with a NUL, at which SQLite's JSON functions stop, and what is too long for a JSON text, as parameters of
  a statement for that row alone.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

__all__ = ["MOST", "apply", "load"]

#: Characters of one JSON text, at most: a larger one saves nothing, and SQLite parses it as a whole.
MOST = 1 << 18
# Bytes of one BLOB, at most.
_MOST_BLOB = 1 << 22
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
# Two quotients of this power of two reach the smallest number that JSON carries, 2**-124.
_POWER = 62


def apply(conn: sqlite3.Connection, sql: str, columns: str, rows: Sequence[Sequence[Any]], **params: Any) -> int:
    """Run a statement that reads the rows from ``{rows}``, a table; return how many rows changed.

    Args:
        columns: the names of the rows' columns, parted by spaces. One that ends in ``:real`` takes floats, one in
            ``:blob`` bytes; the others take ints and texts. Each takes None.
        params: what else the statement names. No name begins with ``row_``.
    """
    if not rows:
        return 0
    many, one, typed = _texts(sql, columns)
    changed = 0
    for piece, blob in _pieces(conn, rows, typed):
        if isinstance(piece, str):
            changed += conn.execute(many, {"rows": piece, "blobs": blob, **params}).rowcount
        else:
            changed += conn.execute(one, {**_named(columns, piece), **params}).rowcount
    return changed


def load(
    conn: sqlite3.Connection,
    wanted: str,
    source: str,
    params: Mapping[str, Any],
    columns: str = "",
    rows: Sequence[Sequence[Any]] = (),
) -> list[list[Any]]:
    """Return all rows of ``SELECT wanted FROM source``, in any order. No column of them is a REAL or a BLOB.

    Args:
        columns: as for ``apply``, where the source reads rows from ``{rows}``; without rows it is not asked then.
    """
    sql = f"SELECT json_group_array(json_array({wanted})) FROM {source}"
    if not columns:
        return _loaded(conn, sql, wanted, params)
    found: list[list[Any]] = []
    if rows:
        many, one, typed = _texts(sql, columns)
        for piece, _ in _pieces(conn, rows, typed):
            if isinstance(piece, str):
                found += _loaded(conn, many, wanted, {"rows": piece, **params})
            else:
                found += _loaded(conn, one, wanted, {**_named(columns, piece), **params})
    return found


def _loaded(conn: sqlite3.Connection, sql: str, wanted: str, params: Mapping[str, Any]) -> list[list[Any]]:
    try:
        [text] = conn.execute(sql, params).fetchone()
    except sqlite3.DataError:  # one JSON text is too long for all of it
        rows = conn.execute(sql.replace(f"json_group_array(json_array({wanted}))", wanted, 1), params).fetchall()
        return [list(row) for row in rows]
    found: list[list[Any]] = json.loads(text)
    return found


@lru_cache(maxsize=256)
def _texts(sql: str, columns: str) -> tuple[str, str, tuple[tuple[int, str], ...]]:
    """The statement for rows as JSON, the statement for one row by parameters, and which columns JSON can't carry."""
    names = columns.split()
    many, one = [], []
    typed: list[tuple[int, str]] = []
    for place, column in enumerate(names):
        name, _, kind = column.partition(":")
        value = f"value->>{place}"
        if kind:
            # Its second part is behind all columns.
            second = f"value->>{len(names) + len(typed)}"
            typed.append((place, kind))
            if kind == "real":
                value = f"({value}) * 1.0 / (1 << min({second}, {_POWER})) / (1 << max(({second}) - {_POWER}, 0))"
            else:
                value = f"substr(:blobs, {value}, {second})"
        many.append(f"{value} AS {name}")
        one.append(f":row_{name} AS {name}")
    return (
        sql.replace("{rows}", f"(SELECT {', '.join(many)} FROM json_each(:rows))"),
        sql.replace("{rows}", f"(SELECT {', '.join(one)})"),
        tuple(typed),
    )


def _named(columns: str, row: Sequence[Any]) -> dict[str, Any]:
    names = _names(columns)
    return dict(zip(names, row, strict=True))


@lru_cache(maxsize=256)
def _names(columns: str) -> list[str]:
    return [f"row_{column.partition(':')[0]}" for column in columns.split()]


def _pieces(
    conn: sqlite3.Connection, rows: Sequence[Sequence[Any]], typed: Sequence[tuple[int, str]]
) -> Iterator[tuple[str | Sequence[Any], bytes]]:
    """Yield the rows in order: many as a JSON array of arrays and the BLOB of their parts, or one as it is."""
    if len(rows) == 1:
        yield rows[0], b""
        return
    # A character takes up to four bytes.
    limit = conn.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)
    text, blob = _encoded(rows, typed)
    if text is not None and len(text) <= min(MOST, limit // 4) and len(blob) <= min(_MOST_BLOB, limit):
        yield text, blob
        return
    half = len(rows) // 2
    yield from _pieces(conn, rows[:half], typed)
    yield from _pieces(conn, rows[half:], typed)


def _encoded(rows: Sequence[Sequence[Any]], typed: Sequence[tuple[int, str]]) -> tuple[str | None, bytes]:
    """The rows as JSON; None: it can't carry one of them."""
    blobs: list[bytes] = []
    if typed:
        length, carried = 0, []
        for row in rows:
            first, second = list(row), []
            for place, kind in typed:
                value, other = row[place], None
                if value is None:
                    pass
                elif kind == "blob":
                    blobs.append(value)
                    first[place], other = length + 1, len(value)
                    length += len(value)
                else:
                    quotient = _quotient(value)
                    if quotient is None:
                        return None, b""
                    first[place], other = quotient
                second.append(other)
            carried.append(first + second)
        rows = carried
    text = _ENCODER.encode(rows)
    return (None if "\\u0000" in text else text), b"".join(blobs)


def _quotient(value: float) -> tuple[int, int] | None:
    """(n, k) of a float that is n / 2**k, in ints that SQLite divides exactly; None: there are none."""
    try:
        above, below = value.as_integer_ratio()
    except (OverflowError, ValueError):  # infinity, NaN
        return None
    power = below.bit_length() - 1
    return (above, power) if power <= 2 * _POWER and abs(above) < 2**63 else None
