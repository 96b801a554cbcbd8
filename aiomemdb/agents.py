"""What SQL from an untrusted agent may cost, and what it is answered: see ``agent_read``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any  # a column may hold anything

__all__ = ["AgentAnswer", "AgentLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLimits:
    """What one query of an agent may cost.

    Raises: TypeError, ValueError: a limit is no number, or not above 0, or above what the library can hold to.
    """

    deadline: float = 2.0
    """Seconds from the call to its answer, waiting included. At most 60."""
    rows: int = 1_000
    """Rows of an answer; more are cut off."""
    answer_bytes: int = 1_000_000
    """Bytes of an answer; more rows are cut off. At most 16,000,000."""
    value_bytes: int = 1_000_000
    """Bytes of any one value, intermediate ones and parameters included. At most 1,000,000. A query that holds many
    values at once is held to smaller ones, so that it stays below 64 MB."""
    sql_bytes: int = 50_000
    """Bytes of the SQL. At most 1,000,000."""
    columns: int = 100
    """Columns of an answer, of a GROUP BY, of an ORDER BY. At most 2,000."""
    depth: int = 100
    """How deep an expression may be nested. At most 1,000."""
    compounds: int = 20
    """SELECTs that UNION, INTERSECT and EXCEPT may join, and rows of VALUES. At most 500."""
    joins: int = 16
    """Tables that one FROM may join. At most 60."""
    program: int = 10_000
    """Instructions of SQLite's virtual machine that it is compiled to. At most 100,000."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value, most = getattr(self, field.name), _AT_MOST[field.name]
            if isinstance(value, bool) or not isinstance(value, (int, float) if field.name == "deadline" else int):
                raise TypeError(f"{field.name}={value!r}: a number")
            if not 0 < value <= most:
                raise ValueError(f"{field.name}={value!r}: above 0, at most {most:,}")


_AT_MOST = {
    "deadline": 60,
    "rows": 1_000_000,
    "answer_bytes": 16_000_000,
    "value_bytes": 1_000_000,
    "sql_bytes": 1_000_000,
    "columns": 2_000,
    "depth": 1_000,
    "compounds": 500,
    "joins": 60,
    "program": 100_000,
}


@dataclass(frozen=True, slots=True)
class AgentAnswer:
    """What a query of an agent was answered."""

    columns: tuple[str, ...]
    """The names of its columns, in order; a name may be there twice."""
    rows: list[tuple[Any, ...]]
    """Numbers, ``str``, ``bytes`` and None. Bytes of a text that are no UTF-8 are U+FFFD."""
    truncated: bool
    """Whether rows were cut off."""
    elapsed: float
    """Seconds from the call to the answer."""
