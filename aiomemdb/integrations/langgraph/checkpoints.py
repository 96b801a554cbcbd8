"""The checkpoints' tables, and what a saver's jobs do with them. SQL alone: nothing here knows LangGraph."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from .._tables import Tables

__all__ = [
    "PUT",
    "PUT_WRITE",
    "TABLES",
    "History",
    "Kept",
    "Key",
    "Wanted",
    "Write",
    "copy_thread",
    "delete_runs",
    "delete_threads",
    "find",
    "keys_of",
    "load",
    "prune",
    "walk",
]

TABLES = Tables(
    "LangGraph's checkpoints",
    """CREATE TABLE IF NOT EXISTS checkpoints (
        thread_id TEXT NOT NULL,
        checkpoint_ns TEXT NOT NULL DEFAULT '',
        checkpoint_id TEXT NOT NULL,
        parent_checkpoint_id TEXT,
        type TEXT,
        checkpoint BLOB,
        metadata BLOB,
        PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id)
    )""",
    """CREATE TABLE IF NOT EXISTS writes (
        thread_id TEXT NOT NULL,
        checkpoint_ns TEXT NOT NULL DEFAULT '',
        checkpoint_id TEXT NOT NULL,
        task_id TEXT NOT NULL,
        task_path TEXT NOT NULL DEFAULT '',
        idx INTEGER NOT NULL,
        channel TEXT NOT NULL,
        type TEXT,
        value BLOB,
        PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
    )""",
    added={("writes", "task_path"): "TEXT NOT NULL DEFAULT ''"},
)

PUT = (
    "INSERT OR REPLACE INTO checkpoints "
    "(thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
# What a task wrote stays as it was first written; its error, interrupt and the like, which have a place below 0, don't.
PUT_WRITE = (
    "INSERT INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
    "task_path = excluded.task_path, channel = excluded.channel, type = excluded.type, value = excluded.value "
    "WHERE excluded.idx < 0"
)

_AT = "thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?"
_LATEST = "thread_id = ? AND checkpoint_ns = ? ORDER BY checkpoint_id DESC LIMIT 1"
_COLUMNS = "thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata"
_METADATA = "CAST(metadata AS TEXT)"
# NaN and Infinity, which Python writes and reads, are not JSON to SQLite: one such row would fail a query of all
# threads.
_IS_JSON = f"json_valid({_METADATA})"
# Of a key that SQLite finds in JSON as it stands there; of others the caller looks at the metadata.
_PLAIN_KEY = re.compile(r'[^"\\\x00-\x1f\ud800-\udfff]+')

#: (task, channel, type, value), in the order in which a run applies them.
Write: TypeAlias = tuple[str, str, str, bytes]
Loads: TypeAlias = Callable[[tuple[str, bytes]], Any]


class Key(NamedTuple):
    """Where a checkpoint is kept."""

    thread: str
    namespace: str
    checkpoint: str


class Kept(NamedTuple):
    """A checkpoint as it is kept, and what tasks have written to it."""

    key: Key
    parent: str | None
    type: str
    checkpoint: bytes
    metadata: bytes | str | None
    writes: list[Write]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which checkpoints are listed. ``metadata`` is narrowed down by SQL; it may let some through that don't match."""

    thread: str | None = None
    namespace: str | None = None
    checkpoint: str | None = None
    before: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)

    def conditions(self) -> tuple[list[str], list[object]]:
        where: list[str] = []
        params: list[object] = []
        for condition, value in (
            ("thread_id = ?", self.thread),
            ("checkpoint_ns = ?", self.namespace),
            ("checkpoint_id = ?", self.checkpoint),
            ("checkpoint_id < ?", self.before),
        ):
            if value is not None:
                where.append(condition)
                params.append(value)
        for name, wanted in self.metadata.items():
            if isinstance(name, str) and _PLAIN_KEY.fullmatch(name) and (narrowed := _narrowed(wanted)) is not None:
                condition, values = narrowed
                where.append(f"CASE WHEN {_IS_JSON} THEN {condition.format(metadata=_METADATA)} ELSE TRUE END")
                params.extend((f'$."{name}"', *values))
        return where, params


