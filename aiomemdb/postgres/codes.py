"""What the server's error codes mean here: what may be run again, which wait was too long."""

from __future__ import annotations

from .driver import psycopg

__all__ = ["is_conflict", "is_lock_timeout", "is_stale"]


def is_conflict(error: psycopg.Error) -> bool:
    """Two transactions were in each other's way, and the server chose this one to yield: it may be run again."""
    return error.sqlstate in ("40001", "40P01")


def is_lock_timeout(error: psycopg.Error) -> bool:
    """``lock_timeout`` ran out. (NOWAIT has the same code, and is the caller's own.)"""
    return error.sqlstate == "55P03" and error.diag.source_function == "ProcessInterrupts"


def is_stale(error: psycopg.Error) -> bool:
    """What was prepared no longer fits the schema, or is gone: prepared anew it runs."""
    if error.sqlstate == "26000":
        return True
    return error.sqlstate == "0A000" and error.diag.source_function == "RevalidateCachedQuery"
