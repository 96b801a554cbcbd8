"""Scripts and texts: where a statement ends, and whether there is one."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

from ..common.errors import EmptyStatement

__all__ = ["check_text", "first_word", "is_blank", "may_change_rows", "split_script", "start_of"]


def split_script(sql: str) -> Iterator[str]:
    """The statements of a script, one by one; triggers, strings and comments are kept whole."""
    start = 0
    end = sql.find(";")
    while end >= 0:
        statement = sql[start : end + 1]
        # To SQLite a byte order mark is white space, but this function would take it for the first word.
        if sqlite3.complete_statement(statement.replace("\ufeff", " ")):
            if not is_blank(statement.rstrip().rstrip(";")):
                yield statement
            start = end + 1
        end = sql.find(";", end + 1)
    rest = sql[start:]
    if not is_blank(rest):
        yield rest


_WORD = re.compile("[A-Za-z]+")
_WHITE_SPACE = " \t\n\f\r\ufeff"  # to SQLite, and nothing else


def is_blank(sql: str) -> bool:
    """Whether the only path is white space and comments."""
    return start_of(sql) == len(sql)


def start_of(sql: str) -> int:
    """Where the first word begins."""
    at, end = 0, len(sql)
    while at < end:
        if sql[at] in _WHITE_SPACE:
            at += 1
        elif sql.startswith("--", at):
            newline = sql.find("\n", at)
            at = end if newline < 0 else newline + 1
        elif sql.startswith("/*", at) and at + 2 < end:  # at the very end it is no comment to SQLite
            close = sql.find("*/", at + 2)
            at = end if close < 0 else close + 2
        else:
            return at
    return end


def first_word(sql: str) -> str:
    """Of the statement, in capitals; "" where it begins with anything else."""
    found = _WORD.match(sql, start_of(sql))
    return found[0].upper() if found else ""


def may_change_rows(sql: str) -> bool:
    """Of what begins otherwise ``changes()`` is an earlier statement's. (Python does not count the rows of a statement
    behind WITH or a byte order mark.)
    """
    return first_word(sql) in ("WITH", "INSERT", "UPDATE", "DELETE", "REPLACE")


def check_text(sql: str) -> None:
    if not isinstance(sql, str):
        raise TypeError(f"sql must be a str, not {type(sql).__name__}")
    if is_blank(sql.rstrip().rstrip(";")):
        raise EmptyStatement("the SQL is empty")