def _narrowed(wanted: object) -> tuple[str, tuple[object, ...]] | None:
    """A condition on one value of the metadata, and its parameters behind the path. SQLite reads a fraction's digits a
    little differently from Python, so such a number is compared by the caller.
    """
    if wanted is None:
        return "json_extract({metadata}, ?) IS NULL", ()
    if isinstance(wanted, int) and -(2**63) <= wanted < 2**63:
        return "json_extract({metadata}, ?) = ?", (int(wanted),)
    if isinstance(wanted, str) and _PLAIN_KEY.fullmatch(wanted):
        return "json_extract({metadata}, ?) = ?", (str(wanted),)
    if isinstance(wanted, list | dict):
        return "json_type({metadata}, ?) = ?", ("array" if isinstance(wanted, list) else "object",)
    return None


def find(conn: sqlite3.Connection, thread: str, namespace: str, checkpoint: str | None) -> Kept | None:
    """The checkpoint of this name, or the latest one."""
    key = (thread, namespace) if checkpoint is None else (thread, namespace, checkpoint)
    where = _LATEST if checkpoint is None else _AT
    row = conn.execute(f"SELECT {_COLUMNS} FROM checkpoints WHERE {where}", key).fetchone()
    return None if row is None else _kept(conn, row)


def keys_of(conn: sqlite3.Connection, wanted: Wanted, after: Key | None, most: int) -> list[Key]:
    """The next keys behind ``after``, the latest checkpoint first."""
    where, params = wanted.conditions()
    if after is not None:
        where += ["checkpoint_id <= ?", "(checkpoint_id, thread_id, checkpoint_ns) < (?, ?, ?)"]
        params += [after.checkpoint, after.checkpoint, after.thread, after.namespace]
    rows = conn.execute(
        f"SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoints WHERE {' AND '.join(where) or 'TRUE'} "
        "ORDER BY checkpoint_id DESC, thread_id DESC, checkpoint_ns DESC LIMIT ?",
        [*params, most],
    )
    return [Key(*row) for row in rows]


def load(conn: sqlite3.Connection, keys: Sequence[Key]) -> list[Kept]:
    """The checkpoints of these keys, without those that were deleted meanwhile."""
    found = (conn.execute(f"SELECT {_COLUMNS} FROM checkpoints WHERE {_AT}", key).fetchone() for key in keys)
    return [_kept(conn, row) for row in found if row is not None]


def _kept(conn: sqlite3.Connection, row: sqlite3.Row) -> Kept:
    thread, namespace, checkpoint, parent, type_, data, metadata = row
    key = Key(thread, namespace, checkpoint)
    return Kept(key, parent, type_, data, metadata, _writes(conn, key))


def _writes(conn: sqlite3.Connection, key: Key) -> list[Write]:
    rows = conn.execute(
        f"SELECT task_id, channel, type, value FROM writes WHERE {_AT} ORDER BY task_path, task_id, idx", key
    )
    return [(task, channel, type_, value) for task, channel, type_, value in rows]


# -- what was written to a channel since its last value --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class History:
    """Of one checkpoint's ancestors: per channel the value at the nearest that has one, and all writes since.

    Attributes:
        writes: by channel, the latest ancestor's first; those of one ancestor are in the order of a run.
        seeds: by channel, the value; a channel that no ancestor has a value of has none.
        ancestors: those that it was drawn from.
    """

    writes: dict[str, list[list[Write]]]
    seeds: dict[str, Any]
    ancestors: list[str]


def walk(
    conn: sqlite3.Connection,
    thread: str,
    namespace: str,
    checkpoint: str | None,
    channels: Sequence[str],
    loads: Loads,
) -> History:
    """The history of channels, in one walk from parent to parent. A chain that closes into a ring ends there."""
    history = History({channel: [] for channel in channels}, {}, [])
    at = find_parent(conn, thread, namespace, checkpoint)
    walked = set() if checkpoint is None else {checkpoint}
    open_channels = set(channels)
    while at is not None and at not in walked and open_channels:
        walked.add(at)
        key = Key(thread, namespace, at)
        row = conn.execute(
            f"SELECT parent_checkpoint_id, type, checkpoint FROM checkpoints WHERE {_AT}", key
        ).fetchone()
        if row is None:
            break
        at, type_, data = row
        history.ancestors.append(key.checkpoint)
        writes = _writes(conn, key)
        values = loads((type_, data)).get("channel_values") or {}
        for channel in list(open_channels):
            if of_channel := [write for write in writes if write[1] == channel]:
                history.writes[channel].append(of_channel)
            if channel in values:
                history.seeds[channel] = values[channel]
                open_channels.discard(channel)
    return history


