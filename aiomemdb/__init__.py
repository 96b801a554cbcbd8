"""aiomemdb: one SQLite file for many agents, asyncio-native. Start with ``connect``.

Each name is imported when it is first used: ``import aiomemdb`` loads no engine and no memory.
"""

import importlib
import sys
import typing

from . import descriptors  # noqa: F401  it notes at a fork what the child inherits
from .errors import (
    AiomemdbError,
    AmbiguousEntity,
    CommitOutcomeUnknown,
    DatabaseClosed,
    DatabaseReplaced,
    EmbedderError,
    EmptyStatement,
    EpisodeExists,
    ForbiddenStatement,
    ForkedError,
    FormatError,
    LockTimeout,
    ModelChanged,
    NormaliserChanged,
    NotAQuery,
    NotFound,
    QueueFull,
    ReadTimeout,
    ReentrancyError,
    SchemaTooNew,
    ServerLost,
    SnapshotEnded,
    TransactionConflict,
    TransactionEnded,
    TransactionLost,
    TransactionTimeout,
    WriterCrashed,
    WriteTimeout,
    WrongLoop,
)

if typing.TYPE_CHECKING:  # the same as in _ROOMS
    from .agents import AgentAnswer, AgentLimits
    from .database import Database, Hold, Snapshot, Transaction
    from .engines import connect
    from .memory.answers import AddedEntity, AddedFact, Graph
    from .memory.bulk import Document, Exported, ExportedPages, Imported, Loaded, NotLoaded
    from .memory.memory import Memory
    from .memory.names import Normaliser
    from .memory.pages import Page
    from .memory.values import (
        Change,
        Entity,
        Episode,
        Event,
        Evidence,
        Fact,
        Forgotten,
        Hit,
        Name,
        Recall,
        Remembered,
        Statement,
        Subgraph,
    )
    from .postgres.database import PostgresDatabase
    from .postgres.snapshot import PostgresSnapshot
    from .postgres.statistics import PostgresStatistics
    from .postgres.transaction import PostgresHold, PostgresTransaction
    from .runner import run
    from .sqlite.engine.database import SQLiteDatabase
    from .sqlite.engine.statistics import SQLiteStatistics
    from .sqlite.engine.transaction import SQLiteHold, SQLiteTransaction
    from .sqlite.reading.snapshot import SQLiteSnapshot
    from .values import Result, Row, Statistics

__version__ = "0.1.0"

__all__ = [
    "AddedEntity",
    "AddedFact",
    "AgentAnswer",
    "AgentLimits",
    "AiomemdbError",
    "AmbiguousEntity",
    "Change",
    "CommitOutcomeUnknown",
    "Database",
    "DatabaseClosed",
    "DatabaseReplaced",
    "Document",
    "EmbedderError",
    "EmptyStatement",
    "Entity",
    "Episode",
    "EpisodeExists",
    "Event",
    "Evidence",
    "Exported",
    "ExportedPages",
    "Fact",
    "ForbiddenStatement",
    "Forgotten",
    "ForkedError",
    "FormatError",
    "Graph",
    "Hit",
    "Hold",
    "Imported",
    "Loaded",
    "LockTimeout",
    "Memory",
    "ModelChanged",
    "Name",
    "Normaliser",
    "NormaliserChanged",
    "NotAQuery",
    "NotFound",
    "NotLoaded",
    "Page",
    "PostgresDatabase",
    "PostgresHold",
    "PostgresSnapshot",
    "PostgresStatistics",
    "PostgresTransaction",
    "QueueFull",
    "ReadTimeout",
    "Recall",
    "ReentrancyError",
    "Remembered",
    "Result",
    "Row",
    "SQLiteDatabase",
    "SQLiteHold",
    "SQLiteSnapshot",
    "SQLiteStatistics",
    "SQLiteTransaction",
    "SchemaTooNew",
    "ServerLost",
    "Snapshot",
    "SnapshotEnded",
    "Statement",
    "Statistics",
    "Subgraph",
    "Transaction",
    "TransactionConflict",
    "TransactionEnded",
    "TransactionLost",
    "TransactionTimeout",
    "WriteTimeout",
    "WriterCrashed",
    "WrongLoop",
    "__version__",
    "connect",
    "run",
]

_ROOMS = {
    "agents": ["AgentAnswer", "AgentLimits"],
    "database": ["Database", "Hold", "Snapshot", "Transaction"],
    "engines": ["connect"],
    "memory.answers": ["AddedEntity", "AddedFact", "Graph"],
    "memory.bulk": ["Document", "Exported", "ExportedPages", "Imported", "Loaded", "NotLoaded"],
    "memory.memory": ["Memory"],
    "memory.names": ["Normaliser"],
    "memory.pages": ["Page"],
    "memory.values": [
        "Change",
        "Entity",
        "Episode",
        "Event",
        "Evidence",
        "Fact",
        "Forgotten",
        "Hit",
        "Name",
        "Recall",
        "Remembered",
        "Statement",
        "Subgraph",
    ],
    "postgres.database": ["PostgresDatabase"],
    "postgres.snapshot": ["PostgresSnapshot"],
    "postgres.statistics": ["PostgresStatistics"],
    "postgres.transaction": ["PostgresHold", "PostgresTransaction"],
    "runner": ["run"],
    "sqlite.engine.database": ["SQLiteDatabase"],
    "sqlite.reading.snapshot": ["SQLiteSnapshot"],
    "sqlite.engine.statistics": ["SQLiteStatistics"],
    "sqlite.engine.transaction": ["SQLiteHold", "SQLiteTransaction"],
    "values": ["Result", "Row", "Statistics"],
}

if not typing.TYPE_CHECKING:  # to type checkers what is missing is missing

    def __getattr__(name):
        for room, names in _ROOMS.items():
            if name in names:
                found = getattr(importlib.import_module(f"{__name__}.{room}"), name)
                break
        else:
            found = _submodule(name)
        globals()[name] = found
        return found

    def _submodule(name):
        """As ``aiomemdb.embedders``, which ``import aiomemdb`` alone makes usable too."""
        full = f"{__name__}.{name}"
        try:
            if name.isidentifier():
                return importlib.import_module(full)
        except ModuleNotFoundError as error:
            if error.name != full:
                raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])

    def __dir__():
        return sorted({*globals(), *__all__, "blocking", "embedders", "errors", "telemetry"})
