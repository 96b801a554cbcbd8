"""aiomemdb: one SQLite file for many agents, asyncio-native. Start with ``connect``."""

from .connect import connect
from .database import Database, Snapshot, Transaction
from .errors import (
    AiomemdbError,
    CommitOutcomeUnknown,
    DatabaseClosed,
    DatabaseReplaced,
    ForbiddenStatement,
    ForkedError,
    LockTimeout,
    QueueFull,
    ReadTimeout,
    ReentrancyError,
    TransactionTimeout,
    WriterCrashed,
    WriteTimeout,
    WrongLoop,
)
from .runner import run
from .values import Row, Statistics

__version__ = "0.1.0"

__all__ = [
    "AiomemdbError",
    "CommitOutcomeUnknown",
    "Database",
    "DatabaseClosed",
    "DatabaseReplaced",
    "ForbiddenStatement",
    "ForkedError",
    "LockTimeout",
    "QueueFull",
    "ReadTimeout",
    "ReentrancyError",
    "Row",
    "Snapshot",
    "Statistics",
    "Transaction",
    "TransactionTimeout",
    "WriteTimeout",
    "WriterCrashed",
    "WrongLoop",
    "__version__",
    "connect",
    "run",
]
