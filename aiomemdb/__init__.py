"""aiomemdb: one SQLite file for many agents, asyncio-native. Start with ``connect``."""

from .connect import connect
from .database import Database, Snapshot, Transaction
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
    LockTimeout,
    ModelChanged,
    NormaliserChanged,
    NotAQuery,
    NotFound,
    QueueFull,
    ReadTimeout,
    ReentrancyError,
    SchemaTooNew,
    SnapshotEnded,
    TransactionEnded,
    TransactionLost,
    TransactionTimeout,
    WriterCrashed,
    WriteTimeout,
    WrongLoop,
)
from .memory.memory import Memory
from .memory.names import Normaliser
from .memory.pages import Page
from .memory.values import (
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
from .runner import run
from .sqlite.database import SQLiteDatabase
from .sqlite.reading.snapshot import SQLiteSnapshot
from .sqlite.statistics import SQLiteStatistics
from .sqlite.transaction import SQLiteTransaction
from .values import Result, Row, Statistics

__version__ = "0.1.0"

__all__ = [
    "AiomemdbError",
    "AmbiguousEntity",
    "CommitOutcomeUnknown",
    "Database",
    "DatabaseClosed",
    "DatabaseReplaced",
    "EmbedderError",
    "EmptyStatement",
    "Entity",
    "Episode",
    "EpisodeExists",
    "Event",
    "Evidence",
    "Fact",
    "ForbiddenStatement",
    "Forgotten",
    "ForkedError",
    "Hit",
    "LockTimeout",
    "Memory",
    "ModelChanged",
    "Name",
    "Normaliser",
    "NormaliserChanged",
    "NotAQuery",
    "NotFound",
    "Page",
    "QueueFull",
    "ReadTimeout",
    "Recall",
    "ReentrancyError",
    "Remembered",
    "Result",
    "Row",
    "SQLiteDatabase",
    "SQLiteSnapshot",
    "SQLiteStatistics",
    "SQLiteTransaction",
    "SchemaTooNew",
    "Snapshot",
    "SnapshotEnded",
    "Statement",
    "Statistics",
    "Subgraph",
    "Transaction",
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
