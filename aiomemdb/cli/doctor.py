"""``aiomemdb doctor``: what is wrong with this Python, this file and its surroundings, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..database import Database
from ..errors import AiomemdbError
from ..memory.stores.sqlite.migrating import newest_version
from ..sqlite.engine.database import SQLiteDatabase
from ..sqlite.file.hazards import has_wal_reset_bug, network_file_system_of, refuse_mounted_alone
from .options import AsJson, Target, Timeout
from .output import Output
from .performing import FOUND, OK, check_exists, database, has_memory, perform, server

__all__ = ["VERBS"]

_OLDEST_SQLITE = (3, 37, 0)
_LARGE_LOG = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        state: "ok", "note" (good to know) or "problem".
        advice: what to do; "" where nothing is to be done.
    """

    what: str
    state: str
    says: str
    advice: str = ""


def _ok(what: str, says: str) -> Finding:
    return Finding(what, "ok", says)


# -- this Python ---------------------------------------------------------------------------------------------


def of_this_python() -> Iterator[Finding]:
    yield _ok("Python", sys.version.split()[0])
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        oldest = ".".join(map(str, _OLDEST_SQLITE))
        yield Finding("SQLite", "problem", sqlite3.sqlite_version, f"aiomemdb needs {oldest}: use a newer Python build")
    elif has_wal_reset_bug():
        yield Finding(
            "SQLite",
            "note",
            f"{sqlite3.sqlite_version} can corrupt a log when one program checkpoints while another commits",
            "programs that use aiomemdb take turns and are safe; run no other writer beside them, "
            "or set its wal_autocheckpoint to 0",
        )
    else:
        yield _ok("SQLite", sqlite3.sqlite_version)
    with sqlite3.connect(":memory:") as scratch:
        options = {row[0] for row in scratch.execute("PRAGMA compile_options")}
    scratch.close()
    if "ENABLE_FTS5" in options:
        yield _ok("FTS5", "there")
    else:
        yield Finding("FTS5", "problem", "not in this SQLite", "a memory needs it: use another Python build")
    yield _ok(
        "extensions", "can be loaded" if hasattr(sqlite3.Connection, "enable_load_extension") else "can't be loaded"
    )
    yield _ok("aiosqlite", importlib.metadata.version("aiosqlite"))
    if importlib.util.find_spec("uvloop") is None:
        yield Finding("uvloop", "note", "not installed", "the loop is slower without it: pip install uvloop")
    else:
        yield _ok("uvloop", importlib.metadata.version("uvloop"))
    missing = [
        name for name in ("numpy", "safetensors", "tokenizers", "wordllama") if importlib.util.find_spec(name) is None
    ]
    if missing:
        yield Finding(
            "embeddings", "note", f"no {', '.join(missing)}", "pip install 'aiomemdb[embeddings]' to compare meanings"
        )
    else:
        yield _ok("embeddings", "installed")


# -- the file and its surroundings ---------------------------------------------------------------------------


def of_the_surroundings(path: Path) -> Iterator[Finding]:
    status = path.stat()
    yield _ok("file", f"{status.st_size:,} bytes, mode {stat.S_IMODE(status.st_mode):04o}")
    if not os.access(path, os.W_OK):
        yield Finding("file", "problem", "you can't write it", "ask its owner, or open it with read_only=True")
    if not os.access(path.parent, os.W_OK):
        yield Finding(
            "folder", "problem", f"you can't write {path.parent}", "SQLite makes its log there: ask its owner"
        )
    if status.st_nlink > 1:
        yield Finding(
            "file", "problem", f"has {status.st_nlink} names (hard links)", "keep one: each would get a log of its own"
        )
    if (kind := network_file_system_of(status)) is not None:
        yield Finding("file system", "problem", f"{kind} is shared over a network", "move the file to a local disk")
    else:
        yield _ok("file system", "local, as far as the system says")
    try:
        refuse_mounted_alone(path)
    except AiomemdbError as error:
        yield Finding("mount", "problem", str(error), "mount the folder")
    yield from _of_the_locks(path, status)
    log = Path(f"{path}-wal")
    size = log.stat().st_size if log.exists() else 0
    if size > _LARGE_LOG:
        yield Finding(
            "log", "problem", f"{size:,} bytes", f"a reader may keep it: end it, then `aiomemdb checkpoint {path}`"
        )
    else:
        yield _ok("log", f"{size:,} bytes")


