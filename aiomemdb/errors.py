"""Every error of aiomemdb, and what it says about your write.

::

    AiomemdbError
    ├── DatabaseClosed         not open yet, closing or closed
    ├── QueueFull              submit() found max_pending jobs waiting
    ├── LockTimeout            another program held the file for lock_timeout          (TimeoutError)
    ├── WriteTimeout           the caller's own timeout= ran out                       (TimeoutError)
    ├── ReadTimeout            the caller's own timeout= ran out; its query is stopped (TimeoutError)
    ├── TransactionTimeout     a transaction() was held longer than max_hold           (TimeoutError)
    ├── CommitOutcomeUnknown   the disk failed during COMMIT and could not be asked again
    ├── ServerLost             no server could be reached, or an answer of it is lost
    ├── WriterCrashed          the writer stopped; reads go on
    ├── DatabaseReplaced       the file at this path is no longer the one that was opened
    ├── ForkedError            used, or opened, in a forked child of a process that had it open
    ├── WrongLoop              used on another event loop or from another thread
    ├── ReentrancyError        would wait for itself: a write inside its own transaction()
    ├── TransactionEnded       a verb of a transaction() after the end of its block
    ├── TransactionLost        a verb of a transaction() that an earlier step of its block has lost
    ├── TransactionConflict    another transaction was in the way of this one: run it again
    ├── SnapshotEnded          a verb of a snapshot() after the end of its block
    ├── ForbiddenStatement     transaction control, ATTACH, VACUUM or a PRAGMA inside a job; a query in a write verb
    ├── NotAQuery              a verb that returns rows got SQL that returns none
    ├── EmptyStatement         the SQL holds no statement
    ├── NotFound               the memory has no such entity, fact or episode here         (LookupError)
    ├── AmbiguousEntity        several entities of one name, and strict=True               (LookupError)
    ├── EpisodeExists          another text under this key
    ├── FormatError            a file that is to be imported is not what it should be      (ValueError)
    ├── EmbedderError          the embedder returned no vectors that can be used
    ├── ModelChanged           the file's vectors are of another model: reembed()
    ├── NormaliserChanged      the file's names were normalised in another way
    └── SchemaTooNew           a later version of aiomemdb wrote the file's memory

Each carries ``applied``: ``False`` (not applied, safe to try again), ``True``, or ``None`` (unknown).
Errors of SQL stay the driver's (``sqlite3.*``), unchanged, and always mean *not applied*. An engine may raise a
subclass that is also its driver's error: SQLite's ``TransactionEnded`` is a ``sqlite3.ProgrammingError`` too.
"""

from __future__ import annotations

from threading import get_ident

__all__ = [
    "AiomemdbError",
    "AmbiguousEntity",
    "CommitOutcomeUnknown",
    "DatabaseClosed",
    "DatabaseReplaced",
    "EmbedderError",
    "EmptyStatement",
    "EpisodeExists",
    "ForbiddenStatement",
    "ForkedError",
    "FormatError",
    "LockTimeout",
    "ModelChanged",
    "NormaliserChanged",
    "NotAQuery",
    "NotFound",
    "QueueFull",
    "ReadTimeout",
    "ReentrancyError",
    "SchemaTooNew",
    "ServerLost",
    "SnapshotEnded",
    "TransactionConflict",
    "TransactionEnded",
    "TransactionLost",
    "TransactionTimeout",
    "WriteTimeout",
    "WriterCrashed",
    "WrongLoop",
]


class AiomemdbError(Exception):
    """The root of the tree.

    Attributes:
        applied: whether the job took effect: ``False`` (safe to try again), ``True``, or ``None`` (unknown).
    """

    applied: bool | None = False

    def __init__(self, message: str, *, applied: bool | None = False) -> None:
        super().__init__(message)
        self.applied = applied


class DatabaseClosed(AiomemdbError):
    """The database is not open yet, is closing, or is closed.

    ``applied`` is False, except a job that was still running when ``close()`` ran out of time: None.
    What to do: open it (``async with aiomemdb.connect(...)``); a closed one is not opened again.
    """


