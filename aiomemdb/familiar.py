"""The names and options that people know from other libraries, and what serves instead here.

A missing attribute or a misspelt option is the first error that a newcomer meets. It says which verb to use.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar

__all__ = ["DATABASE", "HOLD", "MEMORY", "POSTGRES", "SNAPSHOT", "TRANSACTION", "Familiar", "suggests_options"]

P = ParamSpec("P")
T = TypeVar("T")

_EXECUTE = "write(sql, params) runs a statement that writes, read(sql, params) a query, write_any(sql, params) either"
_ROWS = 'a row is a Row: row["name"], row[0], dict(row)'
_PREPARE = "connect(prepare=...) is called with each new sqlite3.Connection: set it up there"
_COMMITS = "a write is committed when its await returns; for several steps: async with db.transaction() as tx"
_ENDS = (
    "the block of `async with db.transaction() as tx` commits at its end, and rolls back when it is left by an error"
)

_READING: Mapping[str, str] = {
    "execute": _EXECUTE,
    "execute_fetchall": "use read(sql, params)",
    "fetch": "use read(sql, params)",
    "fetch_all": "use read(sql, params)",
    "fetch_one": "use read_one(sql, params)",
    "fetch_val": "use read_value(sql, params)",
    "fetchall": "use read(sql, params)",
    "fetchmany": "use db.read_stream(sql, params)",
    "fetchone": "use read_one(sql, params)",
    "fetchrow": "use read_one(sql, params)",
    "fetchval": "use read_value(sql, params)",
    "iterate": "use db.read_stream(sql, params)",
    "query": "use read(sql, params)",
    "row_factory": _ROWS,
    "scalar": "use read_value(sql, params)",
    "select": "use read(sql, params)",
    "stream": "use db.read_stream(sql, params)",
    "text_factory": _PREPARE,
}
_WRITING: Mapping[str, str] = {
    **_READING,
    "cursor": f"there are no cursors: {_EXECUTE}",
    "delete": "use write_count(sql, params)",
    "description": "write_any(sql, params) returns the names of the columns too",
    "execute_insert": "write(sql, params) returns the rowid",
    "execute_many": "use write_many(sql, rows)",
    "executemany": "use write_many(sql, rows)",
    "executescript": "use write_script(sql)",
    "insert": "use write(sql, params)",
    "lastrowid": "write(sql, params) returns the rowid",
    "rowcount": "write_count(sql, params) returns the number of rows changed",
    "script": "use write_script(sql)",
    "total_changes": "write_count(sql, params) returns the number of rows changed",
    "update": "use write_count(sql, params)",
}

SNAPSHOT: Mapping[str, str] = {
    **_READING,
    **dict.fromkeys(
        ["submit", "write", "write_any", "write_count", "write_fn", "write_many", "write_returning", "write_script"],
        "a snapshot only reads: write on the database, or read and write in db.transaction()",
    ),
    **dict.fromkeys(["close", "commit", "rollback"], "the block of `async with db.snapshot() as snap` ends it"),
    "execute": "use read(sql, params)",
    "read_stream": "use read(sql, params), or db.read_stream(sql, params) for a state of its own",
}

TRANSACTION: Mapping[str, str] = {
    **_WRITING,
    **dict.fromkeys(["close", "commit", "end"], _ENDS),
    "flush": "use db.transaction(durable=True)",
    "read_stream": "use read(sql, params)",
    "rollback": f"{_ENDS}: raise one",
    "savepoint": "tx.transaction() nests as a savepoint",
    "snapshot": "read(sql, params) sees the transaction's own changes",
    "submit": "use await tx.write(sql, params)",
}

HOLD: Mapping[str, str] = {
    **{name: advice for name, advice in TRANSACTION.items() if name not in ("commit", "rollback")},
    **dict.fromkeys(["close", "end"], "use commit() or rollback()"),
    "in_transaction": "use alive",
}

DATABASE: Mapping[str, str] = {
    **_WRITING,
    **dict.fromkeys(
        [
            "create_aggregate",
            "create_collation",
            "create_function",
            "create_window_function",
            "enable_load_extension",
            "load_extension",
            "set_authorizer",
            "set_progress_handler",
            "set_trace_callback",
        ],
        _PREPARE,
    ),
    "acquire": "write_fn(fn, *args) and read_fn(fn, *args) run fn(conn, *args) on a connection",
    "atomic": "use async with db.transaction() as tx",
    "blobopen": "write_fn(fn, *args) runs fn(conn, *args) on the writer's connection",
    "commit": _COMMITS,
    "connection": "write_fn(fn, *args) and read_fn(fn, *args) run fn(conn, *args) on a connection",
    "in_transaction": _COMMITS,
    "interrupt": "timeout= of a read verb interrupts its query, and so does cancelling its task",
    "isolation_level": _COMMITS,
    "iterdump": "use backup(path)",
    "open": "use async with aiomemdb.connect(...) as db, or db = await aiomemdb.connect(...)",
    "pragma": "set it by connect(pragmas={...}); read it by read_value('PRAGMA ...')",
    "rollback": "an error rolls its own job back; for several steps: async with db.transaction() as tx",
    "savepoint": "use async with db.transaction() as tx; tx.transaction() nests as a savepoint",
    "stats": "use statistics()",
}

_FUNCTIONS = (
    "PostgreSQL has no functions on a connection: async with db.transaction() as tx runs several steps, tx.read(...) "
    "and tx.write(...)"
)
POSTGRES: Mapping[str, str] = {
    **{name: advice for name, advice in DATABASE.items() if "prepare=" not in advice and "write_fn" not in advice},
    **dict.fromkeys(["acquire", "connection", "read_fn", "write_fn"], _FUNCTIONS),
    **dict.fromkeys(["backup", "iterdump"], "PostgreSQL has programs for it: pg_dump, pg_basebackup"),
    **dict.fromkeys(
        ["checkpoint", "optimize", "vacuum"], "the server does it by itself (autovacuum, checkpoint_timeout)"
    ),
    **dict.fromkeys(["agent_read"], "it is SQLite's alone: use a role of its own, with the server's limits"),
    **dict.fromkeys(["changes", "wait_for_change"], "it is SQLite's alone; a Memory has changes() on each engine"),
    **dict.fromkeys(["copy", "copy_from", "copy_to"], "use write_many(sql, rows), or psql"),
    **dict.fromkeys(["listen", "notify"], "connections are shared: listen on one of psycopg's own"),
    "isolation_level": "use transaction(isolation=...)",
    "pragma": "use read_value('SHOW ...'), and ALTER ROLE or the URL to set it",
}

MEMORY: Mapping[str, str] = {
    **dict.fromkeys(
        ["add", "add_memory", "add_messages", "add_text", "insert", "put", "save", "save_context", "store", "write"],
        "remember(text, facts) stores a text and what it says; add_fact() a fact alone, add_episode() a text alone",
    ),
    **dict.fromkeys(
        ["add_edge", "add_relation", "add_relationship", "add_triple", "add_triplet", "create_relations"],
        "use add_fact(subject, predicate, object)",
    ),
    **dict.fromkeys(
        ["add_entity", "add_node", "create_entities", "create_entity", "get_or_create"],
        "use find_or_create_entity(name, type)",
    ),
    **dict.fromkeys(
        ["ask", "find", "get_context", "load_memory_variables", "query", "retrieve", "search", "similarity_search"],
        "recall(question) finds facts and texts; entity(), facts() and episodes() list them",
    ),
    **dict.fromkeys(["get", "get_entity", "get_node", "node"], "use entity(name_or_id), fact(id) or episode(id)"),
    **dict.fromkeys(["get_all", "all", "list"], "use entities(), facts() or episodes()"),
    **dict.fromkeys(["delete", "remove", "delete_entity", "delete_fact"], "use forget(target), or retract(fact)"),
    **dict.fromkeys(["clear", "delete_all", "reset"], "use forget_namespace()"),
    **dict.fromkeys(["edges", "relations", "triples"], "use facts()"),
    **dict.fromkeys(["commit", "flush"], "a verb that writes is committed when its await returns"),
    **dict.fromkeys(["execute", "read", "cursor"], "memory.db is its database, for SQL of your own"),
    "backup": "use memory.db.backup(path)",
    "neighbours": "use neighbors(entity)",
    "nodes": "use entities()",
    "shortest_path": "use path(source, target)",
    "statistics": "use memory.db.statistics(), or counts()",
    "update": "use update_entity(entity, ...), or add_fact(..., replace=True)",
}

# Options that other libraries' connect() takes, and settings of SQLite.
_OPTIONS: Mapping[str, str] = {
    **{
        name: f'use pragmas={{"{name}": ...}}'
        for name in (
            "auto_vacuum",
            "cache_size",
            "foreign_keys",
            "mmap_size",
            "page_size",
            "secure_delete",
            "temp_store",
        )
    },
    "autocommit": "a write is committed when its await returns; for several steps: db.transaction()",
    "cached_statements": "statements are cached",
    "check_same_thread": "the database has threads of its own",
    "detect_types": "sqlite3 would convert in every query of a connection, the library's own too, and one odd value "
    'would fail all rows; convert where you read: datetime.fromisoformat(row["at"]), json.loads(row["data"])',
    "factory": "connect(prepare=...) is called with each new sqlite3.Connection",
    "isolation_level": "a write is committed when its await returns; for several steps: db.transaction()",
    "journal_mode": "it is always a write-ahead log",
    "loop": "a database belongs to the loop on which it is opened",
    "max_size": "use readers=",
    "pool_size": "use readers=",
    "row_factory": _ROWS,
    "synchronous": 'use durability="normal" or "full"',
    "timeout": "use lock_timeout= for the wait for other programs; each verb has a timeout= of its own",
    "uri": "give a plain path",
    "wal": "it is always a write-ahead log",
}


class Familiar:
    """An object that says, for a missing attribute, what serves instead. (To type checkers it is missing.)"""

    _familiar: ClassVar[Mapping[str, str]] = {}

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            if (advice := type(self)._familiar.get(name)) is not None:
                raise AttributeError(f"{message}: {advice}")
            raise AttributeError(message, name=name, obj=self)


def suggests_options(function: Callable[P, T]) -> Callable[P, T]:
    """Has an unknown option of ``function`` say which one may be meant."""
    known = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is not parameter.POSITIONAL_ONLY
    ]

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        for name in kwargs:
            if name not in known:
                near = difflib.get_close_matches(name, [*known, *_OPTIONS], 1)
                meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known[1:])}"
                advice = _OPTIONS.get(near[0] if near else name, meant)
                raise TypeError(f"{function.__name__}() has no option {name!r}: {advice}")
        return function(*args, **kwargs)

    return checked
