"""Transaction control that comes as text."""

from __future__ import annotations

import sqlite3
from typing import Protocol

from .rule import Mode
from .texts import Control, Text

__all__ = ["control"]


class _Controlled(Protocol):
    @property
    def has_transaction(self) -> bool: ...
    async def begin(self, mode: Mode = ...) -> None: ...
    async def commit(self) -> None: ...
    async def rollback(self) -> None: ...
    def savepoint(self, name: str) -> None: ...
    def rollback_to(self, name: str) -> None: ...
    async def release(self, name: str) -> None: ...


async def control(connection: _Controlled, text: Text) -> None:
    """Does what BEGIN, COMMIT, SAVEPOINT and their like say.

    Raises: sqlite3.OperationalError: there is no transaction to end, or one already; no such savepoint.
    """
    match text.control:
        case Control.BEGIN:
            await connection.begin()
        case Control.BEGIN_IMMEDIATE:
            await connection.begin(Mode.IMMEDIATE)
        case Control.SAVEPOINT:
            connection.savepoint(text.name)
        case Control.RELEASE:
            await connection.release(text.name)
        case Control.ROLLBACK_TO:
            connection.rollback_to(text.name)
        case _:
            is_commit = text.control is Control.COMMIT
            if not connection.has_transaction:
                what = "commit" if is_commit else "rollback"
                raise sqlite3.OperationalError(f"cannot {what} - no transaction is active")
            await (connection.commit() if is_commit else connection.rollback())