def find_parent(conn: sqlite3.Connection, thread: str, namespace: str, checkpoint: str | None) -> str | None:
    key = (thread, namespace) if checkpoint is None else (thread, namespace, checkpoint)
    where = _LATEST if checkpoint is None else _AT
    row = conn.execute(f"SELECT parent_checkpoint_id FROM checkpoints WHERE {where}", key).fetchone()
    return None if row is None else row[0]


# -- threads and runs ------------------------------------------------------------------------------------------------


def delete_threads(conn: sqlite3.Connection, threads: Iterable[str]) -> None:
    for thread in threads:
        conn.execute("DELETE FROM checkpoints WHERE thread_id = ?", (thread,))
        conn.execute("DELETE FROM writes WHERE thread_id = ?", (thread,))


def delete_runs(conn: sqlite3.Connection, runs: Sequence[str]) -> None:
    rows = conn.execute(
        f"SELECT thread_id, checkpoint_ns, checkpoint_id, NOT {_IS_JSON}, metadata FROM checkpoints WHERE CASE WHEN "
        f"{_IS_JSON} THEN json_extract({_METADATA}, '$.run_id') IN (SELECT value FROM json_each(?)) "
        "ELSE metadata IS NOT NULL END",
        (json.dumps(list(runs)),),
    ).fetchall()
    keys = [key for *key, is_to_look, metadata in rows if not is_to_look or _run_of(metadata) in runs]
    for table in ("writes", "checkpoints"):
        conn.executemany(f"DELETE FROM {table} WHERE {_AT}", keys)


def _run_of(metadata: bytes | str) -> object:
    """The run that Python reads in metadata that are no JSON to SQLite; None where Python reads nothing either."""
    try:
        read = json.loads(metadata)
    except (ValueError, RecursionError):
        return None
    return read.get("run_id") if isinstance(read, dict) else None


def copy_thread(conn: sqlite3.Connection, source: str, target: str) -> None:
    for table, columns in (
        ("checkpoints", "checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata"),
        ("writes", "checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value"),
    ):
        conn.execute(
            f"INSERT OR REPLACE INTO {table} (thread_id, {columns}) SELECT ?, {columns} FROM {table} "
            "WHERE thread_id = ?",
            (target, source),
        )


def prune(conn: sqlite3.Connection, threads: Iterable[str], loads: Loads) -> None:
    """Leaves of each namespace of these threads the latest checkpoint, and the ancestors that its channels need."""
    for thread in threads:
        latest = conn.execute(
            "SELECT checkpoint_ns, max(checkpoint_id) FROM checkpoints WHERE thread_id = ? GROUP BY checkpoint_ns",
            (thread,),
        ).fetchall()
        for namespace, checkpoint in latest:
            kept = [checkpoint, *_needed(conn, Key(thread, namespace, checkpoint), loads)]
            for table in ("checkpoints", "writes"):
                conn.execute(
                    f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_ns = ? "
                    "AND checkpoint_id NOT IN (SELECT value FROM json_each(?))",
                    (thread, namespace, json.dumps(kept)),
                )


def _needed(conn: sqlite3.Connection, key: Key, loads: Loads) -> list[str]:
    """The ancestors from which a channel is put together that is kept as its changes: a DeltaChannel."""
    row = conn.execute(f"SELECT type, checkpoint, metadata FROM checkpoints WHERE {_AT}", key).fetchone()
    counters = json.loads(row[2] or "{}").get("counters_since_delta_snapshot") or {}
    if not counters:
        return []
    values = loads((row[0], row[1])).get("channel_values") or {}
    return walk(conn, *key, [channel for channel in counters if channel not in values], loads).ancestors
