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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, TypeAlias

__all__ = ["MOST", "apply", "insert", "load"]

#: Characters of one JSON text, at most: a larger one saves nothing, and SQLite parses it as a whole.
MOST = 1 << 18
# Bytes of one BLOB, at most.
_MOST_BLOB = 1 << 22
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
# Two quotients of this power of two reach the smallest number that JSON carries, 2**-124.
_POWER = 62
# Rows from which on JSON is faster than parameters. From then on it also pays to look which columns are the same in all
# rows; each such choice is a statement of its own.
_MANY = 8
# By the size of so many rows pieces are cut, and how full they are to be.
_SAMPLE, _FULL = 64, 0.8


def insert(
    conn: sqlite3.Connection, table: str, columns: str, rows: Sequence[Sequence[Any]], conflict: str = ""
) -> None:
    """Insert rows.

    Args:
        columns: the names of the columns, parted by spaces. One that ends in ``:real`` takes floats, one in ``:blob``
            bytes; the others take ints and texts. Each takes None.
        conflict: what becomes of a row that is there already, in SQL.
    """
    count = len(rows)
    if count <= 1:
        if rows:
            conn.execute(_inserted(table, columns, conflict, 1), rows[0])
        return
    if count < _MANY and count * len(rows[0]) <= conn.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER):
        conn.execute(_inserted(table, columns, conflict, count), [value for row in rows for value in row])
        return
    same = _same(rows)
    many, typed = _inserted_many(table, columns, conflict, same)
    for row, params in _pieces(conn, rows, typed, same):
        if row is None:
            conn.execute(many, params)
        else:
            conn.execute(_inserted(table, columns, conflict, 1), row)


def apply(conn: sqlite3.Connection, sql: str, columns: str, rows: Sequence[Sequence[Any]], **params: Any) -> int:
    """Run a statement that reads the rows from ``{rows}``, a table; return how many rows changed.

    Args:
        columns: as for ``insert``, named as the statement names them.
        params: what else the statement names. No name begins with ``row_`` or ``same_``.
    """
    changed = 0
    for text, each in _statements(conn, sql, columns, rows, params):
        changed += conn.execute(text, each).rowcount
    return changed


def load(
    conn: sqlite3.Connection,
    wanted: str,
    source: str,
    params: Mapping[str, Any],
    columns: str = "",
    rows: Sequence[Sequence[Any]] = (),
    *,
    few: bool = False,
) -> list[list[Any]]:
    """Return all rows of ``SELECT wanted FROM source``, in any order. No column of them is a REAL or a BLOB.

    Args:
        columns: as for ``apply``, where the source reads rows from ``{rows}``; without rows it is not asked then.
        few: for each of the rows there are a few at most.
    """
    if few and len(rows) == 1:
        text, each = _statement_of_one(_select(wanted, source), columns, rows[0], params)
        return [list(row) for row in conn.execute(text, each).fetchall()]
    sql = _select(f"json_group_array(json_array({wanted}))", source)
    if not columns:
        return _loaded(conn, sql, wanted, params)
    found: list[list[Any]] = []
    for text, each in _statements(conn, sql, columns, rows, params):
        found += _loaded(conn, text, wanted, each)
    return found


@lru_cache(maxsize=256)
def _select(wanted: str, source: str) -> str:
    return f"SELECT {wanted} FROM {source}"


def _loaded(conn: sqlite3.Connection, sql: str, wanted: str, params: Mapping[str, Any]) -> list[list[Any]]:
    try:
        [text] = conn.execute(sql, params).fetchone()
    except sqlite3.DataError:  # one JSON text is too long for all of it
        rows = conn.execute(sql.replace(f"json_group_array(json_array({wanted}))", wanted, 1), params).fetchall()
        return [list(row) for row in rows]
    found: list[list[Any]] = json.loads(text)
    return found


