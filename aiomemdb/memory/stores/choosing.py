"""Which store keeps a memory: that of the database's engine."""

from __future__ import annotations

import sys
from functools import singledispatch

from ...database import Database, Snapshot
from ...sqlite.engine.database import SQLiteDatabase
from ...sqlite.reading.snapshot import SQLiteSnapshot
from ..store import Store
from .carried import Carrier
from .sqlite.carrying import SQLiteCarrier
from .sqlite.store import SQLiteStore

__all__ = ["carrier_of", "store_of"]


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


def carrier_of(db: Database, reads: Database | Snapshot) -> Carrier:
    """What moves a memory that is in a database, or into it.

    Raises: TypeError: there is no store on such a database.
    """
    if isinstance(db, SQLiteDatabase) and isinstance(reads, (SQLiteDatabase, SQLiteSnapshot)):
        return SQLiteCarrier(db, reads)
    engine = sys.modules.get("aiomemdb.postgres.database")
    if engine is not None and isinstance(db, engine.PostgresDatabase):
        from .postgres.carrying import PostgresCarrier

        return PostgresCarrier(db, reads)  # type: ignore[arg-type]
    raise TypeError(f"{db!r}: a memory is in a database of aiomemdb.connect()")
