"""How a database gets the memory's tables: ordered migrations, each recorded in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ....errors import SchemaTooNew
from ....postgres.transaction import PostgresTransaction
from ...times import now_micros
from ..recorded import recorded_of
from .asking import Asking
from .schema import FIRST
from .statements import insert

__all__ = ["migrate", "newest_version", "recorded_if_current", "version_of"]

# (version, name, statements), in order. Versions are those of the SQLite schema that has the same rows.
_MIGRATIONS: tuple[tuple[int, str, tuple[str, ...]], ...] = ((6, "rows by time", FIRST),)


def newest_version() -> int:
    """The version of the schema that this library makes."""
    return _MIGRATIONS[-1][0]


async def recorded_if_current(
    asking: Asking, normalisers: Mapping[str, str], given: Iterable[str]
) -> dict[str, str] | None:
    """What ``migrate`` returns, if there is nothing to do for it. Raises: SchemaTooNew, NormaliserChanged, ValueError:
    see ``migrate``.
    """
    if await version_of(asking) != newest_version():
        return None
    recorded = await _recorded(asking, normalisers, given)
    return recorded if all(use in recorded for use in normalisers) else None


async def migrate(tx: PostgresTransaction, normalisers: Mapping[str, str], given: Iterable[str]) -> dict[str, str]:
    """Bring the database up to this version, and look whether its keys were made as ours will be.

    Processes that do so at once: the first one makes the schema, the others wait at its name for that, fail, and look
    again.

    Args:
        normalisers: what each is for, and its name, recorded where nothing is.
        given: for what the database must have the same.

    Returns: what is recorded of normalisers.
    Raises:
        SchemaTooNew: a later version of the library wrote it.
        NormaliserChanged: its keys were made by another normaliser.
        ValueError: it has a schema of our name that is not ours.
    """
    asking = Asking(tx)
    version = await version_of(asking)
    for number, name, statements in _MIGRATIONS:
        if number > version:
            await asking.all([(each, []) for each in statements])
            made = [(number, name, now_micros())]
            await asking.all([insert("memory_migration", "version name at", made)])
    recorded = await _recorded(asking, normalisers, given)
    meta = [("model", ""), *((use, name) for use, name in normalisers.items() if use not in recorded)]
    await asking.all([insert("memory_meta", "key value", meta, "ON CONFLICT DO NOTHING")])
    return {**normalisers, **recorded}


async def version_of(asking: Asking) -> int:
    """The version of a database's memory; 0: it has none. Raises: SchemaTooNew; ValueError."""
    [[is_there, has_table]] = await asking.rows(
        "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = 'aiomemdb'), "
        "to_regclass('aiomemdb.memory_migration') IS NOT NULL"
    )
    if not is_there:
        return 0
    if not has_table:
        raise ValueError(
            "the database has a schema 'aiomemdb' already, which is not the memory's: give the memory a database of "
            "its own, or rename that schema"
        )
    [[version]] = await asking.rows("SELECT max(version) FROM aiomemdb.memory_migration")
    if version > newest_version():
        raise SchemaTooNew(
            f"the database's memory has schema {version}, this version of aiomemdb knows {newest_version()}: "
            "update aiomemdb"
        )
    return int(version)


async def _recorded(asking: Asking, normalisers: Mapping[str, str], given: Iterable[str]) -> dict[str, str]:
    """What is recorded of these. Raises: NormaliserChanged."""
    rows = await asking.rows("SELECT key, value FROM aiomemdb.memory_meta")
    return recorded_of({row["key"]: row["value"] for row in rows}, normalisers, given)
