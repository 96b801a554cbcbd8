"""SQLiteConfig: the options of this engine, and which targets are its files; checked when made, before any I/O."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from ...config import Config

__all__ = ["PRAGMAS", "PragmaValue", "SQLiteConfig", "checked_path", "refuse_home"]

PragmaValue = int | str | bool

if sys.platform == "win32":
    raise ImportError(
        "aiomemdb needs Linux or macOS: Windows has no flock, which processes take turns with; run it inside WSL 2"
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
class SQLiteConfig(Config):
    """The options of ``aiomemdb.connect`` for an SQLite file: those of every engine, and these.

    ``read_only``: every write is SQLite's own read-only error. A file on a file system that is read-only itself is
    opened too, if no log lies beside it; reads stop with ``DatabaseReplaced`` once it changes. Of a file with several
    names (hard links), a reader by one name does not see the log of another.
    """

    prepare: Callable[[sqlite3.Connection], object] | None = None
    """Called with each new ``sqlite3.Connection`` in its own thread, writer and readers alike: SQL functions,
    collations, extensions, temp tables, and what ``pragmas`` takes, except what is stored in the file. It may read the
    file and not write it, as it runs outside of the turns that keep processes apart: ``ForbiddenStatement``. An error
    that it raises ends the opening of the database; from a reader that is opened later it goes to reads alone that no
    other reader can serve."""
    pragmas: Mapping[str, PragmaValue] = field(default_factory=dict)
    """PRAGMAs to set on every connection, by name. ``foreign_keys`` is on unless it is set off here."""

    def __post_init__(self) -> None:
        Config.__post_init__(self)
        if self.prepare is not None and not callable(self.prepare):
            raise TypeError(f"prepare={self.prepare!r}: it is called with each new sqlite3.Connection")
        object.__setattr__(self, "pragmas", _checked_pragmas(self.pragmas))

    @property
    def reader_count(self) -> int:
        return max(self.readers, 2)


def checked_path(target: str | os.PathLike[str], *, read_only: bool) -> Path | None:
    """The file, or None: a private temporary one.

    Raises:
        TypeError, ValueError: this is no path.
    """
    if not isinstance(target, str | os.PathLike):
        raise TypeError(f"target={target!r}: a path, or a URL")
    name = os.fspath(target)
    if not isinstance(name, str):
        raise TypeError(f"target={target!r}: a path in str, not bytes")
    if name == ":memory:":
        if read_only:
            raise ValueError('":memory:" is new and empty: read_only=True makes no sense')
        return None
    if name.startswith("file:"):
        raise ValueError(f"{name!r}: give a plain path, not an SQLite URI; its options are options of connect()")
    refuse_home(name)
    if not name:
        raise ValueError('target="": give the path of an SQLite file, or ":memory:"')
    if "\0" in name:
        raise ValueError(f"target={name!r}: a path can't hold a NUL character")
    return Path(name)


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
