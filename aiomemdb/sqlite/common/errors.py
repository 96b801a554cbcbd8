"""The errors of misuse, as this engine raises them: each is also the ``sqlite3`` error that people catch for it."""

from __future__ import annotations

import sqlite3

from ... import errors

__all__ = ["EmptyStatement", "NotAQuery", "SnapshotEnded", "TransactionEnded", "TransactionLost"]


class EmptyStatement(errors.EmptyStatement, sqlite3.ProgrammingError):
    __doc__ = errors.EmptyStatement.__doc__


class NotAQuery(errors.NotAQuery, sqlite3.ProgrammingError):
    __doc__ = errors.NotAQuery.__doc__


class SnapshotEnded(errors.SnapshotEnded, sqlite3.ProgrammingError):
    __doc__ = errors.SnapshotEnded.__doc__


class TransactionEnded(errors.TransactionEnded, sqlite3.ProgrammingError):
    __doc__ = errors.TransactionEnded.__doc__


class TransactionLost(errors.TransactionLost, sqlite3.OperationalError):
    __doc__ = errors.TransactionLost.__doc__
