"""What the workloads and contestants that bars compare are called: a report reads results without importing a peer."""

from __future__ import annotations

AIOSQLITE = "aiosqlite, one shared"
AIOSQLITE_FOUR = "aiosqlite, four connections"
COMMIT_EACH = "plain sqlite3, a commit each"
FUTURES = "bare futures"
LIMIT = "plain sqlite3, one thread"
ONE_TRANSACTION = "plain sqlite3, one transaction"
SYNC = "the disk's fdatasync"
UPDATES = "updates of one row"

MANY = 1_000
