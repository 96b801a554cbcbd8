"""Documents with their facts, and remembering them as plain sqlite3 does it: the same rows, inserted one by one."""

from __future__ import annotations

import copy
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from _harness import fresh_folder, plain

import aiomemdb

__all__ = ["DOCUMENTS", "DOCUMENTS_A_COMMIT", "Document", "check", "documents_in", "joined", "replayed", "rows_of"]

DOCUMENTS = "openie_musique_train_gpt-3.5-turbo-1106_1890.json"
DOCUMENTS_A_COMMIT = 100

Triple: TypeAlias = tuple[str, str, str]
Statement: TypeAlias = tuple[bool, str, Any]


@dataclass(frozen=True)
class Document:
    text: str
    triples: list[Triple]


def documents_in(folder: Path | None) -> list[Document]:
    if folder is None or not (folder / DOCUMENTS).exists():
        return []
    found = json.loads((folder / DOCUMENTS).read_text())["docs"]
    return [
        Document(
            document["passage"],
            # Now and then a triple lacks a part: the model's slips are not what is measured.
            [
                tuple(triple)
                for triple in document["extracted_triples"]
                if len(triple) == 3 and all(map(str.strip, triple))
            ],
        )
        for document in found
    ]


def overhear(db: aiomemdb.SQLiteDatabase) -> list[tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Notes the jobs of the memory that is opened over it."""
    jobs: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
    write_fn = db.write_fn

    async def noted(fn: Callable[..., Any], *args: Any) -> Any:
        jobs.append((fn, copy.deepcopy(args)))
        return await write_fn(fn, *args)

    vars(db)["write_fn"] = noted
    return jobs


class Recorder(sqlite3.Connection):
    """Notes the statements that run on it: (many?, SQL, parameters)."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.statements: list[Statement] = []

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        self.statements.append((False, sql, parameters))
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        rows = list(parameters)
        self.statements.append((True, sql, rows))
        return super().executemany(sql, rows)


def joined(documents: Sequence[Document], facts: int) -> list[Document]:
    """As few documents, each of so many facts or a few more."""
    found, texts, triples = list[Document](), list[str](), list[Triple]()
    for document in documents:
        texts.append(document.text)
        triples += document.triples
        if len(triples) >= facts:
            found.append(Document("\n".join(texts), triples))
            texts, triples = [], []
    return found


# The tables in the order in which rows need each other, and the column by which a document's rows are the newest.
_TABLES = {
    "memory_namespace": "id",
    "entity": "id",
    "entity_alias": "entity",
    "episode": "id",
    "fact": "id",
    "fact_evidence": "id",
    "mention": "episode",
    "memory_event": "id",
}


def rows_of(documents: Sequence[Document]) -> tuple[list[Statement], list[list[Statement]]]:
    """What remembering them writes: the statements of opening the memory, and for each document its rows by table."""

    async def remembered() -> tuple[int, list[Any]]:
        async with aiomemdb.connect(":memory:") as db:
            jobs = overhear(db)
            async with aiomemdb.Memory.open(db) as memory:
                opening = len(jobs)
                for document in documents:
                    await memory.remember(document.text, document.triples)
        return opening, jobs

    opening, jobs = aiomemdb.run(remembered())
    recorder = sqlite3.connect(":memory:", isolation_level=None, factory=Recorder)
    recorder.row_factory = sqlite3.Row
    for fn, args in jobs[:opening]:
        fn(recorder, *args)
    opened = list(recorder.statements)
    each, last = list[list[Statement]](), dict.fromkeys(_TABLES, 0)
    for fn, args in jobs[opening:]:
        fn(recorder, *args)
        each.append([])
        for table, column in _TABLES.items():
            rows = [tuple(row) for row in recorder.execute(f"SELECT * FROM {table} WHERE {column} > ?", (last[table],))]
            if rows:
                each[-1].append((True, f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows))
                [last[table]] = recorder.execute(f"SELECT max({column}) FROM {table}").fetchone()
    recorder.close()
    return opened, each


def replayed(
    opening: Sequence[Statement], documents: Sequence[Sequence[Statement]], a_commit: int = DOCUMENTS_A_COMMIT
) -> float:
    with fresh_folder() as path:
        connection = plain(path)
        connection.execute("PRAGMA foreign_keys=ON")
        run(connection, opening)
        waiting = iter(documents)
        began = time.perf_counter()
        while batch := list(islice(waiting, a_commit)):
            connection.execute("BEGIN IMMEDIATE")
            for statements in batch:
                run(connection, statements)
            connection.execute("COMMIT")
        rate = len(documents) / (time.perf_counter() - began)
        connection.close()
        check(path, "episode", len(documents))
    return rate


def run(connection: sqlite3.Connection, statements: Iterable[Statement]) -> None:
    for many, sql, parameters in statements:
        if many:
            connection.executemany(sql, parameters)
        else:
            connection.execute(sql, parameters).fetchall()


def check(path: str, table: str, expected: int) -> None:
    connection = sqlite3.connect(path)
    [found] = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    connection.close()
    if found != expected:
        raise SystemExit(f"{expected} of {table} were made, {found} are there")
