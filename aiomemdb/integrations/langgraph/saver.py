"""AiomemdbSaver: LangGraph's checkpointer."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self, TypeAlias, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    PendingWrite,
    SerializerProtocol,
    get_checkpoint_metadata,
)

from ...engines import connect
from ...sqlite.engine.database import SQLiteDatabase
from .._checks import checked_count, checked_text
from .._tables import checked_database
from .._threads import Synchronously
from . import checkpoints
from .checkpoints import TABLES, Kept, Key, Wanted, Write

__all__ = ["AiomemdbSaver"]

_PendingWrites: TypeAlias = list[PendingWrite]  # in the class, list is its method
_Texts: TypeAlias = list[str]

# Of a listing: keys of its first page, and of any; checkpoints that are loaded at once.
_FIRST_KEYS, _MOST_KEYS, _LOADED = 64, 8192, 16


class AiomemdbSaver(BaseCheckpointSaver[str]):
    """A checkpointer on an aiomemdb database, for any number of graphs and runs at once::

        async with AiomemdbSaver.from_conn_string("agents.db") as saver:
            graph = builder.compile(checkpointer=saver)

    A checkpoint is one write job, and so are all writes of a task: whole or not at all, and committed when the call
    returns. The synchronous methods are for other threads; on the loop's own thread they raise ``ReentrancyError``,
    which is an ``asyncio.InvalidStateError`` too.

    Args:
        db: an open database of ``aiomemdb.connect``, or one that is opened before the first call.
        serde: the serializer; default: LangGraph's own. It is called on the loop, and of ``aprune`` and
            ``aget_delta_channel_history`` on a database thread.

    Raises, from each call: ``ValueError``: the config has no ``thread_id``, a key that is no text, or the file has
    other tables of these names; what the database's verbs raise, ``sqlite3.DataError`` for a checkpoint above
    ``max_value_bytes`` for one.
    Cancellation, of each call: the job never runs, or runs wholly.
    """

    def __init__(self, db: SQLiteDatabase, *, serde: SerializerProtocol | None = None) -> None:
        super().__init__(serde=serde)
        self.db: SQLiteDatabase = checked_database(db, self)
        self._synchronously = Synchronously(type(self).__name__)

    @classmethod
    @asynccontextmanager
    async def from_conn_string(
        cls, conn_string: str, *, serde: SerializerProtocol | None = None, **options: Any
    ) -> AsyncIterator[Self]:
        """Open a database, and close it at the end of the block.

        Args:
            conn_string: a path, or ":memory:".
            serde: as for the class.
            options: of ``aiomemdb.connect``.
        """
        async with connect(conn_string, **options) as db:
            yield cls(db, serde=serde)

    async def setup(self) -> None:
        """Make the tables, where they are missing. Each method does so first."""
        self._synchronously.note_loop()
        await TABLES.made_in(self.db)

    # One checkpoint

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint that the config names, or the latest one of its thread and namespace; None: none."""
        thread, namespace, checkpoint = _place(config)
        await self.setup()
        kept = await self.db.read_fn(checkpoints.find, thread, namespace, checkpoint)
        return None if kept is None else self._tuple(kept, config if checkpoint is not None else None)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint as a child of the one that the config names; return the config that names it."""
        thread, namespace, parent = _place(config)
        key = Key(thread, namespace, checked_text("checkpoint id", checkpoint["id"]))
        type_, data = self.serde.dumps_typed(checkpoint)
        described = json.dumps(get_checkpoint_metadata(config, metadata), ensure_ascii=False)
        await self.setup()
        # A lone surrogate in the metadata is left out, as LangGraph's own saver does.
        await self.db.write(checkpoints.PUT, (*key, parent, type_, data, described.encode("utf-8", "ignore")))
        return _config(Key(config["configurable"]["thread_id"], namespace, checkpoint["id"]))

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep what a task has written to the checkpoint that the config names.

        What it has written before stays as it is; its error, interrupt, resume and schedule are replaced.
        """
        thread, namespace, checkpoint = _place(config)
        if checkpoint is None:
            raise ValueError("the config names no checkpoint: config['configurable']['checkpoint_id'] is missing")
        task = (thread, namespace, checkpoint, checked_text("task id", task_id), checked_text("task path", task_path))
        rows = [
            (
                *task,
                WRITES_IDX_MAP.get(channel, place),
                checked_text("channel", channel),
                *self.serde.dumps_typed(value),
            )
            for place, (channel, value) in enumerate(writes)
        ]
        await self.setup()
        await self.db.write_many(checkpoints.PUT_WRITE, rows)

    # Many

    def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Return the checkpoints of a thread, or of all, one by one, the latest first.

        Nothing is held between two of them: you may write meanwhile, and leave early. A checkpoint that is put
        meanwhile is not among them.

        Args:
            config: names a thread, a namespace and a checkpoint; what it leaves out may be any. None: all threads.
            filter: values that the metadata has. Plain ones are compared by SQLite.
            before: names a checkpoint that all are older than.
            limit: how many at most.

        Raises: ValueError, TypeError: ``limit`` is below 0, or no whole number; ``filter`` is no mapping; at once.
        """
        if limit is not None:
            checked_count("limit", limit)
        if not isinstance(filter, Mapping | None):
            raise TypeError(f"filter={filter!r}: a mapping")
        filter = dict(filter or {})
        wanted = Wanted(before=_named(before, "checkpoint_id"), metadata=filter)
        if config is not None:
            thread, _, checkpoint = _place(config)
            wanted = Wanted(thread, _named(config, "checkpoint_ns"), checkpoint, wanted.before, filter)
        return self._list(wanted, limit)

    async def _list(self, wanted: Wanted, limit: int | None) -> AsyncIterator[CheckpointTuple]:
        await self.setup()
        last: Key | None = None
        left = -1 if limit is None else limit
        size = _FIRST_KEYS
        while left:
            keys = await self.db.read_fn(checkpoints.keys_of, wanted, last, size)
            for start in range(0, len(keys), _LOADED):
                for kept in await self.db.read_fn(checkpoints.load, keys[start : start + _LOADED]):
                    metadata = _metadata(kept)
                    if any(metadata.get(name) != value for name, value in wanted.metadata.items()):
                        continue
                    yield self._tuple(kept, None)
                    left -= 1
                    if not left:
                        return
            if len(keys) < size:
                return
            last, size = keys[-1], min(2 * size, _MOST_KEYS)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return per channel the value at the nearest ancestor that has one, and what was written to it since.

        It is one walk from parent to parent, for all channels, on one state.
        """
        if not channels:
            return {}
        await self.setup()
        history = await self.db.read_fn(checkpoints.walk, *_place(config), list(channels), self.serde.loads_typed)
        found: dict[str, DeltaChannelHistory] = {}
        for channel in channels:
            writes = [write for of_one in reversed(history.writes[channel]) for write in of_one]
            found[channel] = {"writes": self._loaded(writes)}
            if channel in history.seeds:
                found[channel]["seed"] = history.seeds[channel]
        return found

    # Threads and runs

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete all checkpoints and writes of a thread, in one job."""
        await self._delete_threads([checked_text("thread_id", thread_id)])

    async def _delete_threads(self, threads: _Texts) -> None:
        await self.setup()
        await self.db.write_fn(checkpoints.delete_threads, threads)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete all checkpoints with one of these ``run_id`` in their metadata, and their writes, in one job.

        A DeltaChannel of a thread that goes on loses what these runs wrote to it.
        """
        runs = _texts("run_ids", run_ids)
        await self.setup()
        if runs:
            await self.db.write_fn(checkpoints.delete_runs, runs)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all checkpoints and writes of a thread into another one, in one job."""
        source, target = checked_text("thread_id", source_thread_id), checked_text("thread_id", target_thread_id)
        await self.setup()
        if source != target:
            await self.db.write_fn(checkpoints.copy_thread, source, target)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete what is old of some threads, in one job.

        Args:
            thread_ids: the threads.
            strategy: "keep_latest" leaves the latest checkpoint of each namespace of a thread; where it has a
                DeltaChannel, its ancestors too, back to the channel's latest whole value. "delete" leaves nothing.
        """
        threads = _texts("thread_ids", thread_ids)
        if strategy == "delete":
            await self._delete_threads(threads)
        elif strategy == "keep_latest":
            await self.setup()
            await self.db.write_fn(checkpoints.prune, threads, self.serde.loads_typed)
        else:
            raise ValueError(f'strategy={strategy!r}: "keep_latest" or "delete"')

    # For other threads

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """As ``aget_tuple``, from another thread."""
        return self._synchronously.run(self.aget_tuple, config)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """As ``alist``, from another thread."""
        return self._synchronously.iterate(self.alist, config, filter=filter, before=before, limit=limit)

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """As ``aput``, from another thread."""
        return self._synchronously.run(self.aput, config, checkpoint, metadata, new_versions)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """As ``aput_writes``, from another thread."""
        self._synchronously.run(self.aput_writes, config, writes, task_id, task_path)

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """As ``aget_delta_channel_history``, from another thread."""
        return self._synchronously.run(self.aget_delta_channel_history, config=config, channels=channels)

    def delete_thread(self, thread_id: str) -> None:
        """As ``adelete_thread``, from another thread."""
        self._synchronously.run(self.adelete_thread, thread_id)

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """As ``adelete_for_runs``, from another thread."""
        self._synchronously.run(self.adelete_for_runs, run_ids)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """As ``acopy_thread``, from another thread."""
        self._synchronously.run(self.acopy_thread, source_thread_id, target_thread_id)

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """As ``aprune``, from another thread."""
        self._synchronously.run(self.aprune, thread_ids, strategy=strategy)

    def get_next_version(self, current: str | None, channel: None) -> str:
        """Return the version that follows: a number that grows, and a random one, as two runs may follow one."""
        number = 0 if current is None else int(str(current).split(".")[0])
        return f"{number + 1:032}.{random.random():016}"

    def _tuple(self, kept: Kept, config: RunnableConfig | None) -> CheckpointTuple:
        key = kept.key
        return CheckpointTuple(
            config or _config(key),
            self.serde.loads_typed((kept.type, kept.checkpoint)),
            cast(CheckpointMetadata, _metadata(kept)),
            _config(key._replace(checkpoint=kept.parent)) if kept.parent else None,
            self._loaded(kept.writes),
        )

    def _loaded(self, writes: Sequence[Write]) -> _PendingWrites:
        return [(task, channel, self.serde.loads_typed((type_, value))) for task, channel, type_, value in writes]