def _statements(
    conn: sqlite3.Connection, sql: str, columns: str, rows: Sequence[Sequence[Any]], params: Mapping[str, Any]
) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """The statements that read the rows, one after the other, with their parameters."""
    if not rows:
        return []
    if len(rows) == 1:
        return [_statement_of_one(sql, columns, rows[0], params)]
    same = _same(rows)
    many, _, typed = _texts(sql, columns, same)
    return (
        (many, {**carried, **params}) if row is None else _statement_of_one(sql, columns, row, params)
        for row, carried in _pieces(conn, rows, typed, same)
    )


def _statement_of_one(
    sql: str, columns: str, row: Sequence[Any], params: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any]]:
    return _texts(sql, columns)[1], {**dict(zip(_names(columns), row, strict=True)), **params}


# The statement for rows as JSON, the statement for one row by parameters, and which columns JSON does not carry.
_Texts: TypeAlias = tuple[str, str, tuple[tuple[int, str], ...]]


@lru_cache(maxsize=256)
def _texts(sql: str, columns: str, same: tuple[int, ...] = ()) -> _Texts:
    names, values, typed = _carried(columns, same)
    many = ", ".join(f"{value} AS {name}" for name, value in zip(names, values, strict=True))
    one = ", ".join(f":row_{name} AS {name}" for name in names)
    return (
        sql.replace("{rows}", f"(SELECT {many} FROM json_each(:rows))"),
        sql.replace("{rows}", f"(SELECT {one})"),
        typed,
    )


@lru_cache(maxsize=256)
def _inserted_many(
    table: str, columns: str, conflict: str, same: tuple[int, ...]
) -> tuple[str, tuple[tuple[int, str], ...]]:
    names, values, typed = _carried(columns, same)
    # TRUE, so that SQLite does not take the conflict's ON for a join's.
    select = f"SELECT {', '.join(values)} FROM json_each(:rows) WHERE TRUE"
    return f"INSERT INTO {table} ({', '.join(names)}) {select} {conflict}", typed


@lru_cache(maxsize=256)
def _inserted(table: str, columns: str, conflict: str, count: int) -> str:
    names, _, _ = _carried(columns, ())
    row = f"({', '.join('?' * len(names))})"
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES {', '.join([row] * count)} {conflict}"


def _carried(columns: str, same: Sequence[int]) -> tuple[list[str], list[str], tuple[tuple[int, str], ...]]:
    """The names of columns, how a statement reads each, and which of those that it reads from JSON are none."""
    names, values = [], []
    typed: list[tuple[int, str]] = []
    kinds = [column.partition(":")[::2] for column in columns.split()]
    kept = [kind for place, (_, kind) in enumerate(kinds) if place not in same]
    carried = 0
    for place, (name, kind) in enumerate(kinds):
        if place in same:
            value = f":same_{place}"
        else:
            value = "value" if kept == [""] else f"value->>{carried}"
            if kind:
                # Its second part is behind all columns.
                second = f"value->>{len(kept) + len(typed)}"
                typed.append((carried, kind))
                if kind == "real":
                    value = f"({value}) * 1.0 / (1 << min({second}, {_POWER})) / (1 << max(({second}) - {_POWER}, 0))"
                else:
                    value = f"substr(:blobs, {value}, {second})"
            carried += 1
        names.append(name)
        values.append(value)
    return names, values, tuple(typed)


@lru_cache(maxsize=256)
def _names(columns: str) -> list[str]:
    return [f"row_{column.partition(':')[0]}" for column in columns.split()]


def _same(rows: Sequence[Sequence[Any]]) -> tuple[int, ...]:
    """Which columns are the same in all rows, if it pays to look. To read a value from JSON takes as long as to insert
    it.
    """
    if len(rows) < _MANY:
        return ()
    maybe = [place for place, value in enumerate(rows[0]) if value == rows[-1][place]]
    different = set(map(_columns(maybe), rows)) if maybe else ()
    return tuple(maybe[n] for n, values in enumerate(zip(*different, strict=True)) if len(set(values)) == 1)


