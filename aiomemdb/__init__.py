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
    EpisodeExists,
    ForbiddenStatement,
    ForkedError,
    LockTimeout,
    ModelChanged,
    NormaliserChanged,
    NotFound,
    QueueFull,
    ReadTimeout,
    ReentrancyError,
    SchemaTooNew,
    TransactionTimeout,
    WriterCrashed,
    WriteTimeout,
    WrongLoop,
)
from .memory.memory import Memory
from .memory.names import Normaliser
from .memory.values import Entity, Episode, Event, Evidence, Fact, Forgotten, Name, Remembered, Statement, Subgraph
from .runner import run
from .values import Row, Statistics

__version__ = "0.1.0"

__all__ = [
    "AiomemdbError",
    "AmbiguousEntity",
    "CommitOutcomeUnknown",
    "Database",
    "DatabaseClosed",
    "DatabaseReplaced",
    "EmbedderError",
    "Entity",
    "Episode",
    "EpisodeExists",
    "Event",
    "Evidence",
    "Fact",
    "ForbiddenStatement",
    "Forgotten",
    "ForkedError",
    "LockTimeout",
    "Memory",
    "ModelChanged",
    "Name",
    "Normaliser",
    "NormaliserChanged",
    "NotFound",
    "QueueFull",
    "ReadTimeout",
    "ReentrancyError",
    "Remembered",
    "Row",
    "SchemaTooNew",
    "Snapshot",
    "Statement",
    "Statistics",
    "Subgraph",
    "Transaction",
    "TransactionTimeout",
    "WriteTimeout",
    "WriterCrashed",
    "WrongLoop",
    "__version__",
    "connect",
    "run",
]
