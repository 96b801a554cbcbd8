"""Which store keeps a memory: that of the database's engine."""

from __future__ import annotations

from functools import singledispatch

from ...database import Database
from ...sqlite.engine.database import SQLiteDatabase
from ..store import Store
from .sqlite.store import SQLiteStore

__all__ = ["store_of"]


@singledispatch
def store_of(db: Database) -> Store:
    """Return the store on a database. An engine registers its own: ``@store_of.register``.

    Raises: TypeError: there is no store on such a database.
    """
    raise TypeError(f"{db!r}: a memory is kept in a database of aiomemdb.connect(), or give the path of one")


@store_of.register
def _(db: SQLiteDatabase) -> Store:
    return SQLiteStore(db)
