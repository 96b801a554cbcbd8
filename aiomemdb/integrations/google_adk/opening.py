"""The database of a service: one that is open, or one that a URI names and that is opened when it is first used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ...sqlite.engine.database import SQLiteDatabase
from .._checks import checked_key
from .._tables import Tables, checked_database

__all__ = ["Opening", "Service", "checked_user"]


class Opening:
    """Opens a database once, for all services that share it; after ``close()`` the next call opens it again."""

    def __init__(self, make: Callable[[], SQLiteDatabase]) -> None:
        self._make = make
        self._lock = asyncio.Lock()
        self._db: SQLiteDatabase | None = None

    async def opened(self) -> SQLiteDatabase:
        async with self._lock:
            if self._db is None:
                self._db = await self._make()
            return self._db

    async def close(self) -> None:
        async with self._lock:
            if self._db is not None:
                await self._db.close()
                self._db = None


class Service:
    """What the session service and the memory service are of."""

    _tables: Tables

    def __init__(self, db: SQLiteDatabase | Opening) -> None:
        super().__init__()
        self._db = db if isinstance(db, Opening) else checked_database(db, self)

    async def close(self) -> None:
        """Close the database if a URI named it. One that was given open stays open."""
        if isinstance(self._db, Opening):
            await self._db.close()

    async def _database(self) -> SQLiteDatabase:
        db = await self._db.opened() if isinstance(self._db, Opening) else self._db
        await self._tables.made_in(db)
        return db


def checked_user(app_name: str, user_id: str) -> tuple[str, str]:
    """Return both, which can be keys in a file."""
    return (
        checked_key("app_name", app_name, may_be_empty=True),
        checked_key("user_id", user_id, may_be_empty=True),
    )
