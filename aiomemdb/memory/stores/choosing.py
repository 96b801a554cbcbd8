"""Which store keeps a memory: that of the database's engine."""

from __future__ import annotations

import sys
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
    # A database of an engine that is an extra is there only where that was imported: it is not, before.
    engine = sys.modules.get("aiomemdb.postgres.database")
    if engine is not None and isinstance(db, engine.PostgresDatabase):
        from .postgres.store import PostgresStore

        return PostgresStore(db)
    raise TypeError(f"{db!r}: a memory is kept in a database of aiomemdb.connect(), or give the path of one")


@store_of.register
def _(db: SQLiteDatabase) -> Store:
    return SQLiteStore(db)
