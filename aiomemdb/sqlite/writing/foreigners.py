"""Foreigners: programs that write the file and take no turns (plain sqlite3), as far as the writer notices them."""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path
from time import monotonic

from ..connection.guarded import GuardedConnection
from ..file.hazards import has_wal_reset_bug
from ..file.turnstile import Turnstile

__all__ = ["Foreigners"]

log: logging.Logger = logging.getLogger("aiomemdb")

# A lock that was met may have been that of a reader of ours: it takes it for some microseconds where it met a log's
# header half written.
_WARN_AT = 3


class Foreigners:
    """Used by the writer's thread alone, in a turn.

    SQLite's data_version changes when another connection has committed, and stays the same over commits, rollbacks,
    checkpoints and VACUUM of its own connection (https://www.sqlite.org/pragma.html#pragma_data_version). All other
    connections that use aiomemdb commit in turns. So a change is a foreigner's, where none of them had a turn since the
    latest look; where one may have had a turn, the change is not counted.

    Attributes:
        count: how often a foreigner was noticed: by what it had committed since the latest look, or by its lock.
    """

    def __init__(self, connection: GuardedConnection, turnstile: Turnstile, path: Path) -> None:
        self._connection = connection
        self._turnstile = turnstile
        self._path = path
        self._version: int | None = None
        self._looked_at = 0.0
        self._has_warned = False
        self.count: int = 0

    def look(self) -> None:
        now = monotonic()
        try:
            [[version]] = self._connection.own("PRAGMA data_version")
            if version != self._version:
                if self._version is not None and not self._is_explained():
                    self._note(is_sure=True)
                self._version = version
        except (sqlite3.Error, OSError):  # the transaction that follows meets it too, and reports it
            self.start_anew()
        self._looked_at = now

    def _is_explained(self) -> bool:
        """Whether others that take turns may have committed, or the log is empty: TRUNCATE changes the version too."""
        if self._turnstile.others_since(self._looked_at):
            return True
        return os.stat(f"{self._path}-wal").st_size == 0

    def start_anew(self) -> None:
        """After a rollback: one that follows an I/O error changes the version."""
        self._version = None

    def note_lock(self) -> None:
        """A batch has met a lock. What its holder commits is not counted once more."""
        self._note(is_sure=False)
        self.start_anew()

    def _note(self, *, is_sure: bool) -> None:
        self.count += 1
        if self._has_warned or not (is_sure or self.count >= _WARN_AT):
            return
        self._has_warned = True
        log.warning(
            "%s is also written by a program that does not use aiomemdb: nothing but SQLite's own lock keeps the two "
            "apart, which is not fair%s",
            self._path,
            (
                f"; and SQLite {sqlite3.sqlite_version} has a bug that corrupts the file when one program checkpoints "
                "while another commits (https://www.sqlite.org/wal.html, the WAL-reset bug): turn that program's "
                "wal_autocheckpoint off, or update SQLite to 3.51.3"
                if has_wal_reset_bug()
                else ""
            ),
        )
