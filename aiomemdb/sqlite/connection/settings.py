"""Settings: what all connections of an open database have, set at any time: SQL functions, collations, callbacks.

    on the loop                       | on each connection's thread
    ----------------------------------+------------------------------------------------------------------
    make(setting)                     |
    post(catch_up), for each          | between two jobs, or two steps of a transaction or snapshot: catch_up(raw)
    raw.behind = True, for readers    | before the next query: catch_up(raw)
                                      | a reader that is opened later: catch_up(raw), once configured

So whatever is asked for after ``make`` has the setting, and nothing waits for a connection that is at work.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field

from .guarded import GuardedConnection

__all__ = [
    "Setting",
    "Settings",
    "aggregate",
    "authorizer",
    "collation",
    "extension",
    "function",
    "progress_handler",
    "trace_callback",
    "window_function",
]

log: logging.Logger = logging.getLogger("aiomemdb")


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that a connection has.

    Attributes:
        slot: of two settings of one slot the later replaces the earlier.
        value: what is set; a setting of the same slot and value changes nothing.
        apply: sets it on one connection.
    """

    slot: tuple[object, ...]
    value: tuple[object, ...]
    apply: Callable[[GuardedConnection], object] = field(compare=False)


class Settings:
    """The settings of one database, in the order in which they were made. ``make`` runs on the loop."""

    def __init__(self) -> None:
        # Replaced whole: the connections' threads read it at any time.
        self._made: tuple[tuple[int, Setting], ...] = ()
        self._count = 0

    def make(self, setting: Setting) -> bool:
        """Adds a setting; returns whether it changes anything.

        Raises: Exception: sqlite3 refuses it, on a connection of its own.
        """
        if any(made == setting for _, made in self._made):
            return False
        trial = sqlite3.connect(":memory:", factory=GuardedConnection)
        try:
            setting.apply(trial)
        finally:
            trial.end()
        self._count += 1
        kept = (numbered for numbered in self._made if numbered[1].slot != setting.slot)
        self._made = (*kept, (self._count, setting))
        return True

    def catch_up(self, raw: GuardedConnection) -> None:
        """Sets what was made since this connection's latest.

        A function can't be replaced while a query is open. Then it is tried again when the reader is given back.
        """
        raw.behind = False  # first: what is made meanwhile sets it again
        for number, setting in self._made:
            if number <= raw.settled:
                continue
            try:
                setting.apply(raw)
            except Exception as error:
                if not raw.noted:
                    log.warning("a connection goes on without %s: %r", setting.slot, error)
                return
            raw.settled = number


def function(name: str, arguments: int, call: Callable[..., object] | None, *, deterministic: bool = False) -> Setting:
    return Setting(
        _slot_of_function(name, arguments),
        (call, deterministic),
        lambda raw: raw.create_function(name, arguments, call, deterministic=deterministic),  # type: ignore[arg-type]
    )


def aggregate(name: str, arguments: int, made_by: Callable[[], object] | None) -> Setting:
    return Setting(
        _slot_of_function(name, arguments),
        ("aggregate", made_by),
        lambda raw: raw.create_aggregate(name, arguments, made_by),  # type: ignore[arg-type]
    )


def window_function(name: str, arguments: int, made_by: Callable[[], object] | None) -> Setting:
    return Setting(
        _slot_of_function(name, arguments),
        ("window", made_by),
        lambda raw: raw.create_window_function(name, arguments, made_by),  # type: ignore[arg-type]
    )


def _slot_of_function(name: str, arguments: int) -> tuple[object, ...]:
    return ("function", str(name).lower(), arguments)


def collation(name: str, compare: Callable[[str, str], int] | None) -> Setting:
    return Setting(("collation", str(name).lower()), (compare,), lambda raw: raw.create_collation(name, compare))


def extension(path: str, **options: str) -> Setting:
    """A loadable extension."""

    def load(raw: GuardedConnection) -> None:
        raw.load_trusted(path, **options)

    return Setting(("extension", path, *options.items()), (), load)


def trace_callback(callback: Callable[[str], object] | None) -> Setting:
    """Sees each statement except the library's own."""
    _check_callable(callback)
    return Setting(("trace",), (callback,), lambda raw: raw.trace(callback))


def progress_handler(handler: Callable[[], int | None] | None, instructions: int) -> Setting:
    """Can interrupt each statement except the library's own."""
    _check_callable(handler)
    return Setting(("progress",), (handler, instructions), lambda raw: raw.watch_progress(handler, instructions))


def authorizer(callback: Callable[..., int] | None) -> Setting:
    """Asked after the library's own, of what that allows: so it can only restrict further."""
    _check_callable(callback)
    return Setting(("authorizer",), (callback,), lambda raw: raw.restrict(callback))


def _check_callable(callback: object) -> None:
    """Raises: TypeError: sqlite3 would take it, and call it in vain."""
    if callback is not None and not callable(callback):
        raise TypeError(f"{callback!r} is not callable")
