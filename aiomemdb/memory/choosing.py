"""Which store keeps a memory: that of the database's engine."""

from __future__ import annotations

from ..database import Database
from ..sqlite.database import SQLiteDatabase
from .sqlite_store.store import SQLiteStore
from .store import Store

__all__ = ["store_of"]


def store_of(db: Database) -> Store:
    """Raises: TypeError: there is no store on such a database."""
    if isinstance(db, SQLiteDatabase):
        return SQLiteStore(db)
    raise TypeError(f"{db!r}: a memory is kept in a database of aiomemdb.connect(), or give the path of one")
