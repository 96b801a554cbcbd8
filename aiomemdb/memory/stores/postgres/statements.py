"""Statements with named parameters, and many rows in one of them: they go in as an array a column.

``:name`` is a parameter (``::type`` a cast). The server knows no names: it gets ``$1``, ``$2``, …
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

__all__ = ["Statement", "insert", "rows_from", "statement"]

#: What the engine runs: a text, and its parameters in order.
Statement: TypeAlias = tuple[str, list[Any]]

_NAMED = re.compile(r"(?<!:):([a-z_][a-z0-9_]*)")
# Columns that are no text, by their names, which mean the same in all tables.
_BIGINT = (
    "id namespace entity episode fact subject object a b model ref other event place at since target seen created_at "
    "created_event expired_at expired_event established occurred_at valid_at invalid_at superseded_by merged_into "
    "heir_of successor last_event last_at rows believed_rows words_count seq low high"
)
_INT = "version dim occurred_offset valid_offset invalid_offset length number size"
_TYPES: dict[str, str] = {
    **dict.fromkeys(_BIGINT.split(), "bigint"),
    **dict.fromkeys(_INT.split(), "int"),
    **dict.fromkeys(("cosine", "confidence"), "double precision"),
    "believed": "boolean",
}
# What arrays can't hold, or not well: as texts.
_PACKED = {
    "data": "decode({}, 'hex')",
    "words": "string_to_array({}, ' ')",
    "positions": "string_to_array({}, ',')::int[]",
}


@lru_cache(maxsize=1024)
def _numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    names: dict[str, int] = {}
    text = _NAMED.sub(lambda found: f"${names.setdefault(found[1], len(names) + 1)}", sql)
    return text, tuple(names)


def statement(sql: str, params: Mapping[str, Any]) -> Statement:
    """A statement with the parameters that it names, of those that are given."""
    text, names = _numbered(sql)
    return text, [params[name] for name in names]


@lru_cache(maxsize=256)
def _source(columns: str) -> str:
    names = columns.split()
    arrays = ", ".join(f":r_{name}::{_TYPES.get(name, 'text')}[]" for name in names)
    return f"unnest({arrays}) WITH ORDINALITY AS r ({', '.join([*names, 'ord'])})"


def rows_from(columns: str, rows: Sequence[Sequence[Any]]) -> tuple[str, dict[str, list[Any]]]:
    """A table ``r`` of rows, as FROM takes it, with their order in ``ord``; and its parameters.

    Args:
        columns: their names, parted by spaces.
    """
    names = columns.split()
    arrays = zip(*rows, strict=True) if rows else ([] for _ in names)
    return _source(columns), {f"r_{name}": list(array) for name, array in zip(names, arrays, strict=True)}


def insert(table: str, columns: str, rows: Sequence[Sequence[Any]], conflict: str = "") -> Statement:
    """A statement that inserts rows, in their order."""
    source, params = rows_from(columns, rows)
    return statement(_inserted(table, columns, source, conflict), params)


@lru_cache(maxsize=256)
def _inserted(table: str, columns: str, source: str, conflict: str) -> str:
    names = columns.split()
    values = ", ".join(_PACKED.get(name, "{}").format(f"r.{name}") for name in names)
    into = f"INSERT INTO aiomemdb.{table} AS t ({', '.join(names)})"
    return f"{into} SELECT {values} FROM {source} ORDER BY r.ord {conflict}"
