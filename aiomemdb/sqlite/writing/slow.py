"""Functions that keep the writer for long, and how often the log says so."""

from __future__ import annotations

import logging
from time import monotonic

from ..connection.arguments import unwrapped

__all__ = ["SLOW_FUNCTION", "SlowFunctions", "name_of"]

log: logging.Logger = logging.getLogger("aiomemdb")

# Seconds after which a function is logged with its name: all other writes wait for it.
SLOW_FUNCTION = 0.25

# Seconds between two such lines: a program with slow writes alone would log nothing else.
LOG_EVERY = 60.0


class SlowFunctions:
    """Logs a database's slow functions: the first one at once, later ones once a minute with a count.

    A callable that has an attribute ``log_name`` is logged by it; None: it is long by design, and never logged.
    """

    def __init__(self) -> None:
        self._logged_at: float | None = None
        self._not_logged = 0

    def note(self, function: object, took: float) -> None:
        name = name_of(function)
        if name is None:
            return
        now = monotonic()
        if self._logged_at is not None and now - self._logged_at < LOG_EVERY:
            self._not_logged += 1
            return
        others = f" ({self._not_logged:,} more did so since the last warning)" if self._not_logged else ""
        log.warning("%s kept the writer for %.2f s; all other writes waited%s", name, took, others)
        self._logged_at, self._not_logged = now, 0


def name_of(function: object) -> str | None:
    """What a job's function is called in the log; None: it is long by design."""
    if hasattr(function, "log_name"):
        log_name: str | None = function.log_name
        return log_name
    function = unwrapped(function)
    return f"write_fn({getattr(function, '__qualname__', None) or repr(function)})"
