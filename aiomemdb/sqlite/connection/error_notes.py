"""What is added to an error before its caller gets it."""

from __future__ import annotations

import re
import sqlite3

__all__ = ["annotate"]

_STORED_AS = {
    "dict": "json.dumps(value)",
    "list": "json.dumps(value)",
    "tuple": "json.dumps(value)",
    "set": "json.dumps(sorted(value))",
    "Decimal": "str(value), or a whole number of the smallest unit",
    "UUID": "str(value), or value.bytes",
    "Path": "str(value)",
    "PosixPath": "str(value)",
    "time": "value.isoformat()",
    "timedelta": "value.total_seconds()",
}
_UNSUPPORTED = re.compile(r"type '(?:\w+\.)*(\w+)' is not supported")


def _advice_on_value(error: BaseException) -> str | None:
    """What to do about a value that SQLite can't store, where that is what ``error`` says."""
    if not isinstance(error, sqlite3.ProgrammingError) or (match := _UNSUPPORTED.search(str(error))) is None:
        return None
    kind = match[1]
    instead = _STORED_AS.get(kind, "a str, int, float or bytes (of an Enum: value.value)")
    return f"store {instead}, or say how by sqlite3.register_adapter({kind}, ...)"


def annotate(error: BaseException, subject: object, *, max_value_bytes: int | None = None) -> BaseException:
    """Adds a note that holds the SQL, never the parameters, and drops the frames that hold them."""
    if isinstance(subject, str):
        error.__traceback__ = None
        if error.__cause__ is not None:
            error.__cause__.__traceback__ = None
        text = subject if len(subject) <= 1000 else f"{subject[:1000]}… ({len(subject)} characters)"
        error.add_note(f"SQL: {text}")
    if (advice := _advice_on_value(error)) is not None:
        error.add_note(advice)
    name = getattr(error, "sqlite_errorname", None)
    if max_value_bytes is not None and (name == "SQLITE_TOOBIG" or isinstance(error, sqlite3.DataError)):
        error.add_note(f"a value or row is larger than connect(max_value_bytes={max_value_bytes}) allows")
    return error
