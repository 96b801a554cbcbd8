"""Every knob of ``connect``, its default and its reason; checked when made, before any I/O."""

from __future__ import annotations

import math
import os
import sqlite3
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

__all__ = ["PRAGMAS", "Config", "Durability", "PragmaValue", "checked_timeout", "refuse_home"]

Durability = Literal["normal", "full"]
PragmaValue = int | str | bool

# Here, in what is imported first.
if sys.platform == "win32":
    raise ImportError(
        "aiomemdb needs Linux or macOS: Windows has no flock, by which processes take turns; run it inside WSL 2"
    )

# What may be set per connection without breaking a promise. journal_mode, synchronous, locking_mode,
# wal_autocheckpoint, busy_timeout, query_only and their like are the library's own.
PRAGMAS: frozenset[str] = frozenset(
    {
        "analysis_limit",
        "application_id",
        "auto_vacuum",
        "automatic_index",
        "cache_size",
        "cache_spill",
        "case_sensitive_like",
        "cell_size_check",
        "encoding",
        "foreign_keys",
        "ignore_check_constraints",
        "journal_size_limit",
        "legacy_alter_table",
        "max_page_count",
        "mmap_size",
        "page_size",
        "recursive_triggers",
        "reverse_unordered_selects",
        "secure_delete",
        "soft_heap_limit",
        "temp_store",
        "threads",
        "trusted_schema",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The options of ``aiomemdb.connect``.

    Raises:
        TypeError: an option of the wrong type.
        ValueError: an option out of range; the message names the option, the value and what is allowed.
    """

    readers: int = 4
    """Read-only connections, a thread each. Four keep quick queries quick beside three long reports; more
    threads make quick reads slower, because Python runs one at a time. With 1, a second one is opened for
    snapshots and streams, so that a query never waits for a snapshot that waits for it."""
    durability: Durability = "normal"
    """"normal": an acknowledged write survives any death of the process; a power cut may take back the latest
    ones. "full": it survives a power cut too, at one sync of the disk a batch."""
    max_pending: int = 10_000
    """Jobs that may wait for the writer before ``submit`` raises ``QueueFull``: about a tenth of a second of work."""
    max_value_bytes: int = 16 * 1024 * 1024
    """The largest string, blob or row, in bytes, that a write may store: far above what agents write, and small
    enough that one caller can't fill memory."""
    lock_timeout: float = 30.0
    """Seconds that a batch waits for its turn among the processes that write the file, and for the lock of a program
    that takes no turns, together, before its jobs fail with ``LockTimeout``. Turns take well under a second even among
    50 busy processes; 30 s are for another's long ``transaction()`` or a stopped process."""
    max_hold: float = 10.0
    """Seconds that one ``transaction()`` may keep the writer; then it is rolled back and its holder named."""
    prepare: Callable[[sqlite3.Connection], object] | None = None
    """Called with each new ``sqlite3.Connection`` in its own thread, writer and readers alike: SQL functions,
    collations, extensions, temp tables, and what ``pragmas`` takes, but for what is stored in the file. It may read the
    file and not write it, as it runs outside of the turns that keep processes apart: ``ForbiddenStatement``."""
    pragmas: Mapping[str, PragmaValue] = field(default_factory=dict)
    """PRAGMAs to set on every connection, by name. ``foreign_keys`` is on unless it is set off here."""
    label: str = "db"
    """Names the threads and tasks: ``aiomemdb:<label>:writer``."""
    read_only: bool = False
    """Open an existing file for reading alone; every write is SQLite's own read-only error. A file on a file system
    that is read-only itself is opened too, if no log lies beside it; reads stop with ``DatabaseReplaced`` once it
    changes. Of a file with several names (hard links), a reader by one name does not see the log of another."""

    def __post_init__(self) -> None:
        _whole("readers", self.readers, 1, 64)
        _whole("max_pending", self.max_pending, 1, 2**31)
        _whole("max_value_bytes", self.max_value_bytes, 1024, 2**31 - 1)  # less, and SQLite could not read its schema
        _seconds("lock_timeout", self.lock_timeout)
        _seconds("max_hold", self.max_hold)
        if self.durability not in ("normal", "full"):
            raise ValueError(f'durability={self.durability!r}: use "normal" or "full"')
        if self.prepare is not None and not callable(self.prepare):
            raise TypeError(f"prepare={self.prepare!r}: it is called with each new sqlite3.Connection")
        if not isinstance(self.label, str) or not self.label:
            raise TypeError(f"label={self.label!r}: a non-empty string")
        if not isinstance(self.read_only, bool):
            raise TypeError(f"read_only={self.read_only!r}: True or False")
        object.__setattr__(self, "pragmas", _checked_pragmas(self.pragmas))

    @property
    def reader_count(self) -> int:
        return max(self.readers, 2)


def _whole(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name}={value!r}: a whole number")
    if not low <= value <= high:
        raise ValueError(f"{name}={value}: from {low} to {high}")


def _seconds(name: str, value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{name}={value!r}: a number of seconds")
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name}={value}: a number of seconds above 0")


def checked_timeout(timeout: float | None) -> float | None:
    """A caller's ``timeout=``: None, or seconds of at least 0."""
    if timeout is None:
        return None
    if not isinstance(timeout, int | float) or isinstance(timeout, bool):
        raise TypeError(f"timeout={timeout!r}: a number of seconds, or None to wait")
    if not timeout >= 0:
        raise ValueError(f"timeout={timeout}: 0 or more seconds, or None to wait")
    return timeout


def refuse_home(path: str) -> None:
    """Raises: ValueError: it begins with the name of a home folder, which a shell would have expanded."""
    if path == "~" or (path.startswith("~") and os.sep in path):
        raise ValueError(f"{path!r}: Python does not expand '~'; give Path({path!r}).expanduser()")


def _checked_pragmas(pragmas: object) -> Mapping[str, PragmaValue]:
    if not isinstance(pragmas, Mapping):
        raise TypeError(f"pragmas={pragmas!r}: a mapping of names to values")
    checked: dict[str, PragmaValue] = {}
    for name, value in pragmas.items():
        if not isinstance(name, str) or name.lower() not in PRAGMAS:
            allowed = ", ".join(sorted(PRAGMAS))
            raise ValueError(f"pragmas: {name!r} can't be set; these can: {allowed}")
        word = isinstance(value, str) and value.replace("-", "").replace("_", "").isalnum() and value.isascii()
        if not (isinstance(value, int) or word):
            raise ValueError(f"pragmas: {name}={value!r}: a whole number, a bool or one plain word")
        checked[name.lower()] = value
    return MappingProxyType(checked)
