"""A memory with keys made by a program's own normaliser: it is read here by its names as they are written, and never
written, as a key of a new name can't be made.

What is shown has its key beside it in the memory, so each name that is there finds what it names. A text that is shown
nowhere stands for itself: it may be a key, as aliases are listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import blocking
from ..database import Database
from ..errors import NormaliserChanged
from ..memory.memory import Memory
from ..memory.names import Normaliser
from ..sqlite.engine.database import SQLiteDatabase

__all__ = ["Written", "refusal", "unasked_for"]

_NAMES = " UNION ".join(
    ["SELECT DISTINCT name, key FROM {0}entity", "SELECT DISTINCT type, type_key FROM {0}entity WHERE type IS NOT NULL"]
)
_PREDICATES = "SELECT DISTINCT coalesce(predicate_given, predicate), predicate FROM {0}fact"


# What is other after each change.
_IN_FILE = "SELECT max(id) FROM memory_event"
_ON_SERVER = "SELECT sum(last_event) FROM aiomemdb.memory_namespace"


class Written:
    """The names of a memory, as they are written, and their keys."""

    def __init__(self, db: Database, recorded: Mapping[str, str]) -> None:
        self._db = db
        self._schema = "" if isinstance(db, SQLiteDatabase) else "aiomemdb."
        self._recorded = recorded
        self._names: dict[str, str] = {}
        self._predicates: dict[str, str] = {}
        self._seen = -1

    @classmethod
    async def of(cls, db: Database) -> Written:
        schema = "" if isinstance(db, SQLiteDatabase) else "aiomemdb."
        return cls(db, dict([tuple(row) for row in await db.read(f"SELECT key, value FROM {schema}memory_meta")]))

    async def open(self, *, namespace: str, agent: str | None) -> Memory:
        await self.refresh()
        exact = self._recorded.get("value normaliser") == "exact"
        names = Normaliser(self._recorded["normaliser"], lambda text: self._names.get(text, text), exact)
        predicates = Normaliser(
            self._recorded["predicate normaliser"], lambda text: self._predicates.get(text, text), exact
        )
        return await Memory.open(
            self._db, namespace=namespace, agent=agent, normaliser=names, predicate_normaliser=predicates
        )

    async def refresh(self) -> None:
        """Know the names that are there now."""
        newest = await self._db.read_value(_ON_SERVER if self._schema else _IN_FILE)
        if newest != self._seen:
            self._names = await self._pairs(_NAMES)
            self._predicates = await self._pairs(_PREDICATES)
            self._seen = newest

    async def _pairs(self, sql: str) -> dict[str, str]:
        return {row[0]: row[1] for row in await self._db.read(sql.format(self._schema))}


def unasked_for(db: blocking.Database) -> dict[str, Any]:
    """The normalisers that a file has recorded, by name alone: a question in SQL asks them nothing."""
    recorded = dict(tuple(row) for row in db.read("SELECT key, value FROM memory_meta"))
    exact = recorded.get("value normaliser") == "exact"
    uses = {"normaliser": "normaliser", "predicate_normaliser": "predicate normaliser"}
    return {option: Normaliser(recorded[use], str, exact) for option, use in uses.items() if use in recorded}


def refusal(error: NormaliserChanged) -> NormaliserChanged:
    """The error of a verb that writes."""
    return NormaliserChanged(f"the memory is read-only here: {error}")