class QueueFull(AiomemdbError):
    """``submit()`` found no room: ``max_pending`` jobs are waiting. Never applied.

    What to do: await some of the futures, or use ``await db.write(...)``, which waits its turn.
    """


class LockTimeout(AiomemdbError, TimeoutError):
    """Another process kept the turn to write, or the write lock, for longer than ``lock_timeout``. Never applied.

    The message names that process where the system says so, and says whether it is stopped.
    What to do: try again, wake or end that process, or raise ``lock_timeout``.
    """


class _CallerTimeout(AiomemdbError, TimeoutError):
    """A caller's own ``timeout=`` ran out; ``started`` says whether its job was already running."""

    def __init__(self, message: str, *, started: bool = False, applied: bool | None = False) -> None:
        super().__init__(message, applied=applied)
        self.started = started


class WriteTimeout(_CallerTimeout):
    """The caller's ``timeout=`` ran out.

    ``started=False``: the job was still waiting, never runs, ``applied`` is False.
    ``started=True``: it had been taken into a batch and runs to its end, ``applied`` is None.
    What to do: where ``applied`` is None, look before trying again.
    """


class ReadTimeout(_CallerTimeout):
    """The caller's ``timeout=`` ran out; the query, if it had started, is interrupted. Changes nothing."""


class TransactionTimeout(AiomemdbError, TimeoutError):
    """A ``transaction()`` was held longer than ``max_hold`` and was rolled back; its holder is named.

    What to do: do slow work (models, network) before the transaction, or raise ``max_hold``.
    """