def _config(key: Key) -> RunnableConfig:
    return {"configurable": {"thread_id": key.thread, "checkpoint_ns": key.namespace, "checkpoint_id": key.checkpoint}}


def _metadata(kept: Kept) -> dict[str, Any]:
    return {} if kept.metadata is None else dict(json.loads(kept.metadata))


def _place(config: RunnableConfig) -> tuple[str, str, str | None]:
    """The thread, the namespace and the checkpoint that a config names. Raises: ValueError: it names no thread."""
    configurable = (config or {}).get("configurable") or {}
    thread = configurable.get("thread_id")
    if thread is None:
        raise ValueError("the config names no thread: config['configurable']['thread_id'] is missing")
    namespace = checked_text("checkpoint_ns", configurable.get("checkpoint_ns") or "")
    return checked_text("thread_id", thread), namespace, _named(config, "checkpoint_id")


def _named(config: RunnableConfig | None, name: str) -> str | None:
    value = ((config or {}).get("configurable") or {}).get(name)
    if value is None or (name == "checkpoint_id" and not value):
        return None
    return checked_text(name, value)


def _texts(name: str, values: Sequence[str]) -> list[str]:
    if isinstance(values, str):
        raise TypeError(f"{name}={values!r}: a sequence of them, not one")
    return [checked_text(name, value) for value in values]
