"""Row: an item of the store as it is kept."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Row"]


class Row(NamedTuple):
    """An item as it is kept; its value is read already where a filter looked at it."""

    prefix: str
    key: str
    value: str | bytes | dict[str, Any]
    created_at: str
    updated_at: str
    ttl: float | None
    score: float | None = None