def _of_the_locks(path: Path, status: os.stat_result) -> Iterator[Finding]:
    for suffix in ("-lock", "-next"):
        lock = Path(f"{path}{suffix}")
        if not lock.exists():
            yield Finding("lock files", "note", f"no {lock.name}", "the next writer makes it")
        elif lock.stat().st_uid != status.st_uid:
            yield Finding(
                "lock files",
                "problem",
                f"{lock.name} belongs to another user than the database",
                "close the database everywhere and delete it: the next writer makes it anew",
            )
        else:
            yield _ok("lock files", lock.name)
    if foreign := [*_writers_without_turns(path)]:
        yield Finding(
            "other programs",
            "problem" if has_wal_reset_bug() else "note",
            f"processes without aiomemdb may write the file: {', '.join(map(str, sorted(foreign)))}",
            "let them read alone, or set their wal_autocheckpoint to 0; they take no fair turns",
        )


def _writers_without_turns(path: Path) -> Iterator[int]:
    """The processes that have the database open for writing, and its lock file not; those that the system shows."""
    database = str(path.resolve())
    for process in Path("/proc").glob("[0-9]*"):
        names = dict(_open_files(process))
        if names.get(database) and f"{database}-lock" not in names:
            yield int(process.name)


def _open_files(process: Path) -> list[tuple[str, bool]]:
    """The files that a process has open, and whether for writing; the writable ones last."""
    found = []
    with suppress(OSError):  # it has ended, or belongs to another user
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                found.append((os.readlink(descriptor), _is_writable(process / "fdinfo" / descriptor.name)))
    return sorted(found)


def _is_writable(about: Path) -> bool:
    """By the flags of an open file: proc_pid_fdinfo(5)."""
    [flags] = [line.split()[1] for line in about.read_text().splitlines() if line.startswith("flags:")]
    return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY


# -- what is in it -------------------------------------------------------------------------------------------


async def of_the_content(db: SQLiteDatabase) -> list[Finding]:
    findings = []
    damage = [row[0] for row in await db.read("PRAGMA quick_check(1)")]
    if damage == ["ok"]:
        findings.append(_ok("damage", "none seen by a quick look; `aiomemdb check` looks closer"))
    else:
        findings.append(Finding("damage", "problem", damage[0], "restore a backup; `aiomemdb check` lists all"))
    if not await has_memory(db):
        return [*findings, _ok("memory", "none in this file")]
    return [*findings, *await _of_the_memory(db, "")]


async def of_the_server(db: Database) -> list[Finding]:
    findings = [_ok("server", f"PostgreSQL {await db.read_value('SHOW server_version')}")]
    if not await has_memory(db):
        return [*findings, _ok("memory", "none in this database")]
    return [*findings, *await _of_the_memory(db, "aiomemdb.")]


async def _of_the_memory(db: Database, schema: str) -> list[Finding]:
    version = await db.read_value(f"SELECT max(version) FROM {schema}memory_migration")
    if version > newest_version():
        too_new = f"has schema {version}, this version of aiomemdb knows {newest_version()}"
        return [Finding("memory", "problem", too_new, "update aiomemdb")]
    if version < newest_version():
        findings = [Finding("memory", "note", f"schema {version}", "the next program that writes to it migrates it")]
    else:
        findings = [_ok("memory", f"schema {version}")]
    meta = {row["key"]: row["value"] for row in await db.read(f"SELECT key, value FROM {schema}memory_meta")}
    findings.append(_ok("normaliser", meta.get("normaliser", "none recorded")))
    models = await db.read(
        f"SELECT name, dim, (SELECT count(*) FROM {schema}vector WHERE model = m.id) AS vectors "
        f"FROM {schema}vector_model m ORDER BY name, dim"
    )
    return findings + [
        _ok("model", f"{row['name']}, {row['dim']} numbers, {row['vectors']:,} vectors") for row in models
    ]


def doctor(
    file: Annotated[
        Target | None,
        typer.Argument(parser=Target, metavar="[FILE]", help="A database file, or a server's.", show_default=False),
    ] = None,
    as_json: AsJson = False,
    timeout: Timeout = 30.0,
) -> None:
    """Examine this Python, and a file and its surroundings; exit status 1 if there is a problem."""
    output = Output(as_json)

    async def work() -> int:
        findings = list(of_this_python())
        if file is not None and file.is_url:
            async with server(file, timeout=timeout, read_only=True) as on_server:
                findings += await of_the_server(on_server)
        elif file is not None:
            check_exists(file.file)
            findings += of_the_surroundings(file.file)
            async with database(file, timeout=timeout, read_only=True) as db:
                findings += await of_the_content(db)
        output.rows(("what", "state", "says", "advice"), [asdict(finding) for finding in findings])
        return FOUND if any(finding.state == "problem" for finding in findings) else OK

    perform(output, work, timeout=timeout)


VERBS: tuple[Callable[..., None], ...] = (doctor,)
