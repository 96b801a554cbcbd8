"""Config: the options that every engine has, each with its default and reason; checked when made, before any I/O."""

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["Config", "Durability", "checked_timeout"]

Durability = Literal["normal", "full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The options of ``aiomemdb.connect`` that every engine has; each engine adds its own, as ``SQLiteConfig`` does.

    Raises:
        TypeError: an option of the wrong type.
        ValueError: an option out of range; the message names the option, the value and what is allowed.
    """

    readers: int = 4
    """Read-only connections at most, a thread each. One is opened with the database, the others when they are first
    needed; where one can't be opened then, those that are open do its work. Four keep quick queries quick
    beside three long reports; more threads make quick reads slower, because Python runs one at a time. With 1, a second
    one may be opened beside a snapshot or a stream, so that a query never waits for a snapshot that waits for it."""
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
    label: str = "db"
    """Names the threads and tasks: ``aiomemdb:<label>:writer``."""
    read_only: bool = False
    """Open what is there for reading alone: every write is the driver's own error."""

    def __post_init__(self) -> None:
        _whole("readers", self.readers, 1, 64)
        _whole("max_pending", self.max_pending, 1, 2**31)
        _whole("max_value_bytes", self.max_value_bytes, 1024, 2**31 - 1)  # less, and SQLite could not read its schema
        _seconds("lock_timeout", self.lock_timeout)
        _seconds("max_hold", self.max_hold)
        if self.durability not in ("normal", "full"):
            raise ValueError(f'durability={self.durability!r}: use "normal" or "full"')
        if not isinstance(self.label, str) or not self.label:
            raise TypeError(f"label={self.label!r}: a non-empty string")
        if not isinstance(self.read_only, bool):
            raise TypeError(f"read_only={self.read_only!r}: True or False")


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
