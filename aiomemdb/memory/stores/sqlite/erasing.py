"""What is forgotten leaves the word indexes. Rows that are gone leave the file when it is rebuilt; see ``SQLiteStore``.

FTS5 deletes a word by a mark in a new segment: the word itself stays until the two segments are merged
(https://www.sqlite.org/fts5.html, 6.8). 'optimize' merges all in one long job, 'merge' in slices.
"""

from __future__ import annotations

import sqlite3

__all__ = ["INDEXES", "merge_slice"]

#: The tables that have a word index.
INDEXES = ("entity", "episode", "fact")
# Pages of 4 KB that one job merges: some milliseconds of the writer's time.
_PAGES = 64


def merge_slice(conn: sqlite3.Connection, index: str, begin: bool) -> bool:
    """Merge a slice of an index's segments; return whether there may be more.

    Args:
        begin: take all segments of now. Otherwise go on with those of the last time.
    """
    before = conn.total_changes
    conn.execute(
        f"INSERT INTO {index}_search ({index}_search, rank) VALUES ('merge', ?)", (-_PAGES if begin else _PAGES,)
    )
    return conn.total_changes - before >= 2  # the command itself counts as one
