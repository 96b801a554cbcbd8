"""Which rows count, in the SQL that all engines have. The engine's store names the parameters."""

from __future__ import annotations

__all__ = ["believed", "holds", "known_from", "known_still"]


def holds(table: str, as_of: str) -> str:
    """The condition that facts hold at a time. Times are half-open: from the begin until before the end."""
    return (
        f"({table}.valid_at IS NULL OR {table}.valid_at <= {as_of}) "
        f"AND ({table}.invalid_at IS NULL OR {table}.invalid_at > {as_of})"
    )


def known_from(table: str, event: str, past: str) -> str:
    """The condition that a row was known in a state.

    Args:
        event: the newest line of the audit that was known then.
        past: up to where what was imported was known then; see ``past.of_past``.
    """
    return f"({table}.created_event BETWEEN 0 AND {event} OR {table}.created_event <= {past})"


def known_still(table: str, event: str, past: str) -> str:
    """The condition that it was not yet known in a state that a row is believed no more."""
    column = f"{table}.expired_event"
    return f"({column} IS NULL OR {column} > {event} OR ({column} < 0 AND {column} > {past}))"


def believed(table: str, kind: str, known: tuple[str, str] | None) -> str:
    """The condition that rows of a kind are believed, or were.

    Args:
        known: a state, as ``known_from`` takes it; None: now.
    """
    if kind == "entity":  # a merged one is no more, whenever one asks: what was known of it is the other's
        now = f"{table}.merged_into IS NULL"
    elif known is None:
        now = f"{table}.expired_at IS NULL"
    else:
        now = known_still(table, *known)
    return now if known is None else f"{known_from(table, *known)} AND {now}"
