"""PRAGMAs that are answered, never queued: what they would set is the library's own, or the logical connection's."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import lru_cache

from .rows import Answer

__all__ = ["Preferences", "answer_pragma"]

_SPACE = r"(?:[ \t\n\f\r\ufeff]|--[^\n]*(?:\n|$)|/\*(?:.|\n)*?\*/)"
_PRAGMA = re.compile(
    rf"{_SPACE}*PRAGMA{_SPACE}+(?:main{_SPACE}*\.{_SPACE}*)?(?P<name>\w+){_SPACE}*"
    rf"(?:={_SPACE}*(?P<set>[^;()]+?)|\({_SPACE}*(?P<called>[^;()]+?){_SPACE}*\))?{_SPACE}*;?{_SPACE}*",
    re.IGNORECASE,
)
_ON, _OFF = frozenset(["on", "yes", "true"]), frozenset(["off", "no", "false"])


_NONE: Mapping[str, str] = {}


class Preferences:
    """What PRAGMAs have set on one logical connection.

    Attributes:
        timeout: seconds that a write waits for the writer.
        foreign_keys: whether its writes check them; None: as the database does.
        query_only: its writes are refused.
    """

    __slots__ = ("foreign_keys", "others", "query_only", "timeout")

    def __init__(self, *, timeout: float, checks_foreign_keys: bool) -> None:
        self.timeout: float = timeout
        self.foreign_keys: bool = checks_foreign_keys
        self.query_only: bool = False
        self.others: Mapping[str, str] = _NONE  # replaced whole: most have none


def _truth(value: str) -> bool:
    word = value.strip("'\"").lower()
    return word in _ON or (word not in _OFF and _number(word) != 0)


_WORDS = {"default": 0, "file": 1, "memory": 2, **dict.fromkeys(_ON, 1)}


def _number(value: str) -> int:
    word = value.strip("'\"").lower()
    try:
        return int(word)
    except ValueError:
        return _WORDS.get(word, 0)


def _row(name: str, value: object) -> Answer:
    return Answer((name,), [(value,)])


def _busy_timeout(chosen: Preferences, value: str | None, in_transaction: bool) -> Answer:
    if value is not None:
        chosen.timeout = max(0, _number(value)) / 1000
    return _row("timeout", round(chosen.timeout * 1000))


def _foreign_keys(chosen: Preferences, value: str | None, in_transaction: bool) -> Answer:
    if value is None:
        return _row("foreign_keys", int(chosen.foreign_keys))
    if not in_transaction:  # SQLite too ignores it there
        chosen.foreign_keys = _truth(value)
    return Answer()


def _query_only(chosen: Preferences, value: str | None, in_transaction: bool) -> Answer:
    if value is None:
        return _row("query_only", int(chosen.query_only))
    chosen.query_only = _truth(value)
    return Answer()


def _fixed(name: str, value: object, *, answers_set: bool) -> Callable[[Preferences, str | None, bool], Answer]:
    """Of what is as the library keeps it, whatever is asked for: SQLite too answers with what it is then."""

    def answer(chosen: Preferences, asked: str | None, in_transaction: bool) -> Answer:
        return _row(name, value) if asked is None or answers_set else Answer()

    return answer


_ANSWERS: Mapping[str, Callable[[Preferences, str | None, bool], Answer]] = {
    "busy_timeout": _busy_timeout,
    "foreign_keys": _foreign_keys,
    "query_only": _query_only,
    "journal_mode": _fixed("journal_mode", "wal", answers_set=True),
    "locking_mode": _fixed("locking_mode", "normal", answers_set=True),
    "read_uncommitted": _fixed("read_uncommitted", 0, answers_set=False),
    "synchronous": _fixed("synchronous", 1, answers_set=False),
    "wal_autocheckpoint": _fixed("wal_autocheckpoint", 1000, answers_set=True),
}

#: They change how fast a connection is, and nothing that it answers: remembered, and set on none.
_OF_SPEED = frozenset(
    [
        "analysis_limit",
        "automatic_index",
        "cache_size",
        "cache_spill",
        "checkpoint_fullfsync",
        "fullfsync",
        "hard_heap_limit",
        "journal_size_limit",
        "mmap_size",
        "shrink_memory",
        "soft_heap_limit",
        "temp_store",
        "threads",
    ]
)
_SAY_WHAT_WAS_SET = frozenset(
    ["analysis_limit", "hard_heap_limit", "journal_size_limit", "mmap_size", "soft_heap_limit", "threads"]
)


def answer_pragma(sql: str, chosen: Preferences, *, in_transaction: bool, is_full: bool) -> Answer | str | None:
    """Returns the answer, the name of one that is the database's to do ("optimize", "wal_checkpoint"), or None: SQLite
    is to say.
    """
    found = _PRAGMA.fullmatch(sql)
    if found is None:
        return None
    name, value = found["name"].lower(), found["set"] or found["called"]
    if name in ("optimize", "wal_checkpoint"):
        return name
    if name == "synchronous" and is_full and value is None:
        return _row(name, 2)
    if (answer := _ANSWERS.get(name)) is not None:
        return answer(chosen, value, in_transaction)
    if name not in _OF_SPEED:
        return None
    if value is not None:
        chosen.others = {**chosen.others, name: value}
        return _row(name, _number(value)) if name in _SAY_WHAT_WAS_SET else Answer()
    default = _default(name)
    if default is None:
        return Answer()
    return _row(name, _number(chosen.others[name]) if name in chosen.others else default)


@lru_cache
def _default(name: str) -> object:
    with closing(sqlite3.connect(":memory:")) as connection:
        row = connection.execute(f"PRAGMA {name}").fetchone()
    return None if row is None else row[0]
