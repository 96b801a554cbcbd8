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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import aiosqlite

import aiomemdb

__all__ = [
    "BODY",
    "INSERT",
    "SCHEMA",
    "alternate",
    "check_count",
    "fresh_folder",
    "option_parser",
    "pinned",
    "plain",
    "print_context",
    "write_json",
]

T = TypeVar("T")

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


def plain(path: str, synchronous: str = "NORMAL") -> sqlite3.Connection:
    """A connection of the standard library's, in autocommit, with a write-ahead log."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={synchronous}")
    return connection


def check_count(path: str, expected: int) -> None:
    """What was acknowledged is there, else the figures are worth nothing."""
    connection = sqlite3.connect(path)
    [found] = connection.execute("SELECT count(*) FROM note").fetchone()
    connection.close()
    if found != expected:
        raise SystemExit(f"acknowledged {expected} writes, found {found}")


def write_json(folder: Path, medians: object) -> None:
    """``medians`` as FOLDER/<the benchmark's name>.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{Path(sys.argv[0]).stem}.json").write_text(json.dumps(medians, indent=2) + "\n")


def print_context(rounds: str) -> None:
    """On what was measured; ``rounds`` says how."""
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    print(
        f"machine   {platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; load {load}"
    )
    print(
        f"versions  CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"aiosqlite {aiosqlite.__version__}, aiomemdb {aiomemdb.__version__}, {_loop_name()}"
    )
    print(f"rounds    {rounds}\n")


def _loop_name() -> str:
    async def name() -> str:
        return type(asyncio.get_running_loop()).__module__.split(".")[0]

    return aiomemdb.run(name())