def _columns(places: Sequence[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """What takes these columns of a row."""
    if len(places) > 1:
        return itemgetter(*places)
    [place] = places
    return lambda row: (row[place],)


def _pieces(
    conn: sqlite3.Connection, rows: Sequence[Sequence[Any]], typed: Sequence[tuple[int, str]], same: Sequence[int]
) -> Iterator[tuple[Sequence[Any] | None, Mapping[str, Any]]]:
    """Yield the rows in order: one as it is, or None and the parameters that carry many."""
    # A character takes up to four bytes.
    limit = conn.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)
    most, most_blob = min(MOST, limit // 4), min(_MOST_BLOB, limit)
    count = len(rows)
    if count > _SAMPLE:  # rows that are encoded together and do not fit are encoded again
        some = rows[:: count // _SAMPLE]
        text, blob = _encoded(some, typed, same)
        size = max(len(text or "") / most, len(blob) / most_blob) / len(some) * count
        count = count if size <= _FULL else max(1, int(count * _FULL / size))
    for begin in range(0, len(rows), count):
        yield from _halved(rows[begin : begin + count], typed, same, most, most_blob)


def _halved(
    rows: Sequence[Sequence[Any]], typed: Sequence[tuple[int, str]], same: Sequence[int], most: int, most_blob: int
) -> Iterator[tuple[Sequence[Any] | None, Mapping[str, Any]]]:
    if len(rows) == 1:
        yield rows[0], {}
        return
    text, blob = _encoded(rows, typed, same)
    if text is not None and len(text) <= most and len(blob) <= most_blob:
        yield None, {"rows": text, "blobs": blob, **{f"same_{place}": rows[0][place] for place in same}}
        return
    half = len(rows) // 2
    yield from _halved(rows[:half], typed, same, most, most_blob)
    yield from _halved(rows[half:], typed, same, most, most_blob)


def _encoded(
    rows: Sequence[Sequence[Any]], typed: Sequence[tuple[int, str]], same: Sequence[int]
) -> tuple[str | None, bytes]:
    """The rows as a JSON array of arrays, or of values if they have one column, without the columns that are the same
    in all; None: it can't carry one of them.
    """
    kept = [place for place in range(len(rows[0])) if place not in same]
    carried: Sequence[Any] = rows
    blob = b""
    if typed:
        columns: list[Sequence[Any]] = [[row[place] for row in rows] for place in kept]
        for place, kind in typed:
            if kind == "blob":
                blob = b"".join(filter(None, columns[place]))
                parts = _parts(columns[place])
            else:
                parts = list(map(_quotient, columns[place]))
                if (0, -1) in parts:
                    return None, b""
            columns[place] = [first for first, _ in parts]
            columns.append([second for _, second in parts])
        carried = list(zip(*columns, strict=True))
    elif not kept:
        carried = [None] * len(rows)
    elif same or len(kept) == 1:
        carried = list(map(itemgetter(*kept), rows))
    text = _ENCODER.encode(carried)
    return (None if "\\u0000" in text else text), blob


def _parts(blobs: Iterable[bytes | None]) -> list[tuple[int | None, int | None]]:
    """Where each is in all of them, one behind the other, as SQLite counts, and how long it is."""
    parts: list[tuple[int | None, int | None]] = []
    begin = 1
    for blob in blobs:
        parts.append((None, None) if blob is None else (begin, len(blob)))
        begin += 0 if blob is None else len(blob)
    return parts


def _quotient(value: float | None) -> tuple[int | None, int | None]:
    """(n, k) of a float that is n / 2**k, in ints that SQLite divides exactly; (0, -1): there are none."""
    if value is None:
        return None, None
    try:
        above, below = value.as_integer_ratio()
    except (OverflowError, ValueError):  # infinity, NaN
        return 0, -1
    power = below.bit_length() - 1
    return (above, power) if power <= 2 * _POWER and abs(above) < 2**63 else (0, -1)
