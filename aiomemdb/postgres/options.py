"""PostgresConfig: the options of this engine, and which targets are its servers; checked when made, before any I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..config import Config

__all__ = ["PostgresConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresConfig(Config):
    """The options of ``aiomemdb.connect`` for a PostgreSQL server: those of every engine, and these.

    ``readers`` are connections; ``lock_timeout`` is the server's; ``read_only`` takes any server, a standby too.
    """

    transactions: int = 8
    """How many ``transaction()`` may be open at a time, a connection each; they are opened when they are needed. More
    wait for one. Eight leave room for other programs under the server's default of 100 connections."""
    reconnect: float = 30.0
    """Seconds in which a lost server is looked for, at all hosts of the URL in turn, before callers hear of it: a
    restart and a promotion take less."""
    statement_cache: int = 256
    """Statements that each connection keeps prepared. 0 where a pooler stands between, and each transaction may have
    another connection (PgBouncer's transaction mode): then nothing is prepared, and nothing is set on a session."""
    replicas: Sequence[str] = ()
    """URLs of standbys, which take the reads. A read sees every write that was awaited before it began."""
    replica_wait: float = 0.1
    """Seconds that a read waits for a replica that is behind, before it goes to the primary."""

    def __post_init__(self) -> None:
        Config.__post_init__(self)
        _whole("transactions", self.transactions, 1, 1000)
        _whole("statement_cache", self.statement_cache, 0, 100_000)
        for name in ("reconnect", "replica_wait"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise TypeError(f"{name}={value!r}: a number of seconds")
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name}={value}: 0 or more seconds")
        if isinstance(self.replicas, str) or not all(isinstance(url, str) for url in self.replicas):
            raise TypeError("replicas=: a list of URLs")
        object.__setattr__(self, "replicas", tuple(self.replicas))


def _whole(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name}={value!r}: a whole number")
    if not low <= value <= high:
        raise ValueError(f"{name}={value}: from {low} to {high}")
