"""The contestants: one file for each library, each used as its own documentation recommends.

Each has a file of its own, in WAL mode, with synchronous=NORMAL (or FULL, where all have it), on the same loop.
"""

from __future__ import annotations

from ._contestant import Contestant, NotOffered
from .aiosqlite_each import AiosqliteEach
from .aiosqlite_shared import AiosqliteFour, AiosqliteShared
from .aiosqlitepool_ import Aiosqlitepool
from .apsw_ import ApswAsync
from .databases_ import Databases
from .datasette_ import DatasetteDatabase
from .ours import Aiomemdb
from .peewee_ import PeeweeQueue
from .sqlalchemy_ import Sqlalchemy, SqlalchemyBest
from .thread_queue import ThreadQueue

__all__ = ["CONTESTANTS", "Aiomemdb", "AiosqliteFour", "AiosqliteShared", "Contestant", "NotOffered"]

CONTESTANTS: tuple[type[Contestant], ...] = (
    Aiomemdb,
    AiosqliteShared,
    AiosqliteEach,
    Aiosqlitepool,
    Sqlalchemy,
    SqlalchemyBest,
    Databases,
    DatasetteDatabase,
    ApswAsync,
    PeeweeQueue,
    ThreadQueue,
)
