"""Times: aware ``datetime`` in the API; integer microseconds UTC since 1970 in the file, and beside what callers gave
its offset from UTC in minutes.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

__all__ = ["from_micros", "micros_or_now", "now_micros", "offset_of", "optional_micros", "to_micros"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MINUTE = timedelta(minutes=1)
_FIRST, _LAST = ((when.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND for when in (datetime.min, datetime.max))


def to_micros(name: str, when: datetime) -> int:
    """Microseconds since 1970 of an aware datetime.

    Raises: TypeError: no datetime; ValueError: a naive one, which means another moment on every machine; or one that
        is outside the years 1 to 9999 in UTC.
    """
    if not isinstance(when, datetime):
        raise TypeError(f"{name}={when!r}: an aware datetime")
    if when.utcoffset() is None:
        raise ValueError(f"{name}={when!r} has no time zone: use datetime.now(timezone.utc), or give it a tzinfo")
    micros = (when - _EPOCH) // _MICROSECOND
    if not _FIRST <= micros <= _LAST:
        raise ValueError(f"{name}={when!r} is outside the years 1 to 9999 in UTC")
    return micros


def optional_micros(name: str, when: datetime | None) -> int | None:
    return None if when is None else to_micros(name, when)


def offset_of(when: datetime | None) -> int | None:
    """The offset from UTC of an aware datetime, in whole minutes. None: UTC, or no time."""
    offset = None if when is None else when.utcoffset()
    # Local mean times have seconds: cut towards UTC, what comes back is within the years of a datetime too.
    return int(offset / _MINUTE) or None if offset else None


@lru_cache(maxsize=64)  # one job's rows share their knowledge time
def from_micros(micros: int, offset: int | None = None) -> datetime:
    """The datetime, in a zone that has this offset, in minutes; None: UTC."""
    when = _EPOCH + timedelta(microseconds=micros)
    return when if offset is None else when.astimezone(timezone(offset * _MINUTE))


def now_micros() -> int:
    return time.time_ns() // 1000


def micros_or_now(name: str, when: datetime | None) -> int:
    """As ``to_micros``; None is now."""
    return now_micros() if when is None else to_micros(name, when)
