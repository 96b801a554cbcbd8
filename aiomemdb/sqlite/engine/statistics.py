"""SQLiteStatistics: what a database of this engine is doing and has done."""

from __future__ import annotations

from dataclasses import dataclass

from ...values import Statistics
from ..common.recorder import Recorder
from ..file.hazards import has_wal_reset_bug
from ..reading.readers import Readers
from ..writing.writer import Writer

__all__ = ["SQLiteStatistics", "statistics_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SQLiteStatistics(Statistics):
    """``aiomemdb.Statistics``, and what the write-ahead log and the turns of other processes have to do with it."""

    wal_bytes: int
    """Gauge: size of the write-ahead log when it was last looked at: at most 10 ms before the latest commit."""
    checkpoints: int
    """Counter: checkpoints that moved the log, or a part of it, into the database file."""
    checkpoint_failures: int
    """Counter: checkpoints that failed (a full disk, an I/O error); the log grows, and commits go on, except durable
    ones where a sync has failed."""
    checkpoint_error: str | None
    """The latest such failure."""
    lock_wait: float
    """What the latest batch waited for its turn among the processes that write this file."""
    lock_wait_max: float
    """The largest ``lock_wait`` so far."""
    foreign_writers: int
    """Counter: how often the writer noticed a program that writes this file without aiomemdb: by its commits since the
    writer's latest look (at a turn, one in 5 ms), or by its lock. Commits within 10 ms of a turn of another
    handle can't be told from that handle's and are not counted. Such programs get no fair turns, and where
    ``wal_reset_bug`` their checkpoints can corrupt the file: set their ``wal_autocheckpoint`` to 0."""
    wal_reset_bug: bool
    """Whether this SQLite (3.7.0 to 3.51.2) can corrupt a log when one program checkpoints while another commits. The
    lock files keep all that use aiomemdb apart; see ``foreign_writers``."""


def statistics_of(recorder: Recorder, readers: Readers, writer: Writer | None) -> SQLiteStatistics:
    """Where there is no writer, the file is open for reading alone, and nothing was written."""
    turnstile = writer.session.turnstile if writer else None
    return SQLiteStatistics(
        pending=len(writer.queue) if writer else 0,
        running=writer.running if writer else 0,
        transaction_holder=writer.transaction_holder if writer else None,
        readers=len(readers.connections),
        readers_busy=readers.busy,
        reads_pending=readers.pending,
        writes=recorder.writes,
        write_errors=recorder.write_errors,
        batches=recorder.batches,
        largest_batch=recorder.largest_batch,
        mean_batch=recorder.mean_batch,
        batch_splits=recorder.batch_splits,
        queue_wait=recorder.queue_wait,
        queue_wait_max=recorder.queue_wait_max,
        reads=recorder.reads,
        reader_wait_max=readers.leases.reader_wait_max,
        wal_bytes=writer.session.identity.wal_bytes if writer else 0,
        checkpoints=recorder.checkpoints,
        checkpoint_failures=recorder.checkpoint_failures,
        checkpoint_error=recorder.checkpoint_error,
        lock_wait=turnstile.waited if turnstile else 0.0,
        lock_wait_max=turnstile.waited_max if turnstile else 0.0,
        foreign_writers=writer.session.foreigners.count if writer else 0,
        wal_reset_bug=has_wal_reset_bug(),
    )