class CommitOutcomeUnknown(AiomemdbError):
    """COMMIT failed in a way that leaves open whether it will be there after a restart (``applied`` is None).

    On SQLite the writer has stopped. On PostgreSQL no server could be asked within ``reconnect`` seconds.
    What to do: reopen the database, or wait for a server, and look.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, applied=None)


class ServerLost(AiomemdbError):
    """No PostgreSQL server could be reached within ``reconnect`` seconds; or the connection of a snapshot or a stream
    was lost.

    ``applied`` is False: the job had not begun, or it is known that its COMMIT did not come through. It is True where
    that came through and what the statement returned was lost with the connection.
    What to do: where it is False, try again when there is a server; where it is True, look at what was written.
    """


class WriterCrashed(AiomemdbError):
    """The writer stopped: its thread died, or it met corruption. Reads go on.

    ``applied`` is False for jobs that waited, None for a job with its COMMIT under way.
    What to do: close and reopen the database; the cause is chained as ``__cause__``.
    """


class DatabaseReplaced(AiomemdbError):
    """The file (or its -wal) at this path is no longer the one that was opened. Not applied.

    Or another SQLite library has opened it in this process too, and its writes and ours don't keep out of each other's
    way. The writer has stopped. What to do: find what replaces or opens the file under a running program, then reopen.
    A read raises it where the file was opened on a read-only file system and has changed since. What to do: reopen it.
    """


class ForkedError(AiomemdbError):
    """The handle, or the file, was opened in the parent of a forked process. Never applied.

    SQLite would not lock the file in the child: it inherits the count of its parent's locks without the locks.
    What to do: start processes by "spawn" or "forkserver", or fork before the parent opens the database.
    """


class WrongLoop(AiomemdbError):
    """Used on another event loop, from another thread, or without asyncio. Never applied.

    What to do: from a thread, ``asyncio.run_coroutine_threadsafe(db.write(...), loop).result()``; on another loop of
    the same thread, open it there: one ``asyncio.run()`` for the whole program, one loop for a fixture and its tests.
    """

    @classmethod
    def of(cls, what: str, opened_in: int | None, call: str) -> WrongLoop:
        """The error of ``what``, which was opened in the thread of this number; ``call`` is what a thread would run."""
        if get_ident() == opened_in:
            return cls(
                f"{what} was opened on another event loop than the one that runs here (by an earlier asyncio.run(), or "
                "by a fixture of another scope than the test's loop): open it on the loop that uses it"
            )
        return cls(
            f"{what} belongs to the event loop of another thread; here use asyncio.run_coroutine_threadsafe({call}, "
            "loop).result()"
        )


class ReentrancyError(AiomemdbError):
    """The call would wait for its own caller. Never applied.

    What to do: inside ``async with db.transaction() as tx`` write on ``tx``, not on ``db``. Write to a ``Memory``
    by ``memory.within(tx)``, or before the block or after it.
    """


class TransactionEnded(AiomemdbError):
    """A verb of a ``transaction()`` was called after the end of its block. Not applied.

    What to do: call it inside ``async with db.transaction() as tx``, and wait there for the tasks that use ``tx``.
    """


class TransactionLost(AiomemdbError):
    """An earlier step of this ``transaction()`` has rolled all of it back: a full disk, ``ON CONFLICT ROLLBACK``.

    Nothing of the transaction was applied. What to do: leave the block; ``__cause__`` is the error of that step.
    """


class TransactionConflict(AiomemdbError):
    """Another transaction was in the way of this ``transaction()``, which gave way: a serialisation failure, or a
    deadlock. Not applied.

    What to do: run the block again, from its first read on.
    """


class SnapshotEnded(AiomemdbError):
    """A verb of a ``snapshot()`` was called after the end of its block.

    What to do: call it inside ``async with db.snapshot() as snap``, and wait there for the tasks that use ``snap``.
    """


class ForbiddenStatement(AiomemdbError):
    """Transaction control, ATTACH, VACUUM or a PRAGMA outside a short allow-list; or a query in a write verb, which
    would keep all writers waiting for what a reader can answer. Never applied.

    What to do: the message names the verb or option that serves instead.
    """


class NotAQuery(AiomemdbError):
    """A verb that returns rows got SQL that returns none: it is empty, or writes without RETURNING. Not applied.

    What to do: write by ``write()``, ``write_count()`` or ``write_script()``.
    """


class EmptyStatement(AiomemdbError):
    """The SQL of a write verb holds no statement: it is empty, or has comments alone. Not applied.

    What to do: look at what makes the SQL. A script of several statements may be empty: ``write_script()``.
    """


class NotFound(AiomemdbError, LookupError):
    """The memory has no such entity, fact or episode in this namespace: never was, forgotten, or of another one.

    Not applied. What to do: look it up by name again, or use ``memory.scoped(namespace=...)``.

    Attributes:
        name: the name that no entity has, as it was written; None: what was not found was given by an id.
    """

    name: str | None = None


class AmbiguousEntity(AiomemdbError, LookupError):
    """Several entities have this name, no type was given, and ``strict=True`` wants exactly one. Not applied.

    What to do: give ``type=``, or leave ``strict`` out: then the oldest is taken.
    """


class EpisodeExists(AiomemdbError):
    """There is an episode with this key and another content. Not applied.

    What to do: ``replace=True`` makes this text its next version.
    """


class FormatError(AiomemdbError, ValueError):
    """A file that is to be imported is not what it should be: cut short, of an unknown version, with a wrong value.

    Nothing of the file was applied. What to do: look at the line that it names, or export the file again.

    Attributes:
        line: the number of the line, from 1; None: it is no matter of one line.
    """

    def __init__(self, message: str, *, line: int | None = None) -> None:
        super().__init__(message if line is None else f"line {line}: {message}")
        self.line: int | None = line


class EmbedderError(AiomemdbError):
    """The embedder returned no usable vectors: the wrong number of them, one of the wrong length or with NaN; or its
    endpoint could not be reached, refused, or sent no vectors. Not applied.

    What to do: the message says what is wrong with it. What an embedder of yours raises passes unchanged.
    """


class ModelChanged(AiomemdbError):
    """The file's vectors were made by another model, or have another length; cosines between the two say nothing.

    Not applied. What to do: open it with the model that the message names, or let this one make all vectors anew:
    ``await memory.reembed()``.
    """


class NormaliserChanged(AiomemdbError):
    """The names in this file were normalised in another way; both at once would make two entities of one name.

    Not applied. What to do: open it with the normaliser that the message names.
    """


class SchemaTooNew(AiomemdbError):
    """A later version of aiomemdb wrote the memory in this file. Not applied.

    What to do: update aiomemdb.
    """
