"""Verbs for any database file: figures, integrity, copies, upkeep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ..sqlite.engine.database import SQLiteDatabase
from .options import AsJson, File, Target, Timeout
from .output import Output
from .performing import FOUND, OK, database, perform

__all__ = ["VERBS"]


def stats(
    file: File,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Print again and again, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option("--every", min=0.1, metavar="SECONDS", help="How often, with --watch.")] = 2.0,
    timeout: Timeout = 30.0,
) -> None:
    """Show the size of a file, of its log and of its tables."""
    output = Output(as_json)

    async def work() -> None:
        async with database(file, timeout=timeout, read_only=True) as db:
            while True:
                async with asyncio.timeout(timeout):
                    output.document(await _figures(file.file, db))
                if not watch:
                    return
                await asyncio.sleep(every)

    perform(output, work, timeout=None)


async def _figures(file: Path, db: SQLiteDatabase) -> dict[str, Any]:
    async with db.snapshot() as snapshot:
        pragmas = {
            name: await snapshot.read_value(f"PRAGMA {name}") for name in ("page_size", "page_count", "freelist_count")
        }
        names = [
            row["name"]
            for row in await snapshot.read(
                "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') "
                "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
            )
        ]
        counts = {}
        for name in names:
            counts[name] = await snapshot.read_value(f'SELECT count(*) FROM "{name.replace(chr(34), chr(34) * 2)}"')
    log = Path(f"{file}-wal")
    return {
        "file": str(file),
        "file_bytes": file.stat().st_size,
        "wal_bytes": log.stat().st_size if log.exists() else 0,
        "free_bytes": pragmas["freelist_count"] * pragmas["page_size"],
        **pragmas,
        "rows": counts,
    }


def check(file: File, as_json: AsJson = False, timeout: Timeout = 600.0) -> None:
    """Look for damage and for broken foreign keys; exit status 1 if there is any."""
    output = Output(as_json)

    async def work() -> int:
        async with database(file, timeout=timeout, read_only=True) as db:
            found = [{"kind": "damage", "what": row[0]} for row in await db.read("PRAGMA integrity_check")]
            found = [each for each in found if each["what"] != "ok"]
            for table, rowid, parent, _ in map(tuple, await db.read("PRAGMA foreign_key_check")):
                found.append({"kind": "foreign key", "what": f"row {rowid} of {table} refers to no row of {parent}"})
        output.rows(("kind", "what"), found)
        output.note(f"{len(found)} found" if found else "no damage, no broken foreign key")
        return FOUND if found else OK

    perform(output, work, timeout=timeout)


def backup(
    file: File,
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="A file that is not there yet.", show_default=False)],
    timeout: Timeout = 3600.0,
) -> None:
    """Copy the last committed state into a new file, while others read and write."""
    output = Output()

    async def work() -> None:
        with output.progress("copying") as bar:
            task = bar.add_task("", total=None)
            async with database(file, timeout=timeout) as db:
                await db.backup(target, progress=lambda done, total: bar.update(task, completed=done, total=total))
        output.note(f"{target}: {target.stat().st_size:,} bytes")

    perform(output, work, timeout=timeout)


def _upkeep(file: Target, timeout: float, verb: Callable[[SQLiteDatabase], Any], done: str) -> None:
    output = Output()

    async def work() -> int:
        async with database(file, timeout=timeout) as db:
            result = await verb(db)
        output.note("a reader still needs a part of the log: try again when it has ended" if result is False else done)
        return FOUND if result is False else OK

    perform(output, work, timeout=timeout)


def checkpoint(file: File, timeout: Timeout = 30.0) -> None:
    """Move the log into the file; exit status 1 if a reader still needs a part of it."""
    _upkeep(file, timeout, SQLiteDatabase.checkpoint, "the log is empty")


def optimize(file: File, timeout: Timeout = 600.0) -> None:
    """Refresh the figures by which SQLite plans its queries, where they are stale."""
    _upkeep(file, timeout, SQLiteDatabase.optimize, "done")


def vacuum(file: File, timeout: Timeout = 3600.0) -> None:
    """Rebuild the file without its free pages; all writers wait meanwhile."""
    _upkeep(file, timeout, SQLiteDatabase.vacuum, "done")


VERBS: tuple[Callable[..., None], ...] = (stats, check, backup, checkpoint, optimize, vacuum)
