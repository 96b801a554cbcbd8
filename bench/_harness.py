"""What the benchmarks share: their options, alternating rounds, the table, and on what was measured."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import aiosqlite

import aiomemdb

__all__ = [
    "BODY",
    "INSERT",
    "SCHEMA",
    "Params",
    "alternate",
    "check_count",
    "context",
    "disk_sync",
    "fresh_database",
    "fresh_folder",
    "on_loop",
    "option_parser",
    "pinned",
    "plain",
    "print_context",
    "write_json",
]

T = TypeVar("T")
Params: TypeAlias = tuple[Any, ...]

SCHEMA = "CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY, agent INTEGER NOT NULL, body TEXT NOT NULL)"
INSERT = "INSERT INTO note (agent, body) VALUES (?, ?)"
BODY = "the quick brown fox jumps over"


def option_parser(description: str | None, *, quick: str) -> argparse.ArgumentParser:
    """The options of every benchmark; ``quick`` says what ``--quick`` makes of it."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--json", type=Path, metavar="FOLDER", help="write the medians into a file there")
    return parser


def alternate(contestants: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Measures all in turn, round after round: what disturbs the machine disturbs each alike."""
    measured: dict[str, list[T]] = {name: [] for name in contestants}
    for number in range(1, rounds + 1):
        if sys.stderr.isatty():
            print(f"\rround {number} of {rounds} ", end="", file=sys.stderr, flush=True)
        for name, measure in contestants.items():
            measured[name].append(measure())
    if sys.stderr.isatty():
        print(end="\r", file=sys.stderr)
    return measured


def pinned(measure: Callable[[], T]) -> Callable[[], T]:
    """On one core: one caller and one thread on two cores are twice as fast or slow by where they were put."""

    def run() -> T:
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {max(cores)})
        try:
            return measure()
        finally:
            os.sched_setaffinity(0, cores)

    return run


@contextmanager
def fresh_folder() -> Iterator[str]:
    """The path of a database that does not exist yet, in a folder that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="aiomemdb-bench-") as folder:
        yield str(Path(folder) / "bench.db")


@contextmanager
def fresh_database(*, rows: int = 0, body: str = BODY) -> Iterator[str]:
    """The path of a new WAL database with the tables, and with ``rows`` rows; row ``id`` has agent ``-id``."""
    with fresh_folder() as path:
        connection = plain(path)
        connection.execute(SCHEMA)
        connection.execute("CREATE TABLE entity (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        connection.execute("CREATE INDEX entity_name ON entity (name)")
        connection.execute("CREATE TABLE counter (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)")
        connection.execute("INSERT INTO counter VALUES (1, 0)")
        connection.execute("BEGIN")
        connection.executemany(INSERT, ((-n, body) for n in range(1, rows + 1)))
        connection.execute("COMMIT")
        connection.close()
        yield path


def on_loop(main: Callable[[], Awaitable[T]]) -> T:
    """``main`` on the loop that all contestants have: uvloop's, where it is installed."""

    async def run() -> T:
        return await main()

    return aiomemdb.run(run())


def plain(path: str, synchronous: str = "NORMAL") -> sqlite3.Connection:
    """A connection of the standard library's, in autocommit, with a write-ahead log."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={synchronous}")
    return connection


def check_count(path: str, expected: int) -> None:
    """What was acknowledged is there, otherwise the figures are worth nothing."""
    connection = sqlite3.connect(path)
    [found] = connection.execute("SELECT count(*) FROM note").fetchone()
    connection.close()
    if found != expected:
        raise SystemExit(f"acknowledged {expected} writes, found {found}")


def write_json(folder: Path, figures: object, name: str | None = None) -> None:
    """Writes the figures, and on what they were measured, into FOLDER/<name, or the benchmark's name>.json."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"context": context(), "figures": figures}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (folder / f"{name or Path(sys.argv[0]).stem}.json").write_text(text + "\n")


def disk_sync(count: int = 50) -> float:
    """Seconds of the disk's fdatasync of a 4 KiB append."""
    with tempfile.NamedTemporaryFile(prefix="aiomemdb-bench-") as file:
        page = b"\0" * 4096
        began = time.perf_counter()
        for _ in range(count):
            os.write(file.fileno(), page)
            os.fdatasync(file.fileno())
        return (time.perf_counter() - began) / count


def context() -> dict[str, str]:
    """On what was measured."""
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; load {load}"
    names = ("SQLAlchemy", "aiosqlitepool", "databases", "datasette", "apsw", "peewee")
    return {
        "machine": machine,
        "versions": f"CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"aiosqlite {aiosqlite.__version__}, aiomemdb {aiomemdb.__version__}, {_loop_name()}",
        "peers": ", ".join(f"{name} {version}" for name in names if (version := _version(name))),
    }


def print_context(rounds: str) -> None:
    """On what was measured; ``rounds`` says how."""
    for what, value in context().items():
        print(f"{what:9} {value}")
    print(f"rounds    {rounds}\n")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _loop_name() -> str:
    async def name() -> str:
        return type(asyncio.get_running_loop()).__module__.split(".")[0]

    return on_loop(name)
